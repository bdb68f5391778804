import { NO_JOB } from './gate.js';
import type { Ring } from './ring.js';
import type { Volume } from './volume.js';
import { HOLD_NONE, HOLD_WIDE } from './volume-locks.js';

/** How soon a job tries again that another thread keeps waiting, if nothing happens on its own thread before, ms. */
const RETRY_MS = 1;

/** What a job's place in a volume is. */
interface Places {
  readonly offset: Float64Array;
  readonly length: Float64Array;
  /** Must be alone on its place; changes while a job waits. */
  readonly exclusive: Uint8Array;
}

/**
 * What the jobs of one thread hold of the {@link VolumeLocks} of their volumes, and the queue of those that wait for other
 * threads. Used only where several threads change a volume.
 */
export class JobLocks {
  readonly #ring: Ring;
  readonly #places: Places;
  readonly #hold: Uint8Array;
  readonly #waits: Uint8Array;
  /** See {@link VolumeLocks.mark}. */
  readonly #marked: Uint8Array;
  /** When a job came, as a number that counts up. */
  readonly #arrival: Float64Array;
  #lastArrival = 0;
  readonly #volumes: (Volume | undefined)[];
  /** The next that waits. */
  readonly #next: Int32Array;
  #first = NO_JOB;
  #last = NO_JOB;
  #timer: NodeJS.Timeout | undefined;
  readonly #start: (job: number) => void;

  /** `start` gets a job that waited and now holds its place. */
  constructor(ring: Ring, capacity: number, places: Places, start: (job: number) => void) {
    this.#ring = ring;
    this.#places = places;
    this.#start = start;
    this.#hold = new Uint8Array(capacity);
    this.#waits = new Uint8Array(capacity);
    this.#marked = new Uint8Array(capacity);
    this.#arrival = new Float64Array(capacity);
    this.#volumes = new Array<Volume | undefined>(capacity).fill(undefined);
    this.#next = new Int32Array(capacity).fill(NO_JOB);
  }

  /** A job that changes a volume has come; it takes its place later. */
  arrive(job: number): void {
    this.#arrival[job] = ++this.#lastArrival;
  }

  /** True if the job holds its place now; else it waits, and `start` gets it later. */
  take(job: number, volume: Volume): boolean {
    if (this.#tryTake(job, volume)) return true;
    const { offset, length, exclusive } = this.#places;
    this.#waits[job] = volume.locks!.beginWait(offset[job]!, length[job]!, exclusive[job] === 1);
    this.#volumes[job] = volume;
    this.#next[job] = NO_JOB;
    if (this.#first === NO_JOB) this.#first = job;
    else this.#next[this.#last] = job;
    this.#last = job;
    this.#arm();
    return false;
  }

  /** The job is over, whether it has ever held its place or not. */
  release(job: number, volume: Volume): void {
    if (this.#marked[job] === 1) this.#unmark(job, volume);
    const hold = this.#hold[job]!;
    if (hold === HOLD_NONE) return;
    this.#hold[job] = HOLD_NONE;
    volume.locks!.release(this.#places.offset[job]!, this.#places.length[job]!, hold);
  }

  /** Whatever comes to its place from now on, on whatever thread, comes after the job. */
  abandon(job: number, volume: Volume): void {
    const { offset, length } = this.#places;
    if (this.#hold[job] === HOLD_NONE) {
      if (this.#marked[job] === 1) return;
      this.#marked[job] = 1;
      volume.markedMutators++;
      // What it waits for on this thread is older, and must not wait for it in turn.
      volume.lastMarked = Math.max(volume.lastMarked, this.#arrival[job]!);
      volume.locks!.mark();
      return;
    }
    this.#hold[job] = volume.locks!.abandon(offset[job]!, length[job]!, this.#hold[job]!);
  }

  /** A job that waits does so no more. */
  giveUp(job: number): void {
    let before = NO_JOB;
    for (let other = this.#first; other !== job; other = this.#next[other]!) before = other;
    this.#remove(job, before);
  }

  /** Lets in those that waited and need not any more; to be called whenever jobs may have ended. */
  retry(): void {
    if (this.#first === NO_JOB) return;
    let before = NO_JOB;
    let job = this.#first;
    // Those that `start` brings to the end of the queue have had their try.
    const last = this.#last;
    for (;;) {
      const next = this.#next[job]!;
      const isLast = job === last;
      if (this.#tryTake(job, this.#volumes[job]!)) {
        this.#remove(job, before);
        this.#start(job);
      } else {
        before = job;
      }
      if (isLast) break;
      job = next;
    }
    if (this.#first !== NO_JOB) this.#arm();
  }

  #tryTake(job: number, volume: Volume): boolean {
    const { offset, length, exclusive } = this.#places;
    const isExclusive = exclusive[job] === 1;
    const isMarked = this.#arrival[job]! <= volume.lastMarked;
    const hold = volume.locks!.tryTake(offset[job]!, length[job]!, isExclusive, isMarked);
    if (hold === HOLD_NONE) return false;
    this.#hold[job] = hold;
    if (hold === HOLD_WIDE && isExclusive) this.abandon(job, volume);
    if (this.#marked[job] === 1) this.#unmark(job, volume);
    return true;
  }

  #unmark(job: number, volume: Volume): void {
    this.#marked[job] = 0;
    volume.markedMutators--;
    if (volume.markedMutators === 0) volume.lastMarked = 0;
    volume.locks!.unmark();
  }

  #remove(job: number, before: number): void {
    const next = this.#next[job]!;
    if (before === NO_JOB) this.#first = next;
    else this.#next[before] = next;
    if (this.#last === job) this.#last = before;
    const { offset, length } = this.#places;
    this.#volumes[job]!.locks!.endWait(offset[job]!, length[job]!, this.#waits[job]!);
    this.#volumes[job] = undefined;
  }

  /** Other threads don't wake us when they are done. */
  #arm(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#first === NO_JOB || this.#ring.closed) return;
      this.#arm();
      this.#ring.kick();
    }, RETRY_MS).unref();
  }
}
