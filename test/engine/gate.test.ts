// What keeps a worker busy passes a gate, a few at a time for each volume, in the order in which it came.

import t from 'tap';
import { JobEngine } from '../../src/engine/jobs.js';
import { OP_ADVISE, OP_EXTENTS, OP_READ, OP_TRIM, OP_ZERO } from '../../src/engine/ring.js';
import type { Volume } from '../../src/engine/volume.js';
import { MiB } from '../support/files.js';
import { FakeRing, fakeVolume } from './fake-ring.js';

const ECANCELED = 125;
const UNIT = 4096;

class Bench {
  readonly ring = new FakeRing(MiB, 64 * UNIT);
  readonly volume: Volume;
  readonly ended: [job: number, errno: number][] = [];
  readonly jobs: JobEngine;

  constructor() {
    this.volume = fakeVolume(this.ring, { sizeBytes: 64 * UNIT, unitBytes: UNIT });
    this.jobs = new JobEngine(
      this.ring.ring,
      { jobDone: (job, errno) => void this.ended.push([job, errno]) },
      64,
    );
  }

  start(op: number, index: number, volume = this.volume): number {
    const { jobs } = this;
    const job = jobs.take(volume, 0);
    jobs.block[job] = 0;
    jobs.data[job] = 0;
    jobs.offset[job] = index * UNIT;
    jobs.length[job] = UNIT;
    if (op === OP_EXTENTS) jobs.extents(job, 64);
    else if (op === OP_ADVISE) jobs.advise(job);
    else if (op === OP_TRIM) jobs.trim(job, 0);
    else if (op === OP_ZERO) jobs.zero(job, 0);
    else jobs.read(job);
    return job;
  }

  get offsets(): number[] {
    return this.ring.pending.map((submission) => submission.offset / UNIT);
  }

  /** The oldest one that is at work ends. */
  finish(): void {
    this.ring.complete(this.jobs, this.ring.pending[0], 1);
  }
}

for (const [name, op, limit] of [
  ['a look-up of extents', OP_EXTENTS, 1],
  ['a read-ahead', OP_ADVISE, 1],
  ['a trim', OP_TRIM, 4],
  ['a zeroing', OP_ZERO, 4],
] as const) {
  t.test(`${name} is one of ${limit} at work; the others follow in their order`, async (t) => {
    const bench = new Bench();
    const jobs = Array.from({ length: 8 }, (_, i) => bench.start(op, i));
    t.same(
      bench.offsets,
      Array.from({ length: limit }, (_, i) => i),
      'as many as may be at work',
    );
    t.ok(
      jobs.every((job) => bench.jobs.isRunning(job)),
      'all of them count as running',
    );
    const seen = [...bench.offsets];
    for (let i = 0; i < 8; i++) {
      bench.finish();
      for (const offset of bench.offsets) if (!seen.includes(offset)) seen.push(offset);
      t.ok(bench.offsets.length <= limit);
    }
    t.same(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
    t.same(
      bench.ended.map(([job]) => job),
      jobs,
    );
    bench.start(op, 9);
    t.same(bench.offsets, [9], 'and then the way is free again');
  });

  t.test(`${name} that waits is given up with its client, wherever it stands`, async (t) => {
    for (const victims of [[limit], [limit + 1], [limit + 3], [limit, limit + 1, limit + 2, limit + 3]]) {
      const bench = new Bench();
      const jobs = Array.from({ length: limit + 4 }, (_, i) => bench.start(op, i));
      for (const victim of victims) bench.jobs.abandon(jobs[victim]!);
      t.same(
        bench.ended,
        victims.map((victim) => [jobs[victim], ECANCELED]),
      );
      const late = bench.start(op, 20);
      while (bench.ring.pending.length > 0) bench.finish();
      const left = jobs.filter((_, i) => !victims.includes(i));
      t.same(
        bench.ended.slice(victims.length).map(([job]) => job),
        [...left, late],
        `without ${victims}`,
      );
      t.equal(bench.volume.firstMutator, -1);
    }
  });
}

t.test('the gates are the volume’s and the kind’s own', async (t) => {
  const bench = new Bench();
  const other = fakeVolume(bench.ring, { sizeBytes: 64 * UNIT, unitBytes: UNIT });
  for (const op of [OP_EXTENTS, OP_ADVISE, OP_TRIM]) {
    bench.start(op, 1);
    bench.start(op, 2, other);
  }
  bench.start(OP_READ, 3);
  t.equal(bench.ring.pending.length, 7);
});

t.test(
  'trims and zeroings share one gate, and what it holds up keeps its place among the changes',
  async (t) => {
    const bench = new Bench();
    for (let i = 0; i < 3; i++) bench.start(OP_TRIM, i);
    for (let i = 3; i < 6; i++) bench.start(OP_ZERO, i);
    t.same(bench.offsets, [0, 1, 2, 3]);
    const { jobs } = bench;
    const write = jobs.take(bench.volume, 0);
    jobs.block[write] = 0;
    jobs.data[write] = 10;
    jobs.offset[write] = 5 * UNIT + 10;
    jobs.length[write] = 5;
    jobs.write(write, 0);
    t.same(bench.offsets, [0, 1, 2, 3], 'an unaligned write waits for the zeroing that waits');
    while (bench.ring.find(OP_TRIM) || bench.ring.find(OP_ZERO)) bench.finish();
    t.same(bench.offsets, [5], 'and then reads its unit');
  },
);
