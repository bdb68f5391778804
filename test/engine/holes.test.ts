// When a volume's map may learn that something reads as zeroes, with a ring whose completions the test hands out.

import t from 'tap';
import { HoleScan } from '../../src/engine/hole-scan.js';
import { JobEngine } from '../../src/engine/jobs.js';
import { OP_EXTENTS, OP_TRIM, OP_WRITE, OP_ZERO } from '../../src/engine/ring.js';
import { Slab } from '../../src/engine/slab.js';
import type { Volume } from '../../src/engine/volume.js';
import { KiB, MiB } from '../support/files.js';
import { FakeRing, fakeVolume, type Submission } from './fake-ring.js';

const GRANULE = 64 * KiB;
const SIZE = 16 * GRANULE;
const EIO = 5;
const EOPNOTSUPP = 95;

class Bench {
  readonly ring = new FakeRing(4 * MiB, SIZE);
  readonly volume: Volume;
  readonly jobs: JobEngine;
  readonly scan: HoleScan;
  readonly slab = new Slab(2 * MiB, 2 * MiB);

  constructor(unitBytes = 4096) {
    this.volume = fakeVolume(this.ring, { sizeBytes: SIZE, unitBytes });
    this.jobs = new JobEngine(
      this.ring.ring,
      {
        jobDone: (job, errno) => {
          if (this.jobs.owner[job] === -1) this.scan.jobDone(job, errno);
          else this.jobs.release(job);
        },
      },
      64,
    );
    this.scan = new HoleScan(this.ring.ring, this.slab, this.jobs);
  }

