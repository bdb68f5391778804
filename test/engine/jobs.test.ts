// What the engine asks of the ring, and in what order, seen with a ring whose completions the test hands out.

import fc from 'fast-check';
import t from 'tap';
import { JobEngine } from '../../src/engine/jobs.js';
import {
  IO_DURABLE,
  OP_ADVISE,
  OP_READ,
  OP_SYNC,
  OP_TRIM,
  OP_WRITE,
  OP_ZERO,
} from '../../src/engine/ring.js';
import type { Volume } from '../../src/engine/volume.js';
import { FakeRing, fakeVolume, type Geometry, type Submission } from './fake-ring.js';

const EIO = 5;
const ENOSPC = 28;
const ECANCELED = 125;
const UNIT = 4096;
const BLOCK = 64 * 1024;

interface Ended {
  readonly job: number;
  readonly errno: number;
}

/** An engine over a fake ring; each job that is taken has a block of its own. */
class Bench {
  readonly ring: FakeRing;
  readonly volume: Volume;
  readonly jobs: JobEngine;
  readonly ended: Ended[] = [];
  onDone: (job: number, errno: number) => void = () => {};
  readonly #blockBytes: number;

  constructor(
    geometry: Geometry = { sizeBytes: 16 * UNIT, unitBytes: UNIT },
    capacity = 32,
    blockBytes = BLOCK,
  ) {
    this.#blockBytes = blockBytes;
    this.ring = new FakeRing(capacity * blockBytes, geometry.sizeBytes);
    this.volume = fakeVolume(this.ring, geometry);
    this.jobs = new JobEngine(
      this.ring.ring,
      {
        jobDone: (job, errno) => {
          this.ended.push({ job, errno });
          this.onDone(job, errno);
        },
      },
      capacity,
    );
  }

  take(offset: number, length: number): number {
    const { jobs, volume } = this;
    const job = jobs.take(volume, 0);
    jobs.block[job] = job * this.#blockBytes;
    jobs.data[job] = job * this.#blockBytes + volume.leadBytes(offset);
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    return job;
  }

  write(offset: number, length: number, fill: number, flags = 0): number {
    const job = this.take(offset, length);
    const data = this.jobs.data[job]!;
    this.ring.bytes.fill(fill, data, data + length);
    this.jobs.write(job, flags);
    return job;
  }

  read(offset: number, length: number): number {
    const job = this.take(offset, length);
    this.jobs.read(job);
    return job;
  }

  change(op: 'trim' | 'zero', offset: number, length: number, flags = 0): number {
    const job = this.take(offset, length);
    this.jobs[op](job, flags);
    return job;
  }

  sync(): number {
    const job = this.take(0, 0);
    this.jobs.sync(job);
    return job;
  }

  complete(submission: Submission | undefined, result?: number): void {
    this.ring.complete(this.jobs, submission, result);
  }

  completeAll(): void {
    while (this.ring.pending.length > 0) this.complete(this.ring.pending[0]);
  }

  /** op and tag of what waits for the kernel. */
  get pending(): [number, number][] {
    return this.ring.pending.map(({ op, tag }) => [op, tag]);
  }
}

// ---- shapes of single jobs ----

t.test('an aligned write is one write, and durable if it is to be', async (t) => {
  const bench = new Bench();
  const job = bench.write(2 * UNIT, 3 * UNIT, 7, IO_DURABLE);
  t.match(bench.ring.pending, [
    { op: OP_WRITE, buffer: job * BLOCK, length: 3 * UNIT, offset: 2 * UNIT, flags: IO_DURABLE, tag: job },
  ]);
  t.equal(bench.ring.pending[0]!.file, bench.volume.directFile);
  bench.completeAll();
  t.same(bench.ended, [{ job, errno: 0 }]);
});

