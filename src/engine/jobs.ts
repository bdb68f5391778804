import { BufferedWrites } from './buffered-writes.js';
import { Changes } from './changes.js';
import { Fills, STILL_FILLING } from './fills.js';
import { type Gate, NO_JOB } from './gate.js';
import { HoleMakers } from './hole-makers.js';
import { JobLocks } from './job-locks.js';
import type { ReadAhead } from './read-ahead.js';
import {
  IO_DURABLE,
  OP_ADVISE,
  OP_EXTENTS,
  OP_READ,
  OP_SYNC,
  OP_TRIM,
  OP_WRITE,
  OP_WRITE_BACK,
  OP_ZERO,
  type Ring,
} from './ring.js';
import { Syncs } from './syncs.js';
import type { Volume } from './volume.js';

const STATE_FREE = 0;
/** Taken; not started, or done and its block still in use. */
const STATE_IDLE = 1;
/** Behind an older job that touches the same units. */
const STATE_WAITING = 2;
const STATE_RUNNING = 3;
/** Reading the outer units of an unaligned write. */
const STATE_FILLING = 4;
/** Behind others of its kind at a {@link Gate}. */
const STATE_GATED = 5;

/** A write behind others that wait until less of the page cache is dirty. */
const STATE_THROTTLED = 6;
/** Behind a change that another thread makes. */
const STATE_BLOCKED = 7;

const EIO = 5;
const ECANCELED = 125;

/** Told when a job has ended: 0 or a positive errno. The job stays taken until it is released. */
export interface JobSink {
  jobDone(job: number, errno: number): void;
}

/**
 * Every I/O on a volume is a job: one contiguous range of at most one block, in a slot of these typed arrays.
 * This is where direct I/O meets requests that are not aligned to the disk's blocks: an unaligned write reads the
 * outer units, merges, and writes whole units, alone on them.
 *
 * Jobs that change a volume keep their order where they overlap and one of them is *exclusive* (an unaligned write, or
 * a write whose connection has died and must not undo what its successor writes). Everything else runs at once.
 */
export class JobEngine {
  readonly #ring: Ring;
  readonly #sink: JobSink;
  readonly #buffered: BufferedWrites;
  readonly #fills: Fills;
  readonly #changes: Changes;
  readonly #holeMakers: HoleMakers;
  /** By file. */
  readonly #readingAhead: ReadAhead[] = [];
  readonly #syncs: Syncs;
  readonly #locks: JobLocks;
  readonly #free: Int32Array;
  #freeCount: number;

  readonly #volumes: (Volume | undefined)[];
  readonly #op: Uint8Array;
  readonly #state: Uint8Array;
  readonly #flags: Uint8Array;
  /** The next that waits at the same gate. */
  readonly #nextGated: Int32Array;

  /** What a job is for; the engine only keeps it. */
  readonly owner: Int32Array;
  /** Start of the job's block in memory; -1 for none. The engine never takes or gives blocks. */
  readonly block: Float64Array;
  /** Where the job's data starts in memory: the block, or {@link Volume.leadBytes} behind it. */
  readonly data: Float64Array;
  readonly offset: Float64Array;
  readonly length: Float64Array;
  /** How many extents {@link extents} has found. */
  readonly extentCount: Int32Array;

