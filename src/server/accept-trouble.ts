import { getSystemErrorName } from 'node:util';
import type { Logger } from './api.js';

/** How often a shortage that lasts is told of, ms. */
const REPEAT_MS = 10_000;

/**
 * Tells the operator of connections that could not be accepted: at once, then every ten seconds while it goes on, and
 * when ten seconds have passed without. Accepting is tried again ten times a second; the log need not hear of each.
 */
export class AcceptTrouble {
  readonly #logger: Logger;
  /** Failures since the last line, and when that was; undefined while all is well. */
  #failures = 0;
  #saidMs: number | undefined;
  #error = '';

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** An accept has failed with `error`, a negative errno. `nowMs` is a clock's that only goes forward. */
  failed(error: number, nowMs: number): void {
    this.#failures++;
    this.#error = getSystemErrorName(error);
    if (this.#saidMs === undefined) this.#say(nowMs, {}, 'a connection could not be accepted; trying again');
  }

  /** Call it now and then: says how it goes on, and once that it is over. */
  look(nowMs: number): void {
    if (this.#saidMs === undefined || nowMs - this.#saidMs < REPEAT_MS) return;
    const failures = this.#failures;
    if (failures > 0) {
      this.#say(nowMs, { failures }, 'connections still cannot be accepted; trying again');
      return;
    }
    this.#saidMs = undefined;
    this.#logger.info({}, 'connections are accepted again');
  }

  #say(nowMs: number, fields: object, message: string): void {
    this.#logger.warn({ error: this.#error, ...fields }, message);
    this.#failures = 0;
    this.#saidMs = nowMs;
  }
}
