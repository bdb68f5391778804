import { lstat, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { AionbdError } from '../errors.js';
import { createExposition, type Exposition, type MetricsSource } from './exposition.js';

/** Where the page is: the same shape as the address of an NBD listener. */
export type PageAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface PageOptions {
  readonly source: MetricsSource;
  /** The server's version, for `aionbd_build_info`. */
  readonly version: string;
}

/** No client of ours needs more; a page that operators rely on must not be held up by one that misbehaves. */
const MOST_HEADER_BYTES = 8192;
const MOST_CONNECTIONS = 64;
const REQUEST_DEADLINE_MS = 5000;
const IDLE_DEADLINE_MS = 5000;
const DEADLINE_CHECK_MS = 1000;

const PLAIN_TEXT = 'text/plain; charset=utf-8';

/** The metrics over HTTP: `GET /metrics`, and a pointer to it at `/`. */
export class MetricsPage {
  readonly #options: PageOptions;
  readonly #servers: Server[] = [];
  #exposition: Promise<Exposition> | undefined;

  constructor(options: PageOptions) {
    this.#options = options;
  }

  /**
   * Starts to listen; resolves to the address as bound (a real port instead of 0).
   *
   * @throws AionbdError AIONBD_E_LISTEN, with the system's error as its cause
   */
  async listen(address: PageAddress): Promise<PageAddress> {
    if (address.kind === 'unix') {
      await removeStaleSocket(address.path);
    }
    const server = createServer(
      {
        maxHeaderSize: MOST_HEADER_BYTES,
        requestTimeout: REQUEST_DEADLINE_MS,
        headersTimeout: REQUEST_DEADLINE_MS,
        keepAliveTimeout: IDLE_DEADLINE_MS,
        connectionsCheckingInterval: DEADLINE_CHECK_MS,
      },
      (request, response) => this.#answer(request, response),
    );
    server.maxConnections = MOST_CONNECTIONS;
    await listening(server, address);
    this.#servers.push(server);
    return boundAddress(server, address);
  }

  /**
   * Gets what is slow to load, so that the first scrape does not hold up requests in flight. To be called once the
   * server is up; a scrape that comes earlier loads it itself.
   */
  async load(): Promise<void> {
    await this.#load();
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

  #load(): Promise<Exposition> {
    this.#exposition ??= createExposition(this.#options.source, this.#options.version);
    return this.#exposition;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').split('?', 1)[0];
    if (path !== '/' && path !== '/metrics') {
      reply(response, 404, PLAIN_TEXT, 'There is nothing here; the metrics are at /metrics\n');
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      reply(response, 405, PLAIN_TEXT, 'This page can only be read\n');
    } else if (path === '/') {
      reply(response, 200, PLAIN_TEXT, 'aionbd: the metrics are at /metrics\n');
    } else {
      this.#answerMetrics(response);
    }
  }

  async #answerMetrics(response: ServerResponse): Promise<void> {
    try {
      const exposition = await this.#load();
      reply(response, 200, exposition.contentType, await exposition.render());
    } catch (error) {
      reply(response, 500, PLAIN_TEXT, `The metrics could not be read: ${error}\n`);
    }
  }
}

function reply(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function listening(server: Server, address: PageAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(address, error)));
    server.listen(
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
      resolve,
    );
  });
}

function boundAddress(server: Server, address: PageAddress): PageAddress {
  const bound = server.address();
  return address.kind === 'tcp' && bound !== null && typeof bound === 'object'
    ? { kind: 'tcp', host: address.host, port: bound.port }
    : address;
}

/** A server that was killed leaves its socket behind. Only a socket that nobody answers on is taken away. */
async function removeStaleSocket(path: string): Promise<void> {
  const isSocket = await lstat(path).then(
    (stats) => stats.isSocket(),
    () => false,
  );
  if (isSocket && (await isRefused(path))) {
    await unlink(path).catch(() => {});
  }
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(errnoOf(error) === 'ECONNREFUSED'));
  });
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is in use; choose another address for the metrics or stop what holds this one',
  EADDRNOTAVAIL: 'this machine has no such address; choose one it has',
  ENOTFOUND: 'the host name is not known; check its spelling',
  EACCES: 'permission denied; choose a port above 1023 or a directory you may write to',
  ENOENT: 'its directory does not exist; create that first',
};

function listenError(address: PageAddress, cause: Error): AionbdError {
  const shown = JSON.stringify(
    address.kind === 'unix'
      ? `unix:${address.path}`
      : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`,
  );
  const remedy = REMEDIES[errnoOf(cause)] ?? `${cause.message}; choose another address`;
  return new AionbdError('AIONBD_E_LISTEN', `cannot show metrics at ${shown}: ${remedy}`, { cause });
}

function errnoOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}
