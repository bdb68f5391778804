import { PROBE } from './layout.js';

/**
 * Ms of a clock that is the same on all threads and is never set. Node's `performance.now()` begins anew on each thread.
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** What a thread tells of its probes of one export; times are those of {@link monotonicMs}. */
export class ProbeRecord {
  readonly #cells: Float64Array;
  /** Bytes that the last one was to read. */
  length = 0;
  /** How many have begun. */
  count = 0;

  /** `cells` are as PROBE lays them out. */
  constructor(cells: Float64Array) {
    this.#cells = cells;
  }

  get isOutstanding(): boolean {
    return this.#cells[PROBE.startedAtMs]! > 0;
  }

  get doneAtMs(): number {
    return this.#cells[PROBE.doneAtMs]!;
  }

  begin(nowMs: number, length: number): void {
    this.length = length;
    this.count++;
    this.#cells[PROBE.startedAtMs] = nowMs;
  }

  done(nowMs: number, errno: number): void {
    const cells = this.#cells;
    cells[PROBE.seconds] = (nowMs - cells[PROBE.startedAtMs]!) / 1000;
    cells[PROBE.errno] = errno;
    cells[PROBE.doneAtMs] = nowMs;
    cells[PROBE.startedAtMs] = 0;
  }
}
