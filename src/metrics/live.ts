import type { IncomingMessage, ServerResponse } from 'node:http';
import { reply } from './http.js';
import type { ExportSnapshot, OperationSnapshot, ServerSnapshot } from './snapshot.js';

const INTERVAL_MS = 1000;
const MOST_LISTENERS = 16;
/** So often in a row a listener may still be busy with the event before. */
const MOST_MISSED = 5;

/** Where snapshots come from; see RouteContext. */
export interface LiveSource {
  snapshot(): ServerSnapshot;
  /** Brings up to date what takes a while; a snapshot does not wait for it. */
  fresh(): Promise<void>;
}

interface Listener {
  readonly response: ServerResponse;
  missed: number;
}

/**
 * `GET /api/live`: a snapshot each second as a server-sent event, for as long as somebody listens. Events are made once for all
 * listeners; one that has not taken the last gets no other, and is cut off if that stays so.
 */
export class Live {
  readonly #source: LiveSource;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  #isRefreshing = false;

  constructor(source: LiveSource) {
    this.#source = source;
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    if (this.#listeners.size >= MOST_LISTENERS) {
      reply(response, 503, 'text/plain; charset=utf-8', `There are ${MOST_LISTENERS} listeners already\n`);
      return;
    }
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      // A proxy that gathers would make it less than live.
      'X-Accel-Buffering': 'no',
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const listener: Listener = { response, missed: 0 };
    this.#listeners.add(listener);
    response.on('close', () => this.#gone(listener));
    response.on('error', () => this.#gone(listener));
    response.write(`retry: 1000\n\n${this.#event()}`);
    this.#timer ??= setInterval(() => this.#tell(), INTERVAL_MS);
  }

  #gone(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tell(): void {
    this.#refresh();
    let event: string | undefined;
    for (const listener of this.#listeners) {
      const { response } = listener;
      if (response.writableLength > 0) {
        listener.missed++;
        if (listener.missed > MOST_MISSED) response.destroy();
        continue;
      }
      listener.missed = 0;
      event ??= this.#event();
      response.write(event);
    }
  }

  #refresh(): void {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    const done = () => {
      this.#isRefreshing = false;
    };
    this.#source.fresh().then(done, done);
  }

  #event(): string {
    return `data: ${JSON.stringify(withoutUnused(this.#source.snapshot()))}\n\n`;
  }
}

/** Leaves out operations that have never been used: of a thousand exports they would be most of it. */
function withoutUnused(snapshot: ServerSnapshot) {
  return { ...snapshot, exports: snapshot.exports.map(usedOnly) };
}

function usedOnly(target: ExportSnapshot) {
  const used = Object.entries<OperationSnapshot>(target.operations).filter(
    ([, { requests }]) => requests > 0,
  );
  return { ...target, operations: Object.fromEntries(used) };
}
