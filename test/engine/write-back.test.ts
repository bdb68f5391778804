// Writes through the page cache wait while too much of it is dirty, and write-back is begun before that.

import fc from 'fast-check';
import t from 'tap';
import { DIRTY_LIMIT_BYTES, DirtyBytes } from '../../src/engine/dirty-bytes.js';
import { NO_JOB } from '../../src/engine/gate.js';
import { JobEngine } from '../../src/engine/jobs.js';
import { IO_DURABLE, OP_READ, OP_SYNC, OP_WRITE, OP_WRITE_BACK } from '../../src/engine/ring.js';
import type { Volume } from '../../src/engine/volume.js';
import { KiB, MiB } from '../support/files.js';
import { FakeRing, fakeVolume } from './fake-ring.js';

const EIO = 5;
const EINVAL = 22;
const ENOSPC = 28;
const ECANCELED = 125;
const PIECE = 256 * KiB;
const PIECES_IN_LIMIT = DIRTY_LIMIT_BYTES / PIECE;
const SIZE = 8192 * MiB;

class Bench {
  readonly ring = new FakeRing(0, 0);
  readonly volume = this.another();
  readonly ended = new Map<number, number>();
  readonly jobs = new JobEngine(
    this.ring.ring,
    {
      jobDone: (job, errno) => {
        this.ended.set(job, errno);
      },
    },
    PIECES_IN_LIMIT * 8,
  );
  #offset = 0;

  another(unitBytes = 1): Volume {
    return fakeVolume(this.ring, { sizeBytes: SIZE, unitBytes });
  }

  job(length: number, offset: number, volume: Volume): number {
    const job = this.jobs.take(volume, 0);
    this.jobs.block[job] = 0;
    this.jobs.data[job] = 0;
    this.jobs.offset[job] = offset;
    this.jobs.length[job] = length;
    return job;
  }

