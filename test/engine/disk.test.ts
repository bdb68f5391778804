// Jobs on real files and devices: many at once, of any alignment, compared with a model.

import { readFileSync, truncateSync } from 'node:fs';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { openBacking } from '../../src/engine/backing.js';
import { JobEngine } from '../../src/engine/jobs.js';
import { IO_DURABLE, IO_MAY_PUNCH, Ring } from '../../src/engine/ring.js';
import { Slab } from '../../src/engine/slab.js';
import { Volume } from '../../src/engine/volume.js';
import { type BackingKind, makeBacking } from '../support/backing.js';
import { KiB, MiB, pattern } from '../support/files.js';

const EIO = 5;
const MEMORY_BYTES = 32 * MiB;

/** A ring, a slab and an engine on one file, with promises in place of a server. */
class Disk {
  readonly ring = new Ring({ memoryBytes: MEMORY_BYTES, queueDepth: 64 });
  readonly slab = new Slab(0, MEMORY_BYTES);
  readonly jobs: JobEngine;
  readonly volume: Volume;
  readonly #close: () => void;
  readonly #waiting = new Map<number, (errno: number) => void>();

  constructor(path: string, direct: 'on' | 'off' | 'auto') {
    this.jobs = new JobEngine(this.ring, { jobDone: (job, errno) => this.#waiting.get(job)!(errno) }, 4096);
    const backing = openBacking({ path, readOnly: false, direct, lock: false });
    this.#close = backing.close;
    this.volume = new Volume(this.ring, backing);
    this.ring.attach({ complete: (op, tag, result) => this.jobs.complete(op, tag, result), batchEnd() {} });
  }

  /** One job for at most a piece; resolves to its errno and, for a read, its bytes. */
  #job(offset: number, length: number, blockBytes: number, start: (job: number) => void): Promise<number> {
    const { jobs, slab, volume } = this;
    const job = jobs.take(volume, 0);
    const block = blockBytes > 0 ? slab.take(blockBytes) : 0;
    if (block < 0) throw new Error('the test wants more memory than it has');
    jobs.block[job] = block;
    jobs.data[job] = block + volume.leadBytes(offset);
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    return new Promise((resolve) => {
      this.#waiting.set(job, (errno) => {
        resolve(errno);
        this.#waiting.delete(job);
        if (blockBytes > 0) slab.give(block);
        jobs.release(job);
      });
      start(job);
    });
  }

  async write(offset: number, data: Uint8Array, flags = 0): Promise<number> {
    const all: Promise<number>[] = [];
    for (let at = 0; at < data.length; ) {
      const length = this.volume.pieceBytes(offset + at, data.length - at, true);
      const bytes = this.volume.blockBytes(offset + at, length, true);
      const piece = data.subarray(at, at + length);
      all.push(
        this.#job(offset + at, length, bytes, (job) => {
          this.ring.bytes.set(piece, this.jobs.data[job]!);
          this.jobs.write(job, flags);
        }),
      );
      at += length;
    }
    return (await Promise.all(all)).find((errno) => errno !== 0) ?? 0;
  }

  async read(offset: number, length: number): Promise<Buffer | number> {
    const result = Buffer.alloc(length);
    const all: Promise<number>[] = [];
    for (let at = 0; at < length; ) {
      const piece = this.volume.pieceBytes(offset + at, length - at, false);
      const into = result.subarray(at, at + piece);
      let data = 0;
      const bytes = this.volume.blockBytes(offset + at, piece, false);
      const read = this.#job(offset + at, piece, bytes, (job) => {
        data = this.jobs.data[job]!;
        // Copied as soon as it is there, before the block is used for something else.
        const waiting = this.#waiting.get(job)!;
        this.#waiting.set(job, (errno) => {
          into.set(this.ring.bytes.subarray(data, data + piece));
          waiting(errno);
        });
        this.jobs.read(job);
      });
      all.push(read);
      at += piece;
    }
    return (await Promise.all(all)).find((errno) => errno !== 0) ?? result;
  }

  change(op: 'trim' | 'zero', offset: number, length: number, flags = 0): Promise<number> {
    return this.#job(offset, length, 0, (job) => this.jobs[op](job, flags));
  }

  sync(): Promise<number> {
    return this.#job(0, 0, 0, (job) => this.jobs.sync(job));
  }

  async close(): Promise<void> {
    await this.ring.shutdown();
    this.#close();
  }
}

function openDisk(t: Test, path: string, direct: 'on' | 'off' | 'auto'): Disk {
  const disk = new Disk(path, direct);
  t.teardown(() => disk.close());
  return disk;
}

const KINDS: { title: string; kind: BackingKind; direct: 'on' | 'off' | 'auto'; sizeBytes: number }[] = [
  { title: 'a file with 512-byte sectors, direct', kind: 'file', direct: 'on', sizeBytes: MiB },
  { title: 'a file that ends within a sector, direct', kind: 'file', direct: 'on', sizeBytes: 1_000_003 },
  { title: 'a file, buffered', kind: 'file', direct: 'off', sizeBytes: 1_000_003 },
  { title: 'a file with 4 KiB sectors, direct', kind: 'file4k', direct: 'on', sizeBytes: MiB },
  {
    title: 'a file with 4 KiB sectors that ends within one, direct',
    kind: 'file4k',
    direct: 'on',
    sizeBytes: MiB + 513,
  },
  { title: 'a file on tmpfs', kind: 'tmpfs', direct: 'auto', sizeBytes: MiB },
  { title: 'a block device with 4 KiB sectors, direct', kind: 'device4k', direct: 'on', sizeBytes: MiB },
];

