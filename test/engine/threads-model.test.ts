// Several job engines over one disk and what they share of it, as several threads have them; who does something next is
// up to chance. No byte is lost, nobody waits for ever, and no lock is left.

import fc from 'fast-check';
import t from 'tap';
import { NO_JOB } from '../../src/engine/gate.js';
import { JobEngine } from '../../src/engine/jobs.js';
import { OP_READ, OP_TRIM, OP_ZERO, type Ring } from '../../src/engine/ring.js';
import { SharedVolume } from '../../src/engine/shared-volume.js';
import { Volume } from '../../src/engine/volume.js';
import { seededRandom } from '../support/random.js';
import { FakeRing, fakeBacking } from './fake-ring.js';

const ENGINES = 3;
const CAPACITY = 24;
const BLOCK_BYTES = 32 * 1024;
const LARGEST_WRITE_BYTES = 9000;
const DISK_BYTES = 1024 * 1024;
/** More than the locks look at stripe by stripe. */
const WIDE_BYTES = 320 * 1024;
const TURN_WORD = 18;

interface Change {
  readonly start: number;
  readonly end: number;
  /** Undefined: zeroes. */
  readonly bytes: Uint8Array | undefined;
  /** Nobody waits for its result any more, and others may change the same place. */
  abandoned: boolean;
}

class World {
  readonly disk = new Uint8Array(DISK_BYTES);
  readonly model = new Uint8Array(DISK_BYTES);
  /** 0 where it is not known what the disk holds: whatever was abandoned there may have been done, or not. */
  readonly known = new Uint8Array(DISK_BYTES).fill(1);
  readonly threads: Thread[];
  readonly memory;
  readonly busy = new Set<Change>();
  readonly random: () => number;
  readonly unitBytes: number;

  constructor(seed: number, unitBytes: number) {
    this.random = seededRandom(seed);
    this.unitBytes = unitBytes;
    const backing = fakeBacking({ sizeBytes: DISK_BYTES, unitBytes });
    this.memory = SharedVolume.allocate(backing);
    this.threads = Array.from({ length: ENGINES }, () => {
      const ring = new FakeRing(CAPACITY * BLOCK_BYTES, 0, this.disk);
      return new Thread(this, ring, new Volume(ring.ring, backing, new SharedVolume(this.memory, backing)));
    });
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from[this.below(from.length)];
  }

  /** A place that no change touches which somebody still waits for. */
  place(isZeroing: boolean): Change | undefined {
    const isWide = isZeroing && this.random() < 0.5;
    // Mostly the same few units, so that they meet.
    const room = this.random() < 0.8 ? 24 * this.unitBytes : DISK_BYTES;
    const align = isZeroing || this.random() < 0.4;
    let start = this.below(isWide ? DISK_BYTES - WIDE_BYTES : room - LARGEST_WRITE_BYTES);
    let length = isWide ? WIDE_BYTES : 1 + this.below(LARGEST_WRITE_BYTES);
    if (align) {
      start -= start % this.unitBytes;
      length = Math.max(this.unitBytes, length - (length % this.unitBytes));
    }
    const end = start + length;
    for (const { start: from, end: to, abandoned } of this.busy) {
      if (!abandoned && from < end && start < to) return undefined;
    }
    const bytes = isZeroing ? undefined : new Uint8Array(length).map(() => 1 + this.below(255));
    return { start, end, bytes, abandoned: false };
  }

  ended(change: Change, errno: number): void {
    this.busy.delete(change);
    if (change.abandoned) return;
    if (errno !== 0) throw new Error(`a change failed with errno ${errno}`);
    if (change.bytes) this.model.set(change.bytes, change.start);
    else this.model.fill(0, change.start, change.end);
    this.known.fill(1, change.start, change.end);
  }

  /** Until nothing is at work. False if that does not come to an end. */
  drain(): boolean {
    for (let round = 0; round < 20_000; round++) {
      if (this.busy.size === 0) return true;
      const thread = this.pick(this.threads)!;
      if (this.random() < 0.5) thread.completeOne();
      else thread.jobs.batchEnd();
    }
    return false;
  }