t.test('an unaligned write reads the outer units and writes whole ones', async (t) => {
  const cases: [string, number, number, number[], [number, number]][] = [
    ['within one unit', 5000, 100, [UNIT], [UNIT, UNIT]],
    ['from a unit to its middle', UNIT, 100, [UNIT], [UNIT, UNIT]],
    ['from the middle to the end of a unit', UNIT + 100, UNIT - 100, [UNIT], [UNIT, UNIT]],
    ['over a boundary', 2 * UNIT - 1, 2, [UNIT, 2 * UNIT], [UNIT, 2 * UNIT]],
    ['over whole units', UNIT + 1, 3 * UNIT, [UNIT, 4 * UNIT], [UNIT, 4 * UNIT]],
    ['from the middle to an end', UNIT + 1, 3 * UNIT - 1, [UNIT], [UNIT, 3 * UNIT]],
    ['from a boundary into a unit', UNIT, 3 * UNIT + 1, [4 * UNIT], [UNIT, 4 * UNIT]],
  ];
  for (const [title, offset, length, reads, [start, covering]] of cases) {
    const bench = new Bench();
    bench.ring.disk.fill(0xdd);
    const job = bench.write(offset, length, 0x11, IO_DURABLE);
    t.same(
      bench.ring.pending.map((s) => [s.op, s.offset, s.length]),
      reads.map((at) => [OP_READ, at, UNIT]),
      `${title}: reads`,
    );
    // The last first: their order is the disk's.
    for (const read of [...bench.ring.pending].reverse()) bench.complete(read);
    t.match(bench.ring.pending, [
      { op: OP_WRITE, offset: start, length: covering, flags: IO_DURABLE, tag: job },
    ]);
    bench.completeAll();
    const expected = Buffer.alloc(16 * UNIT, 0xdd).fill(0x11, offset, offset + length);
    t.ok(Buffer.from(bench.ring.disk).equals(expected), `${title}: bytes`);
    t.same(bench.ended, [{ job, errno: 0 }]);
  }
});

t.test('an unaligned read reads whole units around the data', async (t) => {
  const bench = new Bench();
  for (let i = 0; i < bench.ring.disk.length; i++) bench.ring.disk[i] = i % 251;
  const job = bench.read(UNIT + 100, UNIT);
  t.match(bench.ring.pending, [{ op: OP_READ, offset: UNIT, length: 2 * UNIT, buffer: job * BLOCK }]);
  bench.completeAll();
  const data = bench.jobs.data[job]!;
  t.same(bench.ring.bytes.subarray(data, data + UNIT), bench.ring.disk.subarray(UNIT + 100, 2 * UNIT + 100));
});

t.test(
  'past the end of direct I/O, and on buffered volumes, ranges go as they are to the buffered file',
  async (t) => {
    for (const bench of [
      new Bench({ sizeBytes: 3 * UNIT + 100, unitBytes: UNIT }),
      new Bench({ sizeBytes: 3 * UNIT + 100, unitBytes: 1 }),
    ]) {
      const write = bench.write(3 * UNIT + 3, 50, 1, IO_DURABLE);
      const read = bench.read(3 * UNIT + 1, 99);
      t.match(bench.ring.pending, [
        { op: OP_WRITE, offset: 3 * UNIT + 3, length: 50, flags: IO_DURABLE, tag: write },
        { op: OP_READ, offset: 3 * UNIT + 1, length: 99, tag: read },
      ]);
      t.ok(bench.ring.pending.every(({ file }) => file === bench.volume.bufferedFile));
      bench.completeAll();
    }
  },
);

t.test('a read that brings fewer bytes than it needs ends with EIO', async (t) => {
  const bench = new Bench();
  const cases: [number, number, number, number][] = [
    [0, UNIT, UNIT - 1, EIO],
    [0, UNIT, 0, EIO],
    [100, 200, 299, EIO],
    [100, 200, 300, 0],
    [100, 200, -EIO, EIO],
  ];
  for (const [offset, length, result, errno] of cases) {
    const job = bench.read(offset, length);
    bench.complete(bench.ring.pending[0], result);
    t.same(bench.ended.pop(), { job, errno }, `${result} bytes for ${length} at ${offset}`);
  }
});

t.test(
  'an unaligned write whose outer unit cannot be read ends with that error and writes nothing',
  async (t) => {
    for (const [first, last, errno] of [
      [-EIO, UNIT, EIO],
      [UNIT, -EIO, EIO],
      [-EIO, -EIO, EIO],
      [UNIT - 512, UNIT, EIO],
      [UNIT, 0, EIO],
    ] as const) {
      const bench = new Bench();
      const job = bench.write(UNIT + 1, UNIT, 1);
      const later = bench.write(UNIT, UNIT, 2);
      const [a, b] = [...bench.ring.pending];
      bench.complete(a, first);
      t.same(bench.ended, [], 'it waits for both');
      bench.complete(b, last);
      t.same(bench.ended, [{ job, errno }]);
      t.same(bench.pending, [[OP_WRITE, later]], 'and what waited for it goes on');
    }
  },
);