  #take(offset: number, length: number): number {
    const job = this.jobs.take(this.volume, 0);
    this.jobs.block[job] = 0;
    this.jobs.data[job] = this.volume.leadBytes(offset);
    this.jobs.offset[job] = offset;
    this.jobs.length[job] = length;
    return job;
  }

  write(offset: number, length: number): Submission {
    this.jobs.write(this.#take(offset, length), 0);
    return this.ring.pending.at(-1)!;
  }

  zero(offset: number, length: number): Submission {
    this.jobs.zero(this.#take(offset, length), 0);
    return this.ring.pending.at(-1)!;
  }

  trim(offset: number, length: number): Submission {
    this.jobs.trim(this.#take(offset, length), 0);
    return this.ring.pending.at(-1)!;
  }

  done(submission: Submission, result?: number): void {
    this.ring.complete(this.jobs, submission, result);
  }

  /** The scan's pending look at the file is answered with these extents. */
  found(...extents: readonly (readonly [length: number, kind: 'data' | 'hole'])[]): Submission {
    const look = this.ring.find(OP_EXTENTS)!;
    extents.forEach(([length, kind], i) => {
      this.ring.doubles[look.buffer / 8 + i * 2] = length;
      this.ring.doubles[look.buffer / 8 + i * 2 + 1] = kind === 'hole' ? 1 : 0;
    });
    this.done(look, extents.length);
    return look;
  }

  /** Numbers of the granules that are known to be holes. */
  get holes(): number[] {
    return Array.from({ length: SIZE / GRANULE }, (_, g) => g).filter((g) =>
      this.volume.map.isHole(g * GRANULE),
    );
  }
}

for (const what of ['zero', 'trim'] as const) {
  t.test(`${what} makes holes of whole granules, when it is complete`, async (t) => {
    const bench = new Bench();
    const submission = bench[what](GRANULE - 4096, 3 * GRANULE);
    t.equal(submission.op, what === 'zero' ? OP_ZERO : OP_TRIM);
    t.same(bench.holes, []);
    bench.done(submission);
    t.same(bench.holes, [1, 2]);
  });

  t.test(`${what} that fails makes none`, async (t) => {
    const bench = new Bench();
    bench.done(bench[what](0, SIZE), -EIO);
    bench.done(bench[what](0, SIZE), -EOPNOTSUPP);
    t.same(bench.holes, []);
  });

  t.test(`a write that was under way when ${what} began may win`, async (t) => {
    const bench = new Bench();
    const write = bench.write(GRANULE, 4096);
    const submission = bench[what](0, SIZE);
    bench.done(submission);
    t.same(bench.holes, []);
    bench.done(write);
    t.same(bench.holes, []);
  });

  t.test(`a write that begins while ${what} is under way may win`, async (t) => {
    const bench = new Bench();
    const submission = bench[what](0, SIZE);
    const write = bench.write(GRANULE, 4096);
    bench.done(write);
    bench.done(submission);
    t.same(bench.holes, []);
    bench.done(bench[what](0, 2 * GRANULE));
    t.same(bench.holes, [0, 1], 'the next one is believed again');
  });

  t.test(`writes beside ${what} do it no harm`, async (t) => {
    const bench = new Bench();
    const before = bench.write(0, 4096);
    const submission = bench[what](GRANULE, GRANULE);
    const meanwhile = bench.write(2 * GRANULE, 4096);
    for (const each of [before, submission, meanwhile]) bench.done(each);
    t.same(bench.holes, [1]);
  });
}

t.test('a write ends a hole when it begins, and what fails does not bring it back', async (t) => {
  const bench = new Bench();
  bench.done(bench.zero(0, SIZE));
  const write = bench.write(5 * GRANULE + 4096, GRANULE);
  t.same(bench.holes, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  bench.done(write, -EIO);
  t.notOk(bench.volume.map.isHole(5 * GRANULE));
});

t.test('an unaligned write that waits ends the hole at once', async (t) => {
  const bench = new Bench();
  const zero = bench.zero(0, SIZE);
  bench.write(100, 10);
  t.equal(bench.ring.find(OP_WRITE), undefined, 'the write waits for the zeroes');
  bench.done(zero);
  t.same(bench.holes, [], 'and is not forgotten meanwhile');
});

t.test('a scan finds holes, piece by piece, and only once', async (t) => {
  const bench = new Bench();
  bench.scan.want(bench.volume);
  bench.scan.want(bench.volume);
  t.equal(bench.ring.pending.length, 1);
  const first = bench.found([3 * GRANULE, 'hole'], [GRANULE, 'data'], [GRANULE + 4096, 'hole']);
  t.equal(first.offset, 0);
  t.equal(first.length, SIZE);
  t.same(bench.holes, [0, 1, 2, 4]);
  const second = bench.found([GRANULE - 4096, 'data'], [10 * GRANULE, 'hole']);
  t.equal(second.offset, 5 * GRANULE + 4096);
  t.same(bench.holes, [0, 1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  bench.scan.want(bench.volume);
  t.equal(bench.ring.pending.length, 0);
  t.equal(bench.slab.freeBytes, bench.slab.totalBytes, 'its memory is back');
  t.equal(bench.jobs.available, bench.jobs.capacity, 'and its job');
});

t.test(
  'a scan does not believe what it saw of places that were changed, before it or meanwhile',
  async (t) => {
    const bench = new Bench();
    bench.done(bench.write(0, 4096));
    const underWay = bench.write(GRANULE, 4096);
    bench.scan.want(bench.volume);
    const meanwhile = bench.write(2 * GRANULE, 4096);
    const trim = bench.trim(3 * GRANULE, 4096);
    bench.found([SIZE, 'hole']);
    for (const each of [underWay, meanwhile, trim]) bench.done(each);
    t.same(bench.holes, [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  },
);

t.test('a scan that fails leaves the map as it is and frees everything', async (t) => {
  const bench = new Bench();
  bench.scan.want(bench.volume);
  bench.done(bench.ring.find(OP_EXTENTS)!, -EIO);
  t.same(bench.holes, []);
  t.equal(bench.slab.freeBytes, bench.slab.totalBytes);
  t.equal(bench.jobs.available, bench.jobs.capacity);
});

t.test('with little memory left a scan waits until there is more', async (t) => {
  const bench = new Bench();
  const blocks: number[] = [];
  while (bench.slab.freeBytes > bench.slab.totalBytes / 2) blocks.push(bench.slab.take(256 * KiB));
  bench.scan.want(bench.volume);
  t.equal(bench.ring.pending.length, 0);
  bench.scan.proceed();
  t.equal(bench.ring.pending.length, 0);
  for (const block of blocks) bench.slab.give(block);
  bench.scan.proceed();
  bench.scan.proceed();
  t.equal(bench.ring.pending.length, 1);
  bench.found([SIZE, 'hole']);
  t.equal(bench.holes.length, 16);
});

t.test('several files are scanned one after the other', async (t) => {
  const bench = new Bench();
  const other = fakeVolume(bench.ring, { sizeBytes: SIZE, unitBytes: 1 });
  bench.scan.want(bench.volume);
  bench.scan.want(other);
  t.equal(bench.ring.pending.length, 1);
  bench.found([SIZE, 'data']);
  bench.found([SIZE, 'hole']);
  t.same(bench.holes, []);
  t.ok(other.map.isHole(0));
});