  /** The first byte that is not what it should be, or -1. */
  wrong(): number {
    const { disk, model, known } = this;
    for (let i = 0; i < DISK_BYTES; i++) if (disk[i] !== model[i] && known[i] === 1) return i;
    return -1;
  }

  lockIsLeft(): boolean {
    const words = new Int32Array(this.memory.locks!);
    words[TURN_WORD] = 0;
    for (const word of words) if (word !== 0) return true;
    return false;
  }
}

class Thread {
  readonly #world: World;
  readonly #ring: FakeRing;
  readonly #volume: Volume;
  readonly jobs: JobEngine;
  readonly #changes = new Map<number, Change>();

  constructor(world: World, ring: FakeRing, volume: Volume) {
    this.#world = world;
    this.#ring = ring;
    this.#volume = volume;
    const sink = { jobDone: (job: number, errno: number) => this.#done(job, errno) };
    this.jobs = new JobEngine(ring.ring as Ring, sink, CAPACITY);
  }

  begin(): void {
    const { jobs } = this;
    if (jobs.available === 0) return;
    const isZeroing = this.#world.random() < 0.2;
    const change = this.#world.place(isZeroing);
    if (!change) return;
    const job = jobs.take(this.#volume, 0);
    const length = change.end - change.start;
    jobs.offset[job] = change.start;
    jobs.length[job] = length;
    this.#changes.set(job, change);
    this.#world.busy.add(change);
    if (change.bytes) {
      const block = job * BLOCK_BYTES;
      jobs.block[job] = block;
      jobs.data[job] = block + this.#volume.leadBytes(change.start);
      this.#ring.bytes.set(change.bytes, jobs.data[job]);
      jobs.write(job, 0);
    } else if (this.#world.random() < 0.3) {
      jobs.trim(job, 0);
    } else {
      jobs.zero(job, 0);
    }
  }

  /** The client of a change dies. */
  abandonOne(): void {
    const [job, change] = this.#world.pick([...this.#changes]) ?? [NO_JOB, undefined];
    if (!change || change.abandoned) return;
    change.abandoned = true;
    this.#world.known.fill(0, change.start, change.end);
    // Of clients that take their leave on two threads at once, the changes that have not begun have no order.
    if (this !== this.#world.threads[0] || this.#world.random() < 0.5) this.jobs.abandon(job);
    else this.jobs.outlive(job);
  }

  completeOne(): void {
    const submission = this.#world.pick(this.#ring.pending);
    if (!submission) return;
    const { op, offset, length } = submission;
    // A TRIM that leaves zeroes is one of those that are allowed.
    if (op === OP_ZERO || op === OP_TRIM) this.#ring.disk.fill(0, offset, offset + length);
    if (op === OP_READ || this.#world.random() < 0.9) this.#ring.complete(this.jobs, submission);
  }

  #done(job: number, errno: number): void {
    const change = this.#changes.get(job)!;
    this.#changes.delete(job);
    this.jobs.release(job);
    this.#world.ended(change, errno);
  }
}

for (const unitBytes of [4096, 512]) {
  t.test(`three threads that change the same ${unitBytes}-byte units lose nothing`, async (t) => {
    const property = fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), (seed) => {
      const world = new World(seed, unitBytes);
      for (let step = 0; step < 400; step++) {
        const thread = world.pick(world.threads)!;
        const what = world.random();
        if (what < 0.45) thread.begin();
        else if (what < 0.85) thread.completeOne();
        else if (what < 0.96) thread.jobs.batchEnd();
        else thread.abandonOne();
      }
      if (!world.drain()) throw new Error('somebody waits for ever');
      const wrong = world.wrong();
      if (wrong >= 0) throw new Error(`byte ${wrong} is not what was written last`);
      if (world.lockIsLeft()) throw new Error('a lock is left');
    });
    t.doesNotThrow(() => fc.assert(property, { numRuns: 100 }));
  });
}
