import type { LineName, Say } from './lines.js';

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 20;
/** What is not heard of otherwise in a window may have a line beyond those, up to this many in all. */
const MOST_LINES_PER_WINDOW = 200;

type LeftOutName = Extract<LineName, `${string}LeftOut`>;

/**
 * Cuts a flood of lines of one kind short: twenty in ten seconds, and how many were left out once these are over. What is
 * new in the flood, such as another export, is let through once all the same.
 */
export class Limiter {
  readonly #say: Say;
  readonly #leftOutName: LeftOutName;
  #startMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #leftOut = 0;
  readonly #seen = new Set<string>();

  /** `leftOutName` is the line that tells how many were left out. */
  constructor(say: Say, leftOutName: LeftOutName) {
    this.#say = say;
    this.#leftOutName = leftOutName;
  }

  /** Whether a line about `key` may be written now; if not, it is counted. `nowMs` is a clock's that only goes forward. */
  allows(key: string, nowMs: number): boolean {
    this.look(nowMs);
    if (this.#lines === 0) this.#startMs = nowMs;
    const isNew = !this.#seen.has(key) && this.#lines < MOST_LINES_PER_WINDOW;
    if (this.#lines >= LINES_PER_WINDOW && !isNew) {
      this.#leftOut++;
      return false;
    }
    this.#lines++;
    this.#seen.add(key);
    return true;
  }

  /** To be called now and then, so that the count comes out although nothing happens any more. */
  look(nowMs: number): void {
    if (this.#lines > 0 && nowMs - this.#startMs >= WINDOW_MS) this.#close(nowMs);
  }

  /** The end: what was left out up to now is told. */
  flush(nowMs: number): void {
    if (this.#lines > 0) this.#close(nowMs);
  }

  #close(nowMs: number): void {
    if (this.#leftOut > 0) {
      const seconds = Math.round((nowMs - this.#startMs) / 1000);
      this.#say(this.#leftOutName, { leftOut: this.#leftOut, seconds });
    }
    this.#lines = 0;
    this.#leftOut = 0;
    this.#seen.clear();
  }
}
