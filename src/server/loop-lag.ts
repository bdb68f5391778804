import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** A timer of libuv's own, without JavaScript; more often would keep an idle server awake for nothing. */
const SAMPLING_MS = 100;

/** How late the event loop of this thread is. */
export class LoopLag {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: SAMPLING_MS });

  constructor() {
    this.#delay.enable();
  }

  /** The longest that it was late since the last call, s; as a loop that hangs can't tell, call it again when it does not. */
  takeSeconds(): number {
    // What is recorded is the time from one sample to the next.
    const longestMs = this.#delay.count > 0 ? this.#delay.max / 1e6 : 0;
    this.#delay.reset();
    return Math.max(0, longestMs - SAMPLING_MS) / 1000;
  }

  stop(): void {
    this.#delay.disable();
  }
}
