import { Limiter } from '../log/limiter.js';
import type { Say } from '../log/lines.js';
import { errnoName, wireError } from '../protocol/errno.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import { requestFields } from './request-fields.js';

/** Notes what went wrong with requests: for their replies, and for the log, where a flood is cut short and counted. */
export class Failures {
  readonly #core: Core;
  readonly #say: Say;
  readonly #limiter: Limiter;

  constructor(core: Core, say: Say) {
    this.#core = core;
    this.#say = say;
    this.#limiter = new Limiter(say, 'ioErrorsLeftOut');
  }

  /** A job has failed; `errno` is Linux's, positive. The first failure of a request is the one that is answered. */
  jobFailed(client: Client, request: number, job: number, errno: number): void {
    const { jobs } = this.#core;
    this.refuse(request, jobs.offset[job]!, errno);
    this.#report(client, request, jobs.offset[job]!, jobs.length[job]!, errno);
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

  /** To be called now and then. */
  look(): void {
    this.#limiter.look(performance.now());
  }

  /** Says what is left to be said. */
  flush(): void {
    this.#limiter.flush(performance.now());
  }

  /** The part of the request that failed, not the whole of it. */
  #report(client: Client, request: number, offset: number, length: number, errno: number): void {
    if (!this.#limiter.allows(client.target.name, performance.now())) return;
    const fields = requestFields(client, this.#core.requests, request);
    this.#say('ioError', { ...fields, offset, length, error: errnoName(errno) });
  }
}