t.test('errors of writes, trims, zeroes and syncs come out as positive numbers', async (t) => {
  const bench = new Bench();
  const started = [
    bench.write(0, UNIT, 1),
    bench.change('trim', 0, UNIT),
    bench.change('zero', 0, UNIT),
    bench.sync(),
  ];
  for (const tag of started)
    bench.complete(
      bench.ring.pending.find((s) => s.tag === tag),
      -ENOSPC,
    );
  t.same(
    bench.ended,
    started.map((job) => ({ job, errno: ENOSPC })),
  );
});

t.test('trim, zero and advise go to the file with their range and flags', async (t) => {
  const bench = new Bench();
  const job = bench.take(UNIT, 2 * UNIT);
  bench.jobs.trim(job, IO_DURABLE);
  const other = bench.take(4 * UNIT, UNIT);
  bench.jobs.zero(other, 3);
  t.ok(bench.jobs.isZero(other));
  t.notOk(bench.jobs.isZero(job));
  const third = bench.take(0, 100);
  bench.jobs.advise(third);
  t.match(bench.ring.pending, [
    { op: OP_TRIM, offset: UNIT, length: 2 * UNIT, flags: IO_DURABLE, tag: job },
    { op: OP_ZERO, offset: 4 * UNIT, length: UNIT, flags: 3, tag: other },
    { op: OP_ADVISE, offset: 0, length: 100, tag: third },
  ]);
  bench.completeAll();
  t.equal(bench.ended.length, 3);
});

// ---- order ----

t.test('two unaligned writes in one unit follow each other, and no byte is lost', async (t) => {
  const bench = new Bench();
  bench.ring.disk.fill(0xdd);
  bench.write(UNIT, 100, 1);
  bench.write(UNIT + 100, 100, 2);
  t.equal(bench.ring.pending.length, 1, 'the second waits');
  bench.completeAll();
  const expected = Buffer.alloc(16 * UNIT, 0xdd)
    .fill(1, UNIT, UNIT + 100)
    .fill(2, UNIT + 100, UNIT + 200);
  t.ok(Buffer.from(bench.ring.disk).equals(expected));
});

t.test('writes that share no unit run at the same time, aligned or not', async (t) => {
  const bench = new Bench();
  bench.write(1, 10, 1);
  bench.write(UNIT + 1, 10, 2);
  bench.write(2 * UNIT, UNIT, 3);
  bench.write(2 * UNIT, UNIT, 4);
  t.equal(
    bench.ring.pending.length,
    4,
    'and so do aligned ones that overlap: their order is the client’s business',
  );
});

t.test('what overlaps an unaligned write waits for it: writes, trims and zeroes, not reads', async (t) => {
  const bench = new Bench();
  const first = bench.write(UNIT + 5, 10, 1);
  const others = [
    bench.write(UNIT, UNIT, 2),
    bench.change('trim', 0, 2 * UNIT),
    bench.change('zero', UNIT, 4 * UNIT),
  ];
  const read = bench.read(UNIT, UNIT);
  t.same(bench.pending, [
    [OP_READ, first],
    [OP_READ, read],
  ]);
  bench.complete(bench.ring.find(OP_READ, first));
  bench.complete(bench.ring.find(OP_WRITE, first));
  t.same(
    bench.ring.pending.map(({ tag }) => tag),
    [read, ...others],
    'and then they all run',
  );
});

t.test('an unaligned write waits for older trims, zeroes and aligned writes of its units', async (t) => {
  const bench = new Bench();
  bench.change('trim', 0, 2 * UNIT);
  bench.change('zero', UNIT, UNIT);
  bench.write(UNIT, UNIT, 1);
  const last = bench.write(UNIT + 1, 1, 2);
  for (let left = 3; left > 0; left--) {
    t.notOk(bench.ring.submitted.some(({ tag }) => tag === last));
    bench.complete(bench.ring.pending[0]);
  }
  t.match(bench.ring.pending, [{ op: OP_READ, tag: last }]);
});

