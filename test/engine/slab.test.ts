// Blocks of memory: never overlapping, never lost, whatever the order in which they come and go.

import fc from 'fast-check';
import t from 'tap';
import { FRAME_BYTES, HUGE_PAGE_BYTES, LARGEST_BLOCK_BYTES, Slab } from '../../src/engine/slab.js';

const CHUNK = LARGEST_BLOCK_BYTES;

/** What the slab is believed to do, said without chunks: blocks, their sizes, and that they do not overlap. */
class Model {
  readonly blocks = new Map<number, number>();

  check(slab: Slab, base: number): void {
    let used = 0;
    let end = base;
    for (const [start, size] of [...this.blocks].sort(([a], [b]) => a - b)) {
      if (start < end) throw new Error(`the block at ${start} overlaps the one in front of it`);
      if ((start - base) % FRAME_BYTES !== 0) throw new Error(`the block at ${start} begins within a frame`);
      end = start + size;
      used += size;
    }
    if (end > base + slab.totalBytes) throw new Error('a block reaches past the end');
    if (slab.freeBytes !== slab.totalBytes - used) throw new Error(`freeBytes is ${slab.freeBytes}`);
  }
}

const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: LARGEST_BLOCK_BYTES }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ take: fc.constantFrom(1, 512, 4096, 4097, 8192, 131_073, LARGEST_BLOCK_BYTES) }),
  },
  { weight: 4, arbitrary: fc.record({ give: fc.nat() }) },
);

t.test('blocks never overlap, keep to frames, are counted to the byte, and all come back', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(0, 4096, 36_864),
      fc.array(action, { maxLength: 200 }),
      (chunks, base, actions) => {
        const slab = new Slab(base, chunks * CHUNK + 4095);
        const model = new Model();
        for (const step of actions) {
          if ('take' in step) {
            const block = slab.take(step.take);
            const size = Slab.blockBytes(step.take);
            if (block >= 0) model.blocks.set(block, size);
            else if (model.blocks.size === 0) throw new Error('nothing is taken and nothing is to be had');
            else if (block !== -1) throw new Error(`take returned ${block}`);
          } else if (model.blocks.size > 0) {
            const block = [...model.blocks.keys()][step.give % model.blocks.size]!;
            slab.give(block);
            model.blocks.delete(block);
          }
          model.check(slab, base);
        }
        for (const block of model.blocks.keys()) slab.give(block);
        if (slab.freeBytes !== chunks * CHUNK) throw new Error('not everything came back');
        // All of it can be had again in the largest pieces, wherever the small ones lay.
        for (let i = 0; i < chunks; i++)
          if (slab.take(CHUNK) < 0) throw new Error(`no chunk ${i} at the end`);
      },
    ),
    { numRuns: 300 },
  );
  t.pass('held for all sequences');
});

t.test('a block has the least power of two of frames that holds what was asked for', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: LARGEST_BLOCK_BYTES }), (bytes) => {
      const size = Slab.blockBytes(bytes);
      return size >= bytes && (size === FRAME_BYTES || size / 2 < bytes) && Number.isInteger(Math.log2(size));
    }),
  );
  t.equal(Slab.blockBytes(4096), 4096);
  t.equal(Slab.blockBytes(4097), 8192);
  t.equal(Slab.blockBytes(LARGEST_BLOCK_BYTES), LARGEST_BLOCK_BYTES);
});

t.test('all memory can be handed out in each size, and nothing beyond', async (t) => {
  for (let size = FRAME_BYTES; size <= LARGEST_BLOCK_BYTES; size *= 2) {
    const slab = new Slab(0, 4 * CHUNK);
    const blocks = new Set<number>();
    for (let block = slab.take(size); block >= 0; block = slab.take(size)) blocks.add(block);
    t.equal(blocks.size, (4 * CHUNK) / size, `${size} bytes`);
    t.equal(slab.freeBytes, 0);
    for (const block of blocks) slab.give(block);
    t.equal(slab.freeBytes, 4 * CHUNK);
  }
});

