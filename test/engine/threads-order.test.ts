// Two job engines over what two threads share of a volume, in schedules made on purpose: what waits for whom, and that
// it comes to an end.

import t from 'tap';
import { JobEngine } from '../../src/engine/jobs.js';
import { OP_WRITE } from '../../src/engine/ring.js';
import { SharedVolume } from '../../src/engine/shared-volume.js';
import { Volume } from '../../src/engine/volume.js';
import { KiB, MiB } from '../support/files.js';
import { FakeRing, fakeBacking } from './fake-ring.js';

const ECANCELED = 125;
const UNIT = 4096;
const SIZE = 64 * MiB;
const BLOCK = 64 * KiB;
const CAPACITY = 32;
const TURN_WORD = 18;

class Thread {
  readonly ring: FakeRing;
  readonly jobs: JobEngine;
  readonly ended: [job: number, errno: number][] = [];
  readonly #volume: Volume;

  constructor(ring: FakeRing, volume: Volume) {
    this.ring = ring;
    this.#volume = volume;
    this.jobs = new JobEngine(ring.ring, { jobDone: (...result) => this.#done(...result) }, CAPACITY);
  }

  start(kind: 'write' | 'trim', offset: number, length: number, byte = 0): number {
    const { jobs } = this;
    const job = jobs.take(this.#volume, 0);
    jobs.block[job] = job * BLOCK;
    jobs.data[job] = jobs.block[job]! + (offset % UNIT);
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    if (kind === 'write') this.ring.bytes.fill(byte, jobs.data[job], jobs.data[job]! + length);
    jobs[kind](job, 0);
    return job;
  }

  finish(job: number): void {
    this.ring.complete(this.jobs, this.ring.find(OP_WRITE, job));
    this.jobs.batchEnd();
  }

  finishAll(): void {
    while (this.ring.pending.length > 0) this.ring.complete(this.jobs, this.ring.pending[0]);
    this.jobs.batchEnd();
  }

  isAtWork(job: number): boolean {
    return this.ring.pending.some(({ tag }) => tag === job);
  }

  get endedWell(): number[] {
    return this.ended.filter(([, errno]) => errno === 0).map(([job]) => job);
  }

  #done(job: number, errno: number): void {
    this.ended.push([job, errno]);
    this.jobs.release(job);
  }
}

function pair() {
  const backing = fakeBacking({ sizeBytes: SIZE, unitBytes: UNIT });
  const memory = SharedVolume.allocate(backing);
  const disk = new Uint8Array(SIZE);
  const thread = () => {
    const ring = new FakeRing(CAPACITY * BLOCK, 0, disk);
    return new Thread(ring, new Volume(ring.ring, backing, new SharedVolume(memory, backing)));
  };
  return {
    one: thread(),
    other: thread(),
    disk,
    lockIsLeft: () => new Int32Array(memory.locks!).some((word, i) => i !== TURN_WORD && word !== 0),
  };
}

/** A hundred rounds are more than anything takes here that ends at all. */
function run(...threads: Thread[]): void {
  for (let round = 0; round < 100; round++) for (const thread of threads) thread.finishAll();
}

for (const [title, before, after] of [
  ['four trims of others that came before it', MiB, 0],
  ['four trims of others that came after it', 0, 2 * UNIT],
] as const) {
  t.test(`a trim whose client took its leave does not stand in one line with ${title}`, async (t) => {
    const { one, other, lockIsLeft } = pair();
    const four = (length: number) => {
      if (length === 0) return [];
      return [1, 2, 3, 4].map((i) => one.start('trim', 8 * i * MiB, length));
    };
    const unaligned = one.start('write', 100, 500);
    const left = one.start('trim', 0, 2 * UNIT);
    t.notOk(one.isAtWork(left), 'it waits for an older change of its thread');
    const trims = four(before);
    one.jobs.outlive(left);
    trims.push(...four(after));
    const write = other.start('write', 48 * MiB, UNIT);
    run(one, other);
    t.same(one.endedWell.sort(), [unaligned, left, ...trims].sort(), 'all of its thread is done');
    t.same(other.endedWell, [write], 'and what came after it on another thread');
    t.notOk(lockIsLeft());
  });
}

for (const [title, leave] of [
  ['its client is gone', 'abandon'],
  ['its client took its leave', 'outlive'],
] as const) {
  t.test(`a write is on disk before the next one to its place begins, also if ${title} later`, async (t) => {
    const { one, other, disk, lockIsLeft } = pair();
    const first = one.start('write', 8 * UNIT, 2 * UNIT, 1);
    t.ok(one.isAtWork(first));
    const second = other.start('write', 9 * UNIT, UNIT, 2);
    const beside = other.start('write', 10 * UNIT, UNIT, 3);
    t.notOk(other.isAtWork(second));
    t.ok(other.isAtWork(beside), 'one to another place does not wait');
    one.jobs[leave](first);
    other.jobs.batchEnd();
    t.notOk(other.isAtWork(second), 'nobody waits for the first one any more, but the kernel is still at it');
    one.finish(first);
    other.jobs.batchEnd();
    t.ok(other.isAtWork(second));
    run(one, other);
    t.same(other.endedWell, [beside, second]);
    t.same(
      [8, 9, 10].map((unit) => disk[unit * UNIT]),
      [1, 2, 3],
      'the newer bytes are what is left',
    );
    t.notOk(lockIsLeft());
  });
}

t.test('a write whose turn has not come when its client goes never begins', async (t) => {
  const { one, other, disk, lockIsLeft } = pair();
  const first = one.start('write', 0, UNIT, 1);
  const given = other.start('write', 0, UNIT, 2);
  other.jobs.abandon(given);
  t.same(other.ended, [[given, ECANCELED]]);
  run(one, other);
  t.same(one.endedWell, [first]);
  t.equal(other.ring.submitted.length, 0);
  t.equal(disk[0], 1);
  t.notOk(lockIsLeft());
});