  /** Starts so many writes one behind the other; returns their jobs. */
  write(count: number, flags = 0, volume = this.volume): number[] {
    return Array.from({ length: count }, () => {
      const job = this.job(PIECE, this.#offset, volume);
      this.#offset += PIECE;
      this.jobs.write(job, flags);
      return job;
    });
  }

  sync(): number {
    const job = this.job(0, 0, this.volume);
    this.jobs.sync(job);
    return job;
  }

  count(op: number): number {
    return this.ring.pending.filter((submission) => submission.op === op).length;
  }

  /** The kernel has done so many of the oldest of this kind. */
  finish(op: number, count: number, result?: number): void {
    for (let i = 0; i < count; i++) {
      const submission = this.ring.find(op)!;
      this.ring.complete(this.jobs, submission, result ?? submission.length);
    }
  }
}

t.test('write-back begins when half of the bound was written, and once', async (t) => {
  const bench = new Bench();
  bench.write(PIECES_IN_LIMIT / 2);
  bench.finish(OP_WRITE, PIECES_IN_LIMIT / 2 - 1);
  t.equal(bench.count(OP_WRITE_BACK), 0);
  bench.finish(OP_WRITE, 1);
  t.equal(bench.count(OP_WRITE_BACK), 1);
  const cycle = bench.ring.find(OP_WRITE_BACK)!;
  t.match(cycle, { file: bench.volume.dirty!.file, offset: 0, length: 0 }, 'of the whole file');
  t.not(cycle.file, bench.volume.bufferedFile, 'on a description of its own');
  bench.write(8);
  bench.finish(OP_WRITE, 8);
  t.equal(bench.count(OP_WRITE_BACK), 1);
  bench.finish(OP_WRITE_BACK, 1, 0);
  t.equal(bench.volume.dirty!.bytes, 8 * PIECE, 'what was written meanwhile may still be dirty');
  t.equal(bench.count(OP_WRITE_BACK), 0);
});

t.test(
  'writes wait at the bound, in their order, and go on when a cycle has ended; reads go on',
  async (t) => {
    const bench = new Bench();
    const jobs = bench.write(PIECES_IN_LIMIT + 3);
    t.equal(bench.count(OP_WRITE), PIECES_IN_LIMIT, 'those at work count too');
    t.equal(bench.count(OP_WRITE_BACK), 0, 'nothing is dirty yet');
    bench.finish(OP_WRITE, PIECES_IN_LIMIT - 1);
    t.equal(bench.count(OP_WRITE), 1);
    t.equal(bench.count(OP_WRITE_BACK), 1);
    const read = bench.job(4096, 0, bench.volume);
    bench.jobs.read(read);
    t.equal(bench.count(OP_READ), 1);
    const other = bench.another();
    bench.write(1, 0, other);
    t.equal(bench.count(OP_WRITE), 2, 'another volume has a bound of its own');
    bench.finish(OP_WRITE_BACK, 1, 0);
    const started = bench.ring.pending.filter(({ op }) => op === OP_WRITE).map(({ tag }) => tag);
    t.same(started.slice(-3), jobs.slice(-3));
  },
);

t.test('a write that waits is not forgotten when all that is dirty is little', async (t) => {
  const bench = new Bench();
  bench.write(PIECES_IN_LIMIT, IO_DURABLE);
  const waiting = bench.write(2);
  t.equal(bench.count(OP_WRITE), PIECES_IN_LIMIT);
  bench.finish(OP_WRITE, 1);
  t.equal(
    bench.count(OP_WRITE),
    PIECES_IN_LIMIT,
    'a durable write leaves nothing behind: the next may begin',
  );
  bench.finish(OP_WRITE, PIECES_IN_LIMIT + 1);
  t.ok(waiting.every((job) => bench.ended.get(job) === 0));
  t.equal(bench.volume.dirty!.bytes, 2 * PIECE);
  t.equal(bench.count(OP_WRITE_BACK), 0);
});

t.test('an error of write-back fails every later flush, without asking the kernel again', async (t) => {
  for (const errno of [EIO, ENOSPC]) {
    const bench = new Bench();
    bench.write(PIECES_IN_LIMIT + 1);
    bench.finish(OP_WRITE, PIECES_IN_LIMIT);
    const before = bench.sync();
    bench.finish(OP_WRITE_BACK, 1, -errno);
    t.equal(bench.count(OP_WRITE), 1, 'writes go on all the same');
    bench.finish(OP_SYNC, 1, 0);
    t.equal(bench.ended.get(before), errno, 'a flush that was under way fails too, to be on the safe side');
    for (let i = 0; i < 3; i++) t.equal(bench.ended.get(bench.sync()), errno);
    t.equal(bench.count(OP_SYNC), 0);
    t.equal(bench.count(OP_WRITE_BACK), 1, 'and so does write-back');
    bench.finish(OP_WRITE_BACK, 1, 0);
    t.equal(bench.ended.get(bench.sync()), errno, 'a later success proves nothing');
  }
});

t.test('where the file can not be written back early, nothing waits and nothing fails', async (t) => {
  const bench = new Bench();
  bench.write(PIECES_IN_LIMIT + 1);
  bench.finish(OP_WRITE, PIECES_IN_LIMIT);
  bench.finish(OP_WRITE_BACK, 1, -EINVAL);
  bench.write(PIECES_IN_LIMIT);
  t.equal(bench.count(OP_WRITE), PIECES_IN_LIMIT + 1);
  bench.finish(OP_WRITE, PIECES_IN_LIMIT + 1);
  t.equal(bench.count(OP_WRITE_BACK), 0);
  const sync = bench.sync();
  bench.finish(OP_SYNC, 1, 0);
  t.equal(bench.ended.get(sync), 0);
});

t.test('a write that waits is given up with its client, wherever it stands', async (t) => {
  const bench = new Bench();
  bench.write(PIECES_IN_LIMIT);
  const waiting = bench.write(5);
  for (const job of [waiting[2]!, waiting[0]!, waiting[4]!]) {
    bench.jobs.abandon(job);
    t.equal(bench.ended.get(job), ECANCELED);
  }
  bench.finish(OP_WRITE, PIECES_IN_LIMIT);
  bench.finish(OP_WRITE_BACK, 1, 0);
  t.same(
    bench.ring.pending.filter(({ op }) => op === OP_WRITE).map(({ tag }) => tag),
    [waiting[1], waiting[3]],
  );
  bench.finish(OP_WRITE, 2);
  bench.finish(OP_WRITE_BACK, 1, 0);
  t.equal(bench.volume.dirty!.bytes, 2 * PIECE);
});

t.test('four volumes are written back at once, and then the next', async (t) => {
  const bench = new Bench();
  const volumes = Array.from({ length: 6 }, () => bench.another());
  for (const volume of volumes) {
    bench.write(PIECES_IN_LIMIT / 2, 0, volume);
    bench.finish(OP_WRITE, PIECES_IN_LIMIT / 2);
  }
  const files = () => bench.ring.pending.filter(({ op }) => op === OP_WRITE_BACK).map(({ file }) => file);
  const expected = volumes.map((volume) => volume.dirty!.file);
  t.same(files(), expected.slice(0, 4));
  bench.finish(OP_WRITE_BACK, 1, 0);
  t.same(files(), expected.slice(1, 5));
  bench.finish(OP_WRITE_BACK, 2, 0);
  t.same(files(), expected.slice(3));
});

t.test('direct volumes have no bound, and whole pages count', async (t) => {
  t.equal(new Bench().another(4096).dirty, undefined);
  t.equal(DirtyBytes.ofWrite(0, 4096), 4096);
  t.equal(DirtyBytes.ofWrite(4095, 2), 8192);
  t.equal(DirtyBytes.ofWrite(512, 512), 4096);
});

t.test('whatever ends in whatever order, the bound holds and every write is done', async (t) => {
  const step = fc.record({ kind: fc.constantFrom('write', 'fua', 'end', 'cycle', 'abandon'), at: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const LIMIT = 64 * KiB;
      const dirty = new DirtyBytes(0, LIMIT);
      const next = new Int32Array(256).fill(NO_JOB);
      const bytesOf: number[] = [];
      const running: { job: number; fua: boolean }[] = [];
      const waiting: number[] = [];
      const fua = new Set<number>();
      let done = 0;
      /** What the kernel may hold: what has ended and was not covered by a cycle that has ended. */
      let left = 0;
      let covered = 0;
      let cycles = 0;
      const goOn = () => {
        for (let job = dirty.firstWaiting; job !== NO_JOB; job = dirty.firstWaiting) {
          if (!dirty.release(bytesOf[job]!, next)) break;
          if (job !== waiting.shift()) throw new Error('out of order');
          running.push({ job, fua: fua.has(job) });
        }
        if (dirty.isCycleDue) {
          dirty.inCycle = true;
          covered = left;
          cycles++;
          dirty.beginCycle();
        }
      };
      const endOne = (at: number) => {
        const [write] = running.splice(at % running.length, 1);
        dirty.written(bytesOf[write!.job]!, write!.fua);
        if (!write!.fua) left += bytesOf[write!.job]!;
        done++;
        goOn();
      };
      const endCycle = () => {
        left -= covered;
        covered = 0;
        dirty.endCycle();
        goOn();
      };
      const check = () => {
        const now = left + running.reduce((sum, { job }) => sum + bytesOf[job]!, 0);
        if (now > LIMIT || now !== dirty.bytes) throw new Error(`${now} bytes, counted ${dirty.bytes}`);
      };
      for (const { kind, at } of steps) {
        if (kind === 'write' || kind === 'fua') {
          const job = bytesOf.push(((at % 4) + 1) * 4096) - 1;
          if (kind === 'fua') fua.add(job);
          if (dirty.enter(job, bytesOf[job]!, next)) running.push({ job, fua: kind === 'fua' });
          else waiting.push(job);
          goOn();
        } else if (kind === 'end' && running.length > 0) endOne(at);
        else if (kind === 'cycle' && dirty.inCycle) endCycle();
        else if (kind === 'abandon' && waiting.length > 0) {
          const [job] = waiting.splice(at % waiting.length, 1);
          dirty.leave(job!, next);
          done++;
          goOn();
        }
        check();
      }
      while (running.length > 0 || dirty.inCycle) {
        if (running.length > 0) endOne(0);
        else endCycle();
        check();
      }
      if (done !== bytesOf.length)
        throw new Error(`${done} of ${bytesOf.length} done after ${cycles} cycles`);
    }),
  );
  t.pass();
});