t.test('a class that keeps an empty chunk gives it up when another has none left', async (t) => {
  const slab = new Slab(0, 2 * CHUNK);
  slab.give(slab.take(4096));
  slab.give(slab.take(65_536));
  t.ok(slab.take(CHUNK) >= 0);
  t.ok(slab.take(CHUNK) >= 0);
  t.equal(slab.take(1), -1);
});

t.test('a chunk in use serves its own size only: one small block stands against one large', async (t) => {
  const slab = new Slab(0, CHUNK);
  const small = slab.take(1);
  t.equal(slab.take(CHUNK), -1);
  t.equal(slab.take(8192), -1);
  t.ok(slab.take(4096) >= 0);
  t.equal(slab.freeBytes, CHUNK - 8192);
  slab.give(small);
});

t.test('the block that was given back last is handed out first', async (t) => {
  const slab = new Slab(0, 4 * CHUNK);
  const blocks = [slab.take(4096), slab.take(4096), slab.take(4096)];
  slab.give(blocks[1]!);
  slab.give(blocks[0]!);
  t.equal(slab.take(4096), blocks[0]);
  t.equal(slab.take(4096), blocks[1]);
});

t.test('giving back what was not handed out of an unused chunk throws', async (t) => {
  const slab = new Slab(4096, CHUNK);
  t.throws(() => slab.give(4096), /not handed out/);
});

/** Looks at the slab that often, and says what was released, as [offset, bytes]. */
function looks(slab: Slab, count: number): [number, number][] {
  const released: [number, number][] = [];
  for (let i = 0; i < count; i++)
    slab.releaseQuiet({
      release: (offset, bytes) => void released.push([offset, bytes]),
      allowHugePages: () => {},
    });
  return released;
}

t.test(
  'memory that was used is released once, ten looks after it was given back, neighbours in one',
  async (t) => {
    const slab = new Slab(4096, 7 * CHUNK);
    const blocks = Array.from({ length: 3 }, () => slab.take(CHUNK));
    t.same(
      looks(slab, 30),
      [[4096 + 3 * CHUNK, 4 * CHUNK]],
      'nothing that is in use, but what nobody had taken yet, which a huge page has brought',
    );
    for (const block of blocks) slab.give(block);
    t.same(looks(slab, 10), []);
    t.same(looks(slab, 1), [[4096, 7 * CHUNK]]);
    t.same(looks(slab, 30), [], 'and not again');
    slab.give(slab.take(CHUNK));
    t.equal(looks(slab, 11).length, 1, 'until it has been used again');
  },
);

t.test('memory that is used now and then is not released', async (t) => {
  const slab = new Slab(0, 4 * CHUNK);
  for (let i = 0; i < 20; i++) {
    slab.give(slab.take(8192));
    t.same(looks(slab, 9), []);
  }
});

t.test('in a chunk of which something is in use only the free blocks are released', async (t) => {
  const slab = new Slab(0, 2 * CHUNK);
  const blocks = Array.from({ length: CHUNK / FRAME_BYTES }, () => slab.take(FRAME_BYTES));
  for (const block of blocks) if (![0, 5, 9].includes(block / FRAME_BYTES)) slab.give(block);
  t.same(
    looks(slab, 11).map(([offset, bytes]) => [offset / FRAME_BYTES, bytes / FRAME_BYTES]),
    [
      [1, 4],
      [6, 3],
      [10, 118],
    ],
  );
});

t.test('a look releases a bounded part, and the next ones the rest', async (t) => {
  const chunks = 256;
  const slab = new Slab(0, chunks * CHUNK);
  const blocks = Array.from({ length: chunks }, () => slab.take(CHUNK));
  for (const block of blocks) slab.give(block);
  looks(slab, 10);
  let total = 0;
  for (let i = 0; i < 8; i++) {
    const bytes = looks(slab, 1).reduce((sum, [, length]) => sum + length, 0);
    t.ok(bytes <= 32 * CHUNK);
    total += bytes;
  }
  t.equal(total, chunks * CHUNK);
});