t.test('those who wait for the same unit keep their order', async (t) => {
  const bench = new Bench();
  const all = [1, 2, 3, 4, 5, 6].map((i) => bench.write(UNIT + i * 10, 100, i));
  bench.completeAll();
  t.same(
    bench.ended.map(({ job }) => job),
    all,
  );
  t.same(
    [...bench.ring.disk.subarray(UNIT + 10, UNIT + 70)].filter((_, i) => i % 10 === 0),
    [1, 2, 3, 4, 5, 6],
  );
});

t.test('a job that waits holds up only what overlaps it', async (t) => {
  const bench = new Bench();
  const a = bench.write(1, 10, 1);
  const b = bench.write(5, UNIT, 2); // behind a; units 0 and 1
  const c = bench.write(UNIT + 100, 10, 3); // behind b; unit 1
  const d = bench.write(3 * UNIT + 1, 10, 4); // behind nobody
  t.same(new Set(bench.ring.pending.map(({ tag }) => tag)), new Set([a, d]));
  bench.complete(bench.ring.find(OP_READ, a));
  bench.complete(bench.ring.find(OP_WRITE, a));
  t.notOk(bench.ring.pending.some(({ tag }) => tag === c));
  bench.completeAll();
  t.same(new Set(bench.ended.map(({ job }) => job)), new Set([a, b, c, d]));
});

t.test('a new job may be started from within jobDone, on the units of the one that is done', async (t) => {
  const bench = new Bench();
  let left = 5;
  bench.onDone = (job) => {
    bench.jobs.release(job);
    if (left-- > 0) bench.write(UNIT + left, 100, left);
  };
  bench.write(UNIT + 50, 100, 9);
  bench.write(UNIT + 60, 100, 8);
  bench.completeAll();
  t.equal(bench.ended.length, 7);
  t.equal(bench.jobs.available, 32);
  t.match(bench.volume, { firstMutator: -1, lastMutator: -1, exclusiveMutators: 0, waitingMutators: 0 });
});

// ---- abandon ----

t.test('an abandoned job that waits ends with ECANCELED at once, and never runs', async (t) => {
  const bench = new Bench();
  const first = bench.write(1, 10, 1);
  const second = bench.write(2, 10, 2);
  const third = bench.write(3, 10, 3);
  bench.jobs.abandon(second);
  t.same(bench.ended, [{ job: second, errno: ECANCELED }]);
  bench.completeAll();
  t.same(
    bench.ended.map(({ job }) => job),
    [second, first, third],
  );
  t.notOk(bench.ring.submitted.some(({ tag }) => tag === second));
});

t.test('what waited only for an abandoned job runs at once', async (t) => {
  const bench = new Bench();
  bench.write(1, 10, 1);
  const second = bench.write(2, UNIT, 2); // units 0 and 1, behind the first
  const third = bench.write(UNIT + 200, 10, 3); // unit 1, behind the second
  t.notOk(bench.ring.find(OP_READ, third));
  bench.jobs.abandon(second);
  t.ok(bench.ring.find(OP_READ, third));
});

t.test(
  'an abandoned write that the kernel has runs on, and a later one to its place waits for it',
  async (t) => {
    const bench = new Bench();
    const old = bench.write(UNIT, UNIT, 1);
    bench.jobs.abandon(old);
    t.same(bench.ring.cancelled, [old], 'it may still be given up where it has not started');
    const elsewhere = bench.write(4 * UNIT, UNIT, 2);
    const later = bench.write(UNIT, 2 * UNIT, 3);
    t.same(
      bench.ring.pending.map(({ tag }) => tag),
      [old, elsewhere],
    );
    bench.complete(bench.ring.find(OP_WRITE, old));
    t.ok(bench.ring.find(OP_WRITE, later));
    bench.completeAll();
    t.equal(bench.ring.disk[UNIT], 3, 'the newer one is what stays');
  },
);

t.test(
  'an abandoned write that could be given up ends with ECANCELED and lets the later one go',
  async (t) => {
    const bench = new Bench();
    const old = bench.write(UNIT, UNIT, 1);
    bench.jobs.abandon(old);
    const later = bench.write(UNIT, UNIT, 3);
    bench.complete(bench.ring.find(OP_WRITE, old), -ECANCELED);
    t.same(bench.ended, [{ job: old, errno: ECANCELED }]);
    t.ok(bench.ring.find(OP_WRITE, later));
  },
);

