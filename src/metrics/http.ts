import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ServerSnapshot } from './snapshot.js';

/** What a route has to do with. */
export interface RouteContext {
  /** The server's version. */
  readonly version: string;
  /** Has the filesystems asked what they have left, if that was long ago; waits for half a second at most. */
  fresh(): Promise<void>;
  /** The server as it is now; taken afresh by each call, which costs some microseconds for each export. */
  snapshot(): ServerSnapshot;
}

/**
 * Answers GET and HEAD of one path. What it throws is answered with 500.
 *
 * A response may stay open for as long as it likes: when the server stops, its socket is cut.
 */
export type Handler<Context> = (
  request: IncomingMessage,
  response: ServerResponse,
  context: Context,
) => void | Promise<void>;

/** By path, without the query. */
export type Routes<Context> = Readonly<Record<string, Handler<Context>>>;

/** No client of ours needs more; a page that operators rely on must not be held up by one that misbehaves. */
const MOST_HEADER_BYTES = 8192;
const MOST_CONNECTIONS = 64;
const REQUEST_DEADLINE_MS = 5000;
const IDLE_DEADLINE_MS = 5000;
/** Somebody who takes nothing of an answer for so long is cut; live events come each second. */
const STILL_DEADLINE_MS = 15_000;
const DEADLINE_CHECK_MS = 1000;

const PLAIN_TEXT = 'text/plain; charset=utf-8';

/** HTTP on sockets that listen already. It can only be read: there is nothing here that changes anything. */
export class HttpServer<Context> {
  readonly #routes: Routes<Context>;
  readonly #context: Context;
  readonly #stillDeadlineMs: number;
  readonly #servers: Server[] = [];

  /** Who takes nothing of an answer for `stillDeadlineMs` is cut, at the latest after twice that. */
  constructor(routes: Routes<Context>, context: Context, stillDeadlineMs = STILL_DEADLINE_MS) {
    this.#routes = routes;
    this.#context = context;
    this.#stillDeadlineMs = stillDeadlineMs;
  }

  /** Takes over a listening socket's descriptor. */
  async serve(fd: number): Promise<void> {
    const server = createServer(
      {
        maxHeaderSize: MOST_HEADER_BYTES,
        requestTimeout: REQUEST_DEADLINE_MS,
        headersTimeout: REQUEST_DEADLINE_MS,
        keepAliveTimeout: IDLE_DEADLINE_MS,
        connectionsCheckingInterval: DEADLINE_CHECK_MS,
      },
      (request, response) => void this.#answer(request, response),
    );
    server.maxConnections = MOST_CONNECTIONS;
    server.timeout = this.#stillDeadlineMs;
    this.#servers.push(server);
    server.listen({ fd });
    await once(server, 'listening');
  }

  /** Stops to listen and cuts what is still connected. */
  async close(): Promise<void> {
    const closed = this.#servers.splice(0).map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    );
    await Promise.all(closed);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const handler = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
    if (handler === undefined) {
      const known = Object.keys(this.#routes).join(', ');
      reply(response, 404, PLAIN_TEXT, `There is nothing here; there is ${known}\n`);
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      reply(response, 405, PLAIN_TEXT, 'This can only be read\n');
      return;
    }
    try {
      await handler(request, response, this.#context);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else reply(response, 500, PLAIN_TEXT, `This could not be answered: ${error}\n`);
    }
  }
}

/** Answers with a whole body. Of HEAD, Node sends the head alone. */
export function reply(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(body);
}

/** Answers with JSON that nobody is to keep. */
export function replyJson(response: ServerResponse, status: number, value: unknown): void {
  response.setHeader('Cache-Control', 'no-store');
  reply(response, status, 'application/json; charset=utf-8', `${JSON.stringify(value)}\n`);
}
