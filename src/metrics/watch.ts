import { Worker } from 'node:worker_threads';
import type { ConnectionInfo, Logger, Server } from '../server/api.js';
import { workerFlags } from '../worker-flags.js';
import { Listener, type PageAddress } from './listener.js';
import type { WatchOrder, WatchPlan, WatchReport } from './watch-messages.js';

/** What the thread runs. The one place that knows where it is. */
const ENTRY = new URL('../metrics/thread.js', import.meta.url);
/** For the thread to close by itself, ms; after that it is ended. */
const CLOSE_DEADLINE_MS = 1000;

export interface WatchOptions {
  /** The server's version. */
  readonly version: string;
  readonly logger: Logger;
  /** The thread's program, for a test that runs from the source. */
  readonly entry?: URL;
}

/**
 * The main thread's side of the watching thread, where everything lives that people and Prometheus look at: a scrape
 * takes no time from the threads that serve, and whoever looks is answered even if one of those is stuck.
 *
 * First `listen`, as often as there are addresses; then `start`, when the server is up; at the end `close`.
 */
export class Watch {
  readonly #options: WatchOptions;
  readonly #listeners: Listener[] = [];
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  /** Settled when the thread answers, or is gone. */
  ready: Promise<void> = Promise.resolve();
  readonly #clients = new Map<number, ConnectionInfo>();

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /**
   * Starts to listen; whoever connects waits until the thread is there. Resolves to the address as bound (a real port
   * instead of 0).
   *
   * @throws AionbdError AIONBD_E_LISTEN, with the system's error as its cause
   */
  async listen(address: PageAddress): Promise<PageAddress> {
    const listener = await Listener.open(address);
    this.#listeners.push(listener);
    return listener.address;
  }

  /** To be called before the server listens: clients that are there already when the thread starts are known by this. */
  observe(server: Server): void {
    server.on('connection', (info: ConnectionInfo) => {
      this.#clients.set(info.id, info);
      this.#order({ kind: 'began', info });
    });
    server.on('disconnect', ({ id }: ConnectionInfo) => {
      if (this.#clients.delete(id)) this.#order({ kind: 'ended', id });
    });
  }

  /** Starts the thread. It takes its time; nothing waits for it. */
  start(server: Server): void {
    const { version, entry = ENTRY } = this.#options;
    const plan: WatchPlan = {
      version,
      fds: this.#listeners.map(({ fd }) => fd),
      exports: server.exports.map(({ name, path, description, sizeBytes, readOnly, direct }) => ({
        name,
        path,
        description,
        sizeBytes,
        readOnly,
        direct,
      })),
    };
    const worker = new Worker(entry, { workerData: plan, name: 'aionbd-watch', ...workerFlags() });
    this.#worker = worker;
    // The server keeps the process alive; this is only to look at it.
    worker.unref();
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    this.ready = new Promise((resolve) => {
      worker.on('message', (report: WatchReport) => this.#heard(report, resolve));
      worker.once('exit', () => resolve());
    });
    // Clients are served all the same: that is what this process is for.
    worker.on('error', (error) =>
      this.#options.logger.error({ err: error }, 'metrics have failed; there are none until the next start'),
    );
    for (const info of this.#clients.values()) this.#order({ kind: 'began', info });
  }

  /** The server takes no new clients from now on. */
  draining(): void {
    this.#order({ kind: 'draining' });
  }

  /** Stops to listen, cuts what is still connected, and ends the thread. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const listeners = this.#listeners.splice(0);
    const worker = this.#worker;
    if (worker === undefined) {
      for (const listener of listeners) listener.close();
      return;
    }
    for (const listener of listeners) listener.removeFile();
    this.#order({ kind: 'close' });
    const timer = setTimeout(() => void worker.terminate(), CLOSE_DEADLINE_MS);
    worker.ref();
    await this.#exited;
    clearTimeout(timer);
  }

  #order(order: WatchOrder): void {
    this.#worker?.postMessage(order);
  }

  #heard(report: WatchReport, ready: () => void): void {
    switch (report.kind) {
      case 'ready':
        ready();
        return;
      case 'log':
        this.#options.logger[report.level](report.fields, report.message);
        return;
    }
  }
}
