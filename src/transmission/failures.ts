import { errnoName, wireError } from '../protocol/errno.js';
import { commandName } from '../protocol/names.js';
import type { Client } from './client.js';
import type { Core } from './core.js';

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 20;

export interface FailureLog {
  warn(fields: object, message: string): void;
}

/** Notes what went wrong with requests: for their replies, and for the log, where a flood is cut short and counted. */
export class Failures {
  readonly #core: Core;
  readonly #log: FailureLog;
  #windowStart = 0;
  #lines = 0;
  #leftOut = 0;

  constructor(core: Core, log: FailureLog) {
    this.#core = core;
    this.#log = log;
  }

  /** A job has failed; `errno` is Linux's, positive. The first failure of a request is the one that is answered. */
  jobFailed(client: Client, request: number, job: number, errno: number): void {
    const { requests, jobs } = this.#core;
    this.refuse(request, jobs.offset[job]!, errno);
    this.#report(client, requests.command[request]!, jobs.offset[job]!, jobs.length[job]!, errno);
  }

  /** A request can't be done, which is nothing for the log. */
  refuse(request: number, offset: number, errno: number): void {
    const { requests } = this.#core;
    if (requests.error[request] !== 0) {
      // What a READ has brought may be believed up to the offset that is told: the first in the file, not in time.
      if (requests.errno[request] !== 0 && offset < requests.errorOffset[request]!) {
        requests.errorOffset[request] = offset;
      }
      return;
    }
    requests.error[request] = wireError(errno, requests.flags[request]!);
    requests.errno[request] = errno;
    requests.errorOffset[request] = offset;
  }

  #report(client: Client, command: number, offset: number, length: number, errno: number): void {
    const now = Date.now();
    if (now - this.#windowStart >= WINDOW_MS) {
      if (this.#leftOut > 0) this.#log.warn({ leftOut: this.#leftOut }, 'more I/O errors, not logged');
      this.#windowStart = now;
      this.#lines = 0;
      this.#leftOut = 0;
    }
    if (this.#lines >= LINES_PER_WINDOW) {
      this.#leftOut++;
      return;
    }
    this.#lines++;
    this.#log.warn(
      {
        export: client.target.name,
        peer: client.peer,
        command: commandName(command),
        offset,
        length,
        error: errnoName(errno),
      },
      'I/O error',
    );
  }
}