t.test('an unaligned write that is abandoned while it reads its units does not write', async (t) => {
  const bench = new Bench();
  const old = bench.write(UNIT + 1, UNIT, 1);
  bench.complete(bench.ring.pending[0]);
  bench.jobs.abandon(old);
  const later = bench.write(UNIT, UNIT, 2);
  t.notOk(bench.ring.find(OP_WRITE));
  bench.complete(bench.ring.find(OP_READ, old));
  t.same(bench.ended, [{ job: old, errno: ECANCELED }]);
  t.ok(bench.ring.find(OP_WRITE, later));
});

t.test('abandoning trims and zeroes is like abandoning writes; reads and syncs just end', async (t) => {
  const bench = new Bench();
  const trim = bench.change('trim', 0, UNIT);
  const zero = bench.change('zero', UNIT, UNIT);
  const read = bench.read(0, UNIT);
  const sync = bench.sync();
  for (const job of [trim, zero, read, sync, trim]) bench.jobs.abandon(job);
  const later = bench.write(0, 2 * UNIT, 1);
  t.notOk(bench.ring.find(OP_WRITE, later));
  bench.complete(bench.ring.find(OP_TRIM));
  t.notOk(bench.ring.find(OP_WRITE, later));
  bench.complete(bench.ring.find(OP_ZERO));
  t.ok(bench.ring.find(OP_WRITE, later));
  bench.completeAll();
  t.equal(bench.ended.length, 5);
  t.equal(bench.volume.exclusiveMutators, 0);
});

t.test(
  'a job that outlives its client is done all the same, and younger writes to its place wait for it',
  async (t) => {
    const bench = new Bench();
    const first = bench.write(1, 10, 1);
    const waiting = bench.write(2, 10, 2);
    const aligned = bench.write(4 * UNIT, UNIT, 3);
    const read = bench.read(0, UNIT);
    for (const job of [first, waiting, aligned, read, aligned]) bench.jobs.outlive(job);
    const younger = bench.write(4 * UNIT, UNIT, 4);
    t.same(bench.ring.cancelled, []);
    t.same(bench.ended, []);
    t.notOk(bench.ring.find(OP_WRITE, younger));
    bench.completeAll();
    t.same(
      bench.ended.map(({ errno }) => errno),
      [0, 0, 0, 0, 0],
    );
    t.equal(bench.ring.disk[1], 1);
    t.equal(bench.ring.disk[2], 2);
    t.equal(bench.ring.disk[4 * UNIT], 4);
    t.equal(bench.volume.exclusiveMutators, 0);
  },
);

t.test('abandoning a job that is not started, or is done, does nothing', async (t) => {
  const bench = new Bench();
  const idle = bench.take(0, UNIT);
  bench.jobs.abandon(idle);
  const done = bench.write(UNIT, UNIT, 1);
  bench.completeAll();
  bench.jobs.abandon(done);
  t.same(bench.ring.cancelled, []);
  t.equal(bench.ended.length, 1);
  bench.jobs.release(idle);
  bench.jobs.abandon(idle);
  t.equal(bench.ended.length, 1);
});

// ---- sync ----

t.test('a sync that comes while one runs is covered by the next, and shares it', async (t) => {
  const bench = new Bench();
  const syncs = () => bench.ring.submitted.filter(({ op }) => op === OP_SYNC).length;
  const first = bench.sync();
  const second = bench.sync();
  const third = bench.sync();
  t.equal(syncs(), 1, 'one runs');
  bench.complete(bench.ring.find(OP_SYNC));
  t.same(bench.ended, [{ job: first, errno: 0 }], 'and answers the one that it was started for');
  t.equal(syncs(), 2, 'the next runs');
  const fourth = bench.sync();
  bench.complete(bench.ring.find(OP_SYNC));
  t.same(new Set(bench.ended.slice(1).map(({ job }) => job)), new Set([second, third]), 'for both');
  t.equal(syncs(), 3);
  bench.complete(bench.ring.find(OP_SYNC));
  t.same(bench.ended.at(-1), { job: fourth, errno: 0 });
  t.same(bench.pending, []);
  bench.sync();
  t.equal(syncs(), 4, 'and a later one starts at once');
});