  constructor(ring: Ring, sink: JobSink, capacity: number) {
    this.#ring = ring;
    this.#sink = sink;
    this.capacity = capacity;
    this.#free = new Int32Array(capacity);
    for (let i = 0; i < capacity; i++) this.#free[i] = capacity - 1 - i;
    this.#freeCount = capacity;
    this.#volumes = new Array<Volume | undefined>(capacity).fill(undefined);
    this.#op = new Uint8Array(capacity);
    this.#state = new Uint8Array(capacity);
    this.#flags = new Uint8Array(capacity);
    this.extentCount = new Int32Array(capacity);
    this.#nextGated = new Int32Array(capacity).fill(NO_JOB);
    this.owner = new Int32Array(capacity);
    this.block = new Float64Array(capacity);
    this.data = new Float64Array(capacity);
    this.offset = new Float64Array(capacity);
    this.length = new Float64Array(capacity);
    this.#changes = new Changes(capacity, this);
    this.#holeMakers = new HoleMakers(capacity, this.#changes, this, this.#op);
    this.#fills = new Fills(ring, this, capacity);
    const queue = { offset: this.offset, length: this.length, next: this.#nextGated };
    this.#buffered = new BufferedWrites(ring, queue, capacity, (job, volume) =>
      this.#submitBuffered(job, volume),
    );
    this.#syncs = new Syncs(ring, capacity, (job, errno) => this.#end(job, errno));
    const places = { offset: this.offset, length: this.length, exclusive: this.#changes.exclusive };
    this.#locks = new JobLocks(ring, capacity, places, (job) => this.#startHolder(job));
  }

  readonly capacity: number;

  /** Jobs that can still be taken. */
  get available(): number {
    return this.#freeCount;
  }

  /** A job for `owner`; call only when one is available. */
  take(volume: Volume, owner: number): number {
    const job = this.#free[--this.#freeCount]!;
    this.#state[job] = STATE_IDLE;
    this.#volumes[job] = volume;
    this.#changes.exclusive[job] = 0;
    this.owner[job] = owner;
    this.block[job] = -1;
    return job;
  }

  /** Only when the job is not running. */
  release(job: number): void {
    if (this.#state[job] !== STATE_IDLE) throw new Error(`job ${job} is released while it runs, or twice`);
    this.#state[job] = STATE_FREE;
    this.#volumes[job] = undefined;
    this.#free[this.#freeCount++] = job;
  }

  /** Reads `length` bytes at `offset` so that they start at `data`. The block holds whole units around them. */
  read(job: number): void {
    const volume = this.#volumes[job]!;
    const offset = this.offset[job]!;
    const length = this.length[job]!;
    this.#op[job] = OP_READ;
    this.#state[job] = STATE_RUNNING;
    if (!volume.isDirect(offset)) {
      this.#ring.file(OP_READ, volume.bufferedFile, this.data[job]!, length, offset, 0, job);
      if (volume.readAhead?.follow(offset, length)) this.#readAhead(volume, volume.readAhead);
      return;
    }
    const start = volume.unitStart(offset);
    const covering = volume.unitEnd(offset + length) - start;
    this.#ring.file(OP_READ, volume.directFile, this.data[job]! - (offset - start), covering, start, 0, job);
  }

  /** {@link read} for what is one aligned direct I/O (see {@link Volume.isOneIo}). */
  readWhole(job: number): void {
    this.#op[job] = OP_READ;
    this.#state[job] = STATE_RUNNING;
    this.#ring.fileOf(OP_READ, this.#volumes[job]!.directFile, this, job, 0);
  }

  /** Writes the `length` bytes at `data` to `offset`. With IO_DURABLE, done means on stable storage. */
  write(job: number, flags: number): void {
    this.#op[job] = OP_WRITE;
    this.#flags[job] = flags;
    const volume = this.#volumes[job]!;
    const offset = this.offset[job]!;
    const isMended = volume.isDirect(offset) && !volume.isAligned(offset, this.length[job]!);
    this.#changes.exclusive[job] = isMended ? 1 : 0;
    this.#startMutator(job, volume);
  }

  /** Gives the range's blocks back. Whole units only (see {@link Volume.isAligned}) when the volume is direct. */
  trim(job: number, flags: number): void {
    this.#op[job] = OP_TRIM;
    this.#flags[job] = flags;
    this.#startMutator(job, this.#volumes[job]!);
  }

  /** Zeroes the range; EOPNOTSUPP where the filesystem can't. Whole units only when the volume is direct. */
  zero(job: number, flags: number): void {
    this.#op[job] = OP_ZERO;
    this.#flags[job] = flags;
    this.#startMutator(job, this.#volumes[job]!);
  }

  /** Taken and not idle: started, waiting or at work. */
  isRunning(job: number): boolean {
    return this.#state[job]! >= STATE_WAITING;
  }

  /** Whether the job was started by {@link zero}. */
  isZero(job: number): boolean {
    return this.#op[job] === OP_ZERO;
  }

  /** Reads the range into the page cache, as far as the kernel likes. */
  advise(job: number): void {
    this.#op[job] = OP_ADVISE;
    this.#enter(job, this.#volumes[job]!.advices);
  }

  /**
   * Finds out which parts of the range hold data, as extents (see {@link Ring.extents}) at the start of the job's
   * block, `capacityBytes` at most.
   */
  extents(job: number, capacityBytes: number): void {
    this.#op[job] = OP_EXTENTS;
    this.extentCount[job] = capacityBytes;
    this.#enter(job, this.#volumes[job]!.lookups);
  }

  /** Done when everything that was complete at the call is on stable storage; see {@link Syncs}. */
  sync(job: number): void {
    this.#op[job] = OP_SYNC;
    this.#state[job] = STATE_RUNNING;
    this.#syncs.start(job, this.#volumes[job]!);
  }

  /**
   * The job's client is gone without a word. What has not started is given up (it ends with ECANCELED); what the
   * kernel has runs on, and younger changes to the same place wait for it.
   */
  abandon(job: number): void {
    const state = this.#state[job];
    if (state === STATE_IDLE || state === STATE_FREE) return;
    if (state === STATE_WAITING) {
      const volume = this.#volumes[job]!;
      volume.waitingMutators--;
      this.#endMutator(job, volume, ECANCELED);
      return;
    }
    if (state === STATE_GATED) {
      this.#leaveQueue(job);
      return;
    }
    if (state === STATE_THROTTLED) {
      const volume = this.#volumes[job]!;
      this.#buffered.leave(job, volume);
      this.#endMutator(job, volume, ECANCELED);
      return;
    }
    if (state === STATE_BLOCKED) {
      const volume = this.#volumes[job]!;
      this.#locks.giveUp(job);
      this.#endMutator(job, volume, ECANCELED);
      return;
    }
    // Others may share its sync, and a READ does no harm.
    if (!isMutator(this.#op[job]!)) return;
    if (state === STATE_FILLING) this.#fills.fail(job, ECANCELED);
    this.outlive(job);
    this.#ring.cancel(job);
  }

  /** The job's client is gone after it took its leave: the job is done all the same, and younger writes wait for it. */
  outlive(job: number): void {
    if (!this.isRunning(job) || !isMutator(this.#op[job]!)) return;
    const volume = this.#volumes[job]!;
    this.#changes.makeExclusive(job, volume);
    if (volume.locks !== undefined) this.#locks.abandon(job, volume);
  }

  /** To be called after completions: jobs that waited for other threads try again. */
  batchEnd(): void {
    this.#locks.retry();
  }

  /** Takes the completions of file operations; the tag is the job. */
  complete(op: number, job: number, result: number): void {
    if (op === OP_WRITE_BACK) {
      this.#buffered.wroteBack(job, result);
      return;
    }
    if (job >= this.capacity) {
      this.#readingAhead[job - this.capacity]!.busy = false;
      return;
    }
    const volume = this.#volumes[job]!;
    if (op === OP_READ) {
      if (this.#state[job] === STATE_FILLING) this.#filled(job, volume, result);
      else this.#readDone(job, volume, result);
    } else if (op === OP_SYNC) {
      this.#syncs.done(volume, result);
    } else if (op === OP_ADVISE || op === OP_EXTENTS) {
      this.extentCount[job] = result;
      this.#pass(op === OP_ADVISE ? volume.advices : volume.lookups);
      this.#end(job, result < 0 ? -result : 0);
    } else {
      if (op !== OP_WRITE) this.#pass(volume.clearings);
      else if (volume.dirty) this.#buffered.written(job, volume, this.#isDurable(job));
      if (volume.holeMakers > 0) this.#holeMakers.end(job, volume, result);
      if (result === -EIO && this.#mayHideLoss(op, job, volume)) volume.syncErrno = EIO;
      this.#endMutator(job, volume, result < 0 ? -result : 0);
    }
  }

  /** Whether an EIO of this job may be the one report of data of others that could not be written back. */
  #mayHideLoss(op: number, job: number, volume: Volume): boolean {
    return this.#isDurable(job) && (op !== OP_WRITE || !volume.isDirect(this.offset[job]!));
  }

  #isDurable(job: number): boolean {
    return (this.#flags[job]! & IO_DURABLE) !== 0;
  }

  #readDone(job: number, volume: Volume, result: number): void {
    if (result < 0) {
      this.#end(job, -result);
      return;
    }
    const offset = this.offset[job]!;
    const lead = volume.isDirect(offset) ? offset - volume.unitStart(offset) : 0;
    // Fewer bytes: the file was cut short behind our back. What it held is lost, and zeroes would hide that.
    this.#end(job, result >= lead + this.length[job]! ? 0 : EIO);
  }

  /** The tag is the file's number behind those of jobs, since it is nobody's job. */
  #readAhead(volume: Volume, ahead: ReadAhead): void {
    const file = volume.bufferedFile;
    ahead.busy = true;
    this.#readingAhead[file] = ahead;
    this.#ring.file(OP_ADVISE, file, 0, ahead.length, ahead.offset, 0, this.capacity + file);
  }

  #end(job: number, errno: number): void {
    this.#state[job] = STATE_IDLE;
    this.#sink.jobDone(job, errno);
  }

  // ---- Changes ----

  #startMutator(job: number, volume: Volume): void {
    if (volume.locks !== undefined) this.#locks.arrive(job);
    if (this.#op[job] === OP_WRITE) {
      volume.map.written(this.offset[job]!, this.length[job]!);
      if (volume.holeMakers > 0) this.#holeMakers.meet(job, volume);
    } else {
      volume.map.changed(this.offset[job]!, this.length[job]!);
    }
    this.#changes.add(job, volume);
    if (volume.exclusiveMutators > 0 && this.#changes.mustWait(job, volume)) {
      this.#state[job] = STATE_WAITING;
      volume.waitingMutators++;
    } else {
      this.#runMutator(job, volume);
    }
  }

  #runMutator(job: number, volume: Volume): void {
    if (volume.locks !== undefined && !this.#locks.take(job, volume)) this.#state[job] = STATE_BLOCKED;
    else this.#startHolder(job);
  }

  #runWrite(job: number, volume: Volume): void {
    const offset = this.offset[job]!;
    const length = this.length[job]!;
    this.#state[job] = STATE_RUNNING;
    if (!volume.isDirect(offset)) {
      if (!this.#buffered.begin(job, volume)) this.#state[job] = STATE_THROTTLED;
    } else if (volume.isAligned(offset, length)) {
      this.#ring.file(OP_WRITE, volume.directFile, this.data[job]!, length, offset, this.#flags[job]!, job);
    } else {
      this.#state[job] = STATE_FILLING;
      this.#fills.begin(job, volume);
    }
  }

  #submitBuffered(job: number, volume: Volume): void {
    const { data, length, offset } = this;
    const flags = this.#flags[job]!;
    this.#state[job] = STATE_RUNNING;
    this.#ring.file(OP_WRITE, volume.bufferedFile, data[job]!, length[job]!, offset[job]!, flags, job);
  }

  /** Other threads let the job through. */
  #startHolder(job: number): void {
    const volume = this.#volumes[job]!;
    if (this.#op[job] === OP_WRITE) this.#runWrite(job, volume);
    else this.#enter(job, volume.clearings);
  }

  #filled(job: number, volume: Volume, result: number): void {
    const errno = this.#fills.filled(job, volume, result);
    if (errno === STILL_FILLING) return;
    if (errno !== 0) {
      this.#endMutator(job, volume, errno);
      return;
    }
    this.#state[job] = STATE_RUNNING;
    const offset = this.offset[job]!;
    const start = volume.unitStart(offset);
    const covering = volume.unitEnd(offset + this.length[job]!) - start;
    const flags = this.#flags[job]! & IO_DURABLE;
    this.#ring.file(OP_WRITE, volume.directFile, this.block[job]!, covering, start, flags, job);
  }

  #endMutator(job: number, volume: Volume, errno: number): void {
    const next = this.#changes.remove(job, volume);
    if (volume.locks !== undefined) this.#locks.release(job, volume);
    if (volume.waitingMutators > 0) this.#wakeMutators(job, next, volume);
    this.#end(job, errno);
  }

