import { RING_CLOCK } from '../engine/ring-counters.js';
import { Limiter } from '../log/limiter.js';
import type { Say } from '../log/lines.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import { requestFields } from './request-fields.js';
import { WAY_WHOLE } from './requests.js';

/**
 * Tells of requests that take longer than a threshold: when they are answered, and once before if they still are not.
 * The times are those that are counted anyway; an answer in time costs one comparison.
 */
export class SlowRequests {
  readonly #core: Core;
  readonly #clock: Float64Array;
  readonly #say: Say;
  readonly #limiter: Limiter;
  readonly #thresholdMicroseconds: number;
  /** Requests that were told of while they hung, by when they began. */
  readonly #toldStart: Float64Array;

  /** `thresholdMs` may be infinite: then nothing is slow. */
  constructor(core: Core, say: Say, thresholdMs: number) {
    this.#core = core;
    this.#clock = core.record.ring;
    this.#say = say;
    this.#limiter = new Limiter(say, 'slowRequestsLeftOut');
    this.#thresholdMicroseconds = thresholdMs * 1000;
    this.#toldStart = new Float64Array(core.requests.capacity).fill(-1);
  }

  /** A request is being answered. */
  answered(client: Client, request: number): void {
    if (this.#clock[RING_CLOCK]! - this.#core.requests.startedAt[request]! < this.#thresholdMicroseconds)
      return;
    this.#tell('slowRequest', client, request);
  }

  /** To be called now and then, just after the ring's clock was set: looks for requests that hang. */
  look(): void {
    this.#limiter.look(performance.now());
    const { requests } = this.#core;
    if (requests.available === requests.capacity) return;
    const startedBefore = this.#clock[RING_CLOCK]! - this.#thresholdMicroseconds;
    for (let request = 0; request < requests.capacity; request++) {
      const client = requests.client[request];
      const startedAt = requests.startedAt[request]!;
      if (client === undefined || startedAt > startedBefore) continue;
      // With nothing at work it waits for its client, to send the rest of a payload or to take what it has asked for.
      if (requests.running[request] === 0 || this.#toldStart[request] === startedAt) continue;
      this.#toldStart[request] = startedAt;
      this.#tell('hungRequest', client, request);
    }
  }

  /** Says what is left to be said. */
  flush(): void {
    this.#limiter.flush(performance.now());
  }

  #tell(name: 'slowRequest' | 'hungRequest', client: Client, request: number): void {
    if (!this.#limiter.allows(client.target.name, performance.now())) return;
    const { requests } = this.#core;
    const now = this.#clock[RING_CLOCK]!;
    const durationUs = now - requests.startedAt[request]!;
    this.#say(name, {
      ...requestFields(client, requests, request),
      durationMs: milliseconds(durationUs),
      diskMs: milliseconds(this.#diskUs(request, now, durationUs)),
    });
  }

  #diskUs(request: number, now: number, durationUs: number): number {
    const { requests } = this.#core;
    // One that is a single I/O keeps no times of its own for it: it is all disk.
    if (requests.way[request] === WAY_WHOLE) return durationUs;
    // While jobs run, the time at which they began is taken off.
    return requests.diskTime[request]! + (requests.running[request]! > 0 ? now : 0);
  }
}

function milliseconds(microseconds: number): number {
  return Math.round(microseconds / 100) / 10;
}
