import { Worker } from 'node:worker_threads';
import type { ConnectionInfo, Logger, Server } from '../server/api.js';
import { workerFlags } from '../worker-flags.js';
import { Listener, type PageAddress } from './listener.js';
import { MainFactsSource } from './main-facts.js';
import type { WatchOrder, WatchPlan, WatchReport } from './watch-messages.js';

/** What the thread runs. The one place that knows where it is. */
const ENTRY = new URL('../metrics/thread.js', import.meta.url);
/** For the thread to close by itself, ms; after that it is ended. */
const CLOSE_DEADLINE_MS = 300;

export interface WatchOptions {
  readonly logger: Logger;
  /** Exports that have metrics of their own; the others are summed. */
  readonly mostExports: number;
  /** See {@link HealthWatch}. */
  readonly healthDeadlineMs: number;
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
  #facts: MainFactsSource | undefined;

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

  /** Starts the thread. It takes its time; nothing waits for it. */
  start(server: Server): void {
    const { logger, entry = ENTRY, mostExports, healthDeadlineMs } = this.#options;
    const plan: WatchPlan = {
      fds: this.#listeners.map(({ fd }) => fd),
      observation: server.observation(),
      mostExports,
      healthDeadlineMs,
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
      logger.error({ err: error }, 'metrics have failed; there are none until the next start'),
    );
    this.#observe(server);
    this.#facts = new MainFactsSource();
  }

  /** Stops to listen, cuts what is still connected, and ends the thread. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #observe(server: Server): void {
    server.on('connection', ({ session }: ConnectionInfo) => {
      if (session !== undefined) this.#order({ kind: 'began', session });
    });
    server.on('disconnect', ({ id }: ConnectionInfo) => this.#order({ kind: 'ended', id }));
    server.on('draining', () => this.#order({ kind: 'draining' }));
  }

  async #close(): Promise<void> {
    this.#facts?.close();
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
      case 'ask':
        if (this.#facts !== undefined) {
          this.#order({ kind: 'facts', question: report.question, facts: this.#facts.take() });
        }
        return;
      case 'log':
        this.#options.logger[report.level](report.fields, report.message);
        return;
    }
  }
}