// A round cuts the whole volume into ranges and does something to each of them, all at the same time.
const rounds = fc.array(
  fc.array(
    fc.record({
      cut: fc.double({ min: 0, max: 1, noNaN: true }),
      what: fc.constantFrom('write', 'write', 'write', 'read', 'zero', 'trim', 'nothing'),
      seed: fc.nat(1000),
      flags: fc.constantFrom(0, 0, 0, IO_DURABLE),
    }),
    { minLength: 1, maxLength: 40 },
  ),
  { minLength: 1, maxLength: 4 },
);

for (const { title, kind, direct, sizeBytes } of KINDS) {
  t.test(
    `whatever is done at once to disjoint ranges of ${title}, no byte of a neighbour changes`,
    async (t) => {
      const backing = await makeBacking(t, kind, sizeBytes);
      const disk = openDisk(t, backing.path, direct);
      const page = Math.max(disk.volume.unitBytes, 4096);
      const model = pattern(sizeBytes, 1);
      t.equal(await kicked(disk, disk.write(0, model)), 0);
      await fc.assert(
        fc.asyncProperty(rounds, async (all) => {
          for (const round of all) {
            const cuts = round.map(({ cut }) => Math.floor(cut * sizeBytes)).sort((a, b) => a - b);
            const work = round.map(async ({ what, seed, flags }, i) => {
              const start = cuts[i]!;
              const end = cuts[i + 1] ?? sizeBytes;
              if (start === end) return;
              if (what === 'write') {
                const data = pattern(end - start, seed);
                model.set(data, start);
                if ((await disk.write(start, data, flags)) !== 0) throw new Error(`write at ${start}`);
              } else if (what === 'read') {
                const expected = Buffer.from(model.subarray(start, end));
                const got = await disk.read(start, end - start);
                if (typeof got === 'number' || !got.equals(expected)) throw new Error(`read at ${start}`);
              } else if (what !== 'nothing') {
                const first = Math.ceil(start / page) * page;
                const last = Math.floor(end / page) * page;
                if (first >= last) return;
                model.fill(0, first, last);
                const punch = what === 'zero' && seed % 2 === 0 ? IO_MAY_PUNCH : 0;
                const errno = await disk.change(what as 'zero' | 'trim', first, last - first, flags | punch);
                if (errno !== 0) throw new Error(`${what} at ${first}: errno ${errno}`);
              }
            });
            work.push(disk.sync().then(() => undefined));
            disk.ring.kick();
            await Promise.all(work);
          }
          const whole = disk.read(0, sizeBytes);
          disk.ring.kick();
          const got = await whole;
          if (typeof got === 'number') throw new Error(`reading all of it: errno ${got}`);
          if (!got.equals(model)) {
            throw new Error(`byte ${got.findIndex((byte, i) => byte !== model[i])} is another`);
          }
          if (disk.slab.freeBytes !== disk.slab.totalBytes) throw new Error('memory is lost');
        }),
        { numRuns: 12, endOnFailure: true },
      );
      t.equal(await kicked(disk, disk.sync()), 0);
      t.ok(readFileSync(backing.path).equals(model), 'and the file, read by others, has the same bytes');
      await disk.close();
    },
  );
}

for (const { title, kind, direct } of KINDS.filter(({ title }) => title.endsWith('sectors, direct'))) {
  t.test(`hundreds of small writes into the same units of ${title} are all there`, async (t) => {
    const backing = await makeBacking(t, kind, MiB);
    const disk = openDisk(t, backing.path, direct);
    const model = Buffer.alloc(64 * KiB);
    for (let round = 0; round < 3; round++) {
      const work: Promise<number>[] = [];
      let seed = round;
      for (let at = 0; at < model.length; ) {
        seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
        const length = Math.min(1 + (seed % 700), model.length - at);
        model.fill(1 + (seed % 255), at, at + length);
        work.push(disk.write(at, Buffer.from(model.subarray(at, at + length))));
        at += length;
      }
      const results = await kicked(disk, Promise.all(work));
      t.ok(results.every((errno) => errno === 0));
    }
    const got = await kicked(disk, disk.read(0, model.length));
    t.ok(Buffer.isBuffer(got) && got.equals(model));
    await disk.close();
  });
}

for (const direct of ['on', 'off'] as const) {
  t.test(`a file that is cut short underneath is an error, never a hang (direct=${direct})`, async (t) => {
    const backing = await makeBacking(t, 'file', MiB);
    const disk = openDisk(t, backing.path, direct);
    t.equal(await kicked(disk, disk.write(0, pattern(MiB, 1))), 0);
    truncateSync(backing.path, 500_000);
    t.equal(await kicked(disk, disk.read(600_000, 1000)), EIO, 'past the new end');
    t.equal(await kicked(disk, disk.read(499_999, 2)), EIO, 'across it');
    const before = await kicked(disk, disk.read(400_000, 1000));
    t.ok(
      Buffer.isBuffer(before) && before.equals(pattern(MiB, 1).subarray(400_000, 401_000)),
      'in front of it',
    );
    const unaligned = await kicked(disk, disk.write(700_001, Buffer.alloc(10, 7)));
    t.equal(
      unaligned,
      direct === 'on' ? EIO : 0,
      'an unaligned direct write would have to know the rest of its unit',
    );
    t.equal(
      await kicked(disk, disk.write(655_360, Buffer.alloc(4096, 8))),
      0,
      'an aligned write fills it again',
    );
    await disk.close();
  });
}

/** Submits what was started outside of a completion. */
function kicked<T>(disk: Disk, work: Promise<T>): Promise<T> {
  disk.ring.kick();
  return work;
}