t.test(
  'a sync that failed fails all who asked, then and from then on, without asking the kernel again',
  async (t) => {
    // The kernel tells of lost data once, and calls its pages clean afterwards: a second fdatasync would answer 0.
    const bench = new Bench();
    const asked = [bench.sync(), bench.sync(), bench.sync()];
    bench.complete(bench.ring.find(OP_SYNC), -EIO);
    const later = bench.sync();
    t.same(
      bench.ended.sort((a, b) => a.job - b.job),
      [...asked, later].map((job) => ({ job, errno: EIO })),
    );
    t.equal(bench.ring.submitted.filter(({ op }) => op === OP_SYNC).length, 1);
    const write = bench.write(0, UNIT, 1);
    bench.completeAll();
    t.same(bench.ended.at(-1), { job: write, errno: 0 }, 'writes go on');
  },
);

t.test('an EIO that may have been the one report of lost data fails the syncs after it', async (t) => {
  const cases: [string, Geometry, (bench: Bench) => number, number, number][] = [
    [
      'a durable buffered write',
      { sizeBytes: UNIT, unitBytes: 1 },
      (b) => b.write(0, 9, 1, IO_DURABLE),
      -EIO,
      EIO,
    ],
    [
      'a durable trim',
      { sizeBytes: UNIT, unitBytes: 512 },
      (b) => b.change('trim', 0, 512, IO_DURABLE),
      -EIO,
      EIO,
    ],
    [
      'a durable direct write',
      { sizeBytes: UNIT, unitBytes: 512 },
      (b) => b.write(0, 512, 1, IO_DURABLE),
      -EIO,
      0,
    ],
    ['a buffered write', { sizeBytes: UNIT, unitBytes: 1 }, (b) => b.write(0, 9, 1), -EIO, 0],
    ['a full disk', { sizeBytes: UNIT, unitBytes: 1 }, (b) => b.write(0, 9, 1, IO_DURABLE), -ENOSPC, 0],
  ];
  for (const [title, geometry, start, result, errno] of cases) {
    const bench = new Bench(geometry);
    const job = start(bench);
    bench.complete(bench.ring.pending[0], result);
    t.same(bench.ended.pop(), { job, errno: -result }, title);
    const sync = bench.sync();
    bench.completeAll();
    t.same(bench.ended.pop(), { job: sync, errno }, `${title}: the sync after it`);
  }
});

t.test('a sync may be asked for from within jobDone of a sync', async (t) => {
  const bench = new Bench();
  let left = 10;
  bench.onDone = (job) => {
    bench.jobs.release(job);
    if (left-- > 0) bench.sync();
  };
  bench.sync();
  bench.sync();
  bench.sync();
  bench.completeAll();
  t.equal(bench.ended.length, 13);
  t.equal(bench.jobs.available, 32);
});

t.test('a sync does not wait for writes that are not answered yet', async (t) => {
  const bench = new Bench();
  bench.write(0, UNIT, 1);
  const sync = bench.sync();
  bench.complete(bench.ring.find(OP_SYNC, sync));
  t.same(bench.ended, [{ job: sync, errno: 0 }]);
});

// ---- slots ----

t.test('jobs are slots: as many as there are, given back once, not while they run', async (t) => {
  const bench = new Bench(undefined, 4);
  const taken = [0, 1, 2, 3].map((i) => bench.take(i * UNIT, UNIT));
  t.equal(new Set(taken).size, 4);
  t.equal(bench.jobs.available, 0);
  bench.jobs.write(taken[0]!, 0);
  t.ok(bench.jobs.isRunning(taken[0]!));
  t.throws(() => bench.jobs.release(taken[0]!), /released while it runs/);
  bench.completeAll();
  t.notOk(bench.jobs.isRunning(taken[0]!));
  for (const job of taken) bench.jobs.release(job);
  t.throws(() => bench.jobs.release(taken[0]!), /twice/);
  t.equal(bench.jobs.available, 4);
});

// ---- anything, in any order ----