  /** Starts the younger jobs, from `first` on, that `ended` has held up and nothing does any more. */
  #wakeMutators(ended: number, first: number, volume: Volume): void {
    for (let job = first; job !== NO_JOB; job = this.#changes.after(job)) {
      // Many may wait, and to ask of each for all older ones takes the square of that.
      if (this.#state[job] !== STATE_WAITING || !this.#changes.meet(ended, job, volume)) continue;
      if (this.#changes.mustWait(job, volume)) continue;
      volume.waitingMutators--;
      this.#runMutator(job, volume);
    }
  }

  // ---- What keeps a worker busy ----

  #enter(job: number, gate: Gate): void {
    if (gate.enter(job, this.#nextGated)) this.#submit(job);
    else this.#state[job] = STATE_GATED;
  }

  #pass(gate: Gate): void {
    const job = gate.pass(this.#nextGated);
    if (job !== NO_JOB) this.#submit(job);
  }

  #submit(job: number): void {
    const volume = this.#volumes[job]!;
    const op = this.#op[job]!;
    const offset = this.offset[job]!;
    const length = this.length[job]!;
    this.#state[job] = STATE_RUNNING;
    if (op === OP_EXTENTS) {
      const capacityBytes = this.extentCount[job]!;
      this.#ring.extents(volume.anyFile, this.block[job]!, capacityBytes, length, offset, job);
      return;
    }
    if (op === OP_ADVISE) this.#ring.file(op, volume.anyFile, 0, length, offset, 0, job);
    else this.#clear(job, volume);
  }

  #clear(job: number, volume: Volume): void {
    this.#state[job] = STATE_RUNNING;
    this.#holeMakers.begin(job, volume);
    const flags = this.#flags[job]!;
    this.#ring.file(this.#op[job]!, volume.clearFile, 0, this.length[job]!, this.offset[job]!, flags, job);
  }

  /** Gives up a job that waits at a gate. */
  #leaveQueue(job: number): void {
    const volume = this.#volumes[job]!;
    const op = this.#op[job]!;
    const gate = op === OP_EXTENTS ? volume.lookups : op === OP_ADVISE ? volume.advices : volume.clearings;
    gate.leave(job, this.#nextGated);
    if (isMutator(op)) this.#endMutator(job, volume, ECANCELED);
    else this.#end(job, ECANCELED);
  }
}

function isMutator(op: number): boolean {
  return op === OP_WRITE || op === OP_TRIM || op === OP_ZERO;
}