t.test('no block that is handed out is ever released', async () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
      const slab = new Slab(36_864, 4 * CHUNK);
      const blocks = new Map<number, number>();
      for (const step of actions) {
        if ('take' in step) {
          const block = slab.take(step.take);
          if (block >= 0) blocks.set(block, Slab.blockBytes(step.take));
        } else if (blocks.size > 0) {
          const block = [...blocks.keys()][step.give % blocks.size]!;
          slab.give(block);
          blocks.delete(block);
        }
        for (const [offset, bytes] of looks(slab, actions.length % 4 === 0 ? 12 : 3)) {
          for (const [block, size] of blocks)
            if (offset < block + size && block < offset + bytes) throw new Error(`released ${block}`);
        }
      }
    }),
  );
});

const FRAMES_PER_HUGE_PAGE = HUGE_PAGE_BYTES / FRAME_BYTES;

/** Memory as the kernel keeps it: first use brings a whole huge page, and khugepaged makes whole ones of parts. */
class Kernel {
  readonly #resident: Uint8Array;
  readonly #allowed: Uint8Array;

  constructor(bytes: number) {
    const pages = Math.ceil(bytes / HUGE_PAGE_BYTES);
    this.#resident = new Uint8Array(pages * FRAMES_PER_HUGE_PAGE);
    this.#allowed = new Uint8Array(pages).fill(1);
  }

