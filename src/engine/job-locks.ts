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
    this.#volumes = new Array<Volume | undefined>(capacity).fill(undefined);
    this.#next = new Int32Array(capacity).fill(NO_JOB);
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

  /** The job lets go of its place, if it holds one. */
  release(job: number, volume: Volume): void {
    const hold = this.#hold[job]!;
    if (hold === HOLD_NONE) return;
    this.#hold[job] = HOLD_NONE;
    volume.locks!.release(this.#places.offset[job]!, this.#places.length[job]!, hold);
  }

  /** Nobody may come after the job from now on, wherever they come from. A job that waits will come in like that. */
  abandon(job: number, volume: Volume): void {
    const { offset, length } = this.#places;
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
    const hold = volume.locks!.tryTake(offset[job]!, length[job]!, isExclusive);
    this.#hold[job] = hold;
    if (hold === HOLD_WIDE && isExclusive) this.abandon(job, volume);
    return hold !== HOLD_NONE;
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