const range = fc
  .tuple(fc.integer({ min: 0, max: 6 * 512 - 1 }), fc.integer({ min: 1, max: 3 * 512 }))
  .map(([offset, length]) => ({ offset, length: Math.min(length, 6 * 512 - offset) }));
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: range.map((r) => ({ kind: 'write' as const, ...r })) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(
          fc.constantFrom('trim' as const, 'zero' as const, 'write' as const),
          fc.nat(5),
          fc.integer({ min: 1, max: 6 }),
        )
        .map(([kind, from, count]) => ({
          kind,
          offset: from * 512,
          length: Math.min(count, 6 - from) * 512,
        })),
    },
    { weight: 2, arbitrary: range.map((r) => ({ kind: 'read' as const, ...r })) },
    { weight: 1, arbitrary: fc.constant({ kind: 'sync' as const, offset: 0, length: 0 }) },
    {
      weight: 12,
      arbitrary: fc.nat().map((which) => ({ kind: 'complete' as const, offset: which, length: 0 })),
    },
    {
      weight: 1,
      arbitrary: fc.nat().map((which) => ({ kind: 'abandon' as const, offset: which, length: 0 })),
    },
  ),
  { maxLength: 120 },
);

t.test(
  'whatever runs at once and completes in whatever order, each byte is what the last write to it left',
  async (t) => {
    fc.assert(
      fc.property(fc.constantFrom(512, 1), steps, (unitBytes, all) => {
        const bench = new Bench({ sizeBytes: 6 * 512, unitBytes }, 130, 4096);
        const { ring, jobs, volume } = bench;
        const model = new Uint8Array(6 * 512);
        interface Change {
          offset: number;
          length: number;
          fill: number;
          exclusive: boolean;
          done: boolean;
          /** Abandoned at work: what comes from this place in the order on must wait for it. */
          guardsFrom: number;
        }
        const changes = new Map<number, Change>();
        const order: number[] = [];
        let fill = 0;
        const units = ({ offset, length }: Change) =>
          [volume.unitStart(offset), volume.unitEnd(offset + length)] as const;

        const complete = (which: number) => {
          const submission = ring.pending[which % ring.pending.length]!;
          const { tag, op } = submission;
          const isFill = op === OP_READ && changes.has(tag);
          ring.complete(jobs, submission);
          const change = changes.get(tag);
          if (!change || isFill || !(op === OP_WRITE || op === OP_TRIM || op === OP_ZERO)) return;
          if (op === OP_WRITE) model.fill(change.fill, change.offset, change.offset + change.length);
          // FIFO: nothing older that shares a unit with it, where one of the two is exclusive, is still to come.
          const place = order.indexOf(tag);
          for (const older of order.slice(0, place)) {
            const other = changes.get(older)!;
            const [start, end] = units(change);
            const [otherStart, otherEnd] = units(other);
            if (other.done || !(change.exclusive || other.exclusive || place >= other.guardsFrom)) continue;
            if (start < otherEnd && otherStart < end) throw new Error(`job ${tag} overtook job ${older}`);
          }
        };
        bench.onDone = (job) => {
          const change = changes.get(job);
          if (change) change.done = true;
        };

        for (const step of all) {
          const { kind, offset, length } = step;
          if (kind === 'complete') {
            if (ring.pending.length > 0) complete(offset);
          } else if (kind === 'abandon') {
            const job = order[offset % Math.max(1, order.length)];
            if (job !== undefined && jobs.isRunning(job)) {
              const change = changes.get(job)!;
              change.guardsFrom = Math.min(change.guardsFrom, order.length);
              jobs.abandon(job);
            }
          } else if (kind === 'read') {
            bench.read(offset, length);
          } else if (kind === 'sync') {
            bench.sync();
          } else {
            fill = (fill % 255) + 1;
            const job =
              kind === 'write' ? bench.write(offset, length, fill) : bench.change(kind, offset, length);
            const exclusive = kind === 'write' && unitBytes > 1 && !volume.isAligned(offset, length);
            changes.set(job, { offset, length, fill, exclusive, done: false, guardsFrom: Infinity });
            order.push(job);
          }
        }
        while (ring.pending.length > 0) complete(0);
        if (Buffer.compare(ring.disk, model) !== 0) {
          throw new Error(
            `byte ${ring.disk.findIndex((byte, i) => byte !== model[i])} is not what was written last`,
          );
        }
        if (bench.ended.length !== 130 - jobs.available) throw new Error('not every job ended exactly once');
        if (volume.firstMutator !== -1 || volume.exclusiveMutators !== 0 || volume.waitingMutators !== 0) {
          throw new Error('the lists are not empty at the end');
        }
      }),
      { numRuns: 1000 },
    );
    t.pass('held for all sequences');
  },
);
