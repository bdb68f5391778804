import { RING_CLOCK } from '../engine/ring-counters.js';

/**
 * How long requests take, by their number. All times are those of the ring's clock, which stands still within a batch: to look at
 * it is an access to memory.
 */
export class RequestTimes {
  /** When they were parsed, µs. */
  readonly startedAt: Float64Array;
  /** For how long I/O of theirs has been at work, µs; while it is, that less the time now. */
  readonly diskTime: Float64Array;
  readonly #clock: Float64Array;

  /** `clock` has the time in its cell RING_CLOCK. */
  constructor(capacity: number, clock: Float64Array) {
    this.startedAt = new Float64Array(capacity);
    this.diskTime = new Float64Array(capacity);
    this.#clock = clock;
  }

  parsed(request: number): void {
    this.startedAt[request] = this.#clock[RING_CLOCK]!;
    this.diskTime[request] = 0;
  }

  /** The first of what is to be done for it on the disk begins. */
  workBegan(request: number): void {
    this.diskTime[request]! -= this.#clock[RING_CLOCK]!;
  }

  /** What is to be done for it began when it was parsed, and has ended. */
  endWhole(request: number): void {
    this.diskTime[request] = this.#clock[RING_CLOCK]! - this.startedAt[request]!;
  }

  /** The last of it has ended. */
  workEnded(request: number): void {
    this.diskTime[request]! += this.#clock[RING_CLOCK]!;
  }
}