  use(offset: number, bytes: number): void {
    for (let at = offset / FRAME_BYTES; at < (offset + bytes) / FRAME_BYTES; at++) {
      const page = Math.floor(at / FRAMES_PER_HUGE_PAGE);
      if (this.#allowed[page] === 1 && this.#residentIn(page) === 0) this.#fill(page);
      this.#resident[at] = 1;
    }
  }

  release(offset: number, bytes: number): void {
    this.#resident.fill(0, offset / FRAME_BYTES, (offset + bytes) / FRAME_BYTES);
  }

  allowHugePages(offset: number, bytes: number, allowed: boolean): void {
    const [first, end] = [offset / HUGE_PAGE_BYTES, (offset + bytes) / HUGE_PAGE_BYTES];
    if (!Number.isInteger(first) || !Number.isInteger(end)) throw new Error(`${bytes} bytes at ${offset}`);
    this.#allowed.fill(allowed ? 1 : 0, first, end);
  }

  khugepaged(): void {
    for (let page = 0; page < this.#allowed.length; page++)
      if (this.#allowed[page] === 1 && this.#residentIn(page) > 0) this.#fill(page);
  }

  isResident(offset: number): boolean {
    return this.#resident[offset / FRAME_BYTES] === 1;
  }

  isAllowed(page: number): boolean {
    return this.#allowed[page] === 1;
  }

  get residentBytes(): number {
    return this.#resident.reduce((sum, one) => sum + one, 0) * FRAME_BYTES;
  }

  #residentIn(page: number): number {
    const first = page * FRAMES_PER_HUGE_PAGE;
    return this.#resident.subarray(first, first + FRAMES_PER_HUGE_PAGE).reduce((sum, one) => sum + one, 0);
  }

  #fill(page: number): void {
    this.#resident.fill(1, page * FRAMES_PER_HUGE_PAGE, (page + 1) * FRAMES_PER_HUGE_PAGE);
  }
}

t.test('what is released stays so: the kernel makes no huge pages of the rest', async (t) => {
  const sizes = fc.constantFrom(FRAME_BYTES, FRAME_BYTES, 3 * FRAME_BYTES, 65_536, CHUNK);
  fc.assert(
    fc.property(
      fc.constantFrom(0, 4096, 36_864, HUGE_PAGE_BYTES),
      fc.integer({ min: 1, max: 40 }),
      fc.array(
        fc.oneof(
          { weight: 4, arbitrary: fc.record({ take: sizes, times: fc.integer({ min: 1, max: 200 }) }) },
          { weight: 4, arbitrary: fc.record({ give: fc.nat(), times: fc.integer({ min: 1, max: 300 }) }) },
          { weight: 1, arbitrary: fc.record({ looks: fc.integer({ min: 1, max: 15 }) }) },
        ),
        { maxLength: 30 },
      ),
      (base, chunks, steps) => {
        const slab = new Slab(base, chunks * CHUNK);
        const kernel = new Kernel(base + chunks * CHUNK);
        const taken: [number, number][] = [];
        const look = (): void => {
          slab.releaseQuiet(kernel);
          kernel.khugepaged();
          for (const [at, bytes] of taken)
            for (let i = 0; i < bytes; i += FRAME_BYTES)
              if (!kernel.isResident(at + i)) throw new Error(`${at + i} is taken and was released`);
        };
        if (base > 0) kernel.use(0, base);
        for (const step of steps) {
          if ('looks' in step) for (let i = 0; i < step.looks; i++) look();
          else
            for (let i = 0; i < step.times; i++) {
              if ('take' in step) {
                const at = slab.take(step.take);
                if (at < 0) continue;
                const bytes = Slab.blockBytes(step.take);
                kernel.use(at, bytes);
                taken.push([at, bytes]);
              } else if (taken.length > 0)
                slab.give(taken.splice((step.give * (i + 1)) % taken.length, 1)[0]![0]);
            }
        }
        for (let i = 0; i < 30; i++) look();
        // What lies behind the slab in its last huge page is nobody's.
        const end = base + slab.totalBytes;
        const behind = Math.ceil(end / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES - end;
        const most = base + slab.totalBytes - slab.freeBytes + behind;
        if (kernel.residentBytes > most)
          throw new Error(`${kernel.residentBytes} bytes are left, not ${most}`);
      },
    ),
    { numRuns: 200 },
  );
  t.pass('in 200 runs');
});

t.test(
  'huge pages are allowed while something of one is used, and when nothing is left of one',
  async (t) => {
    const slab = new Slab(0, HUGE_PAGE_BYTES);
    const kernel = new Kernel(HUGE_PAGE_BYTES);
    const look = (times: number): void => {
      for (let i = 0; i < times; i++) slab.releaseQuiet(kernel);
    };
    const kept = slab.take(CHUNK);
    slab.give(slab.take(CHUNK));
    look(10);
    t.ok(kernel.isAllowed(0));
    look(1);
    t.notOk(kernel.isAllowed(0), 'a part is released');
    look(20);
    t.notOk(kernel.isAllowed(0));
    slab.give(slab.take(CHUNK));
    look(1);
    t.ok(kernel.isAllowed(0), 'it is used again');
    look(10);
    t.notOk(kernel.isAllowed(0), 'it has been left alone again');
    slab.give(kept);
    look(11);
    t.ok(kernel.isAllowed(0), 'nothing is left of it');
    t.equal(kernel.residentBytes, 0);
  },
);

t.test('a huge page that is used here and there is left alone', async (t) => {
  const slab = new Slab(0, 2 * HUGE_PAGE_BYTES);
  const kernel = new Kernel(2 * HUGE_PAGE_BYTES);
  const blocks = Array.from({ length: 16 }, () => slab.take(CHUNK));
  for (const block of blocks) kernel.use(block, CHUNK);
  for (const block of blocks) slab.give(block);
  for (let i = 0; i < 40; i++) {
    slab.give(slab.take(CHUNK));
    slab.releaseQuiet(kernel);
  }
  t.equal(kernel.residentBytes, HUGE_PAGE_BYTES, 'the other one has gone back');
  t.ok(kernel.isAllowed(0) && kernel.isAllowed(1));
});
