import { closeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Ring } from '../engine/ring.js';
import { AionbdError } from '../errors.js';
import type { Say } from '../log/lines.js';
import type { ThreadRecord } from '../metrics/record.js';
import type { HandshakeFailure } from '../metrics/snapshot.js';
import { workerFlags } from '../worker-flags.js';
import type { Logger } from './api.js';
import { Handover } from './handover.js';
import { HandshakeLog } from './handshake-log.js';
import type { Home, HomeEvents } from './home.js';
import type { Order, Report, ThreadPlan } from './messages.js';

/** What a thread runs. The one place that knows where it is. */
const ENTRY = new URL('../server/thread.js', import.meta.url);

/** The main thread's side of one thread. */
class ThreadHandle {
  readonly #name: string;
  readonly #worker: Worker;
  readonly #handover: Handover;
  readonly #logger: Logger;
  readonly #say: Say;
  readonly #events: HomeEvents;
  readonly ready: Promise<void>;
  readonly drained: Promise<void>;
  /** The thread is gone, for whatever reason. */
  readonly exited: Promise<void>;
  #isReady = false;
  /** Its end is asked for, or has been told of. */
  #mayEnd = false;
  #resolveDrained!: () => void;
  #settleReady!: { readonly resolve: () => void; readonly reject: (error: Error) => void };
  isAlive = true;
  /** Connections that were given to it and have not ended. */
  count = 0;

  constructor(name: string, plan: ThreadPlan, logger: Logger, say: Say, events: HomeEvents) {
    this.#say = say;
    this.#name = name;
    this.#logger = logger;
    this.#events = events;
    this.#handover = new Handover(plan.handover);
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.drained = new Promise((resolve) => {
      this.#resolveDrained = resolve;
    });
    this.#worker = new Worker(ENTRY, { workerData: plan, name, ...workerFlags() });
    this.exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#gone();
        resolve();
        this.#fail(new Error(`${name} has ended by itself`));
      });
    });
    this.#worker.on('message', (report: Report) => this.#heard(report));
    this.#worker.on('error', (error) => this.#fail(error));
  }

  /** Takes over the descriptor. False if there was no room for it, and it is closed. */
  give(fd: number, id: number, peer: string): boolean {
    const slot = this.#handover.give(fd);
    if (slot < 0) {
      closeSync(fd);
      return false;
    }
    this.count++;
    this.#order({ kind: 'connection', slot, id, peer });
    return true;
  }

  drain(deadlineMs: number): void {
    this.#order({ kind: 'drain', deadlineMs });
  }

  shutdown(): void {
    this.#mayEnd = true;
    this.#order({ kind: 'shutdown' });
  }

  async terminate(): Promise<void> {
    this.#mayEnd = true;
    await this.#worker.terminate();
    await this.exited;
  }

  #order(order: Order): void {
    this.#worker.postMessage(order);
  }

  #heard(report: Report): void {
    switch (report.kind) {
      case 'ready':
        this.#isReady = true;
        this.#settleReady.resolve();
        return;
      case 'failed':
        this.#mayEnd = true;
        this.#settleReady.reject(
          report.code === undefined
            ? new Error(report.message)
            : new AionbdError(report.code, report.message),
        );
        return;
      case 'began':
        this.#events.began(report.info);
        return;
      case 'ended':
        this.count--;
        this.#events.ended(report.info);
        return;
      case 'line':
        this.#say(report.name, report.fields);
        return;
      case 'drained':
        this.#resolveDrained();
        return;
    }
  }

  #gone(): void {
    this.isAlive = false;
    this.count = 0;
    this.#handover.closeAll();
    this.#resolveDrained();
  }

  /**
   * What nobody expected on a thread is what nobody expected on this one: locks and counters that the thread held are
   * of no use any more, and whoever deals with uncaught exceptions has to know.
   */
  #fail(error: Error): void {
    if (this.#mayEnd) return;
    this.#mayEnd = true;
    if (!this.#isReady) {
      this.#settleReady.reject(error);
      return;
    }
    this.#logger.error({ thread: this.#name, error: error.message }, 'a thread has failed');
    // Not from here: others want to hear of the thread's end, too.
    process.nextTick(() => {
      throw error;
    });
  }
}

/** Threads that have a reactor each. Connections are accepted on the main thread and given to the one that has fewest. */
export class Threads implements Home {
  readonly #ring: Ring;
  readonly #handshakes: HandshakeLog;
  readonly #events: HomeEvents;
  readonly #record: ThreadRecord;
  readonly #threads: readonly ThreadHandle[];
  /** Who got the last connection: of equals, the next one in turn gets the next. */
  #last = -1;

  /** Starts one thread for each plan. `ring` is the one that accepts, and `record` that of its thread. Throws what a thread's ring throws; none is left then. */
  static async start(
    ring: Ring,
    plans: readonly ThreadPlan[],
    logger: Logger,
    say: Say,
    events: HomeEvents,
    record: ThreadRecord,
  ): Promise<Threads> {
    const threads: ThreadHandle[] = [];
    try {
      // Each may throw by itself.
      for (const [i, plan] of plans.entries()) {
        threads.push(new ThreadHandle(`aionbd-${i + 1}`, plan, logger, say, events));
      }
      await Promise.all(threads.map((thread) => thread.ready));
    } catch (error) {
      await Promise.all(threads.map((thread) => thread.terminate()));
      throw error;
    }
    return new Threads(ring, threads, say, events, record);
  }

  private constructor(
    ring: Ring,
    threads: readonly ThreadHandle[],
    say: Say,
    events: HomeEvents,
    record: ThreadRecord,
  ) {
    this.#record = record;
    this.#ring = ring;
    this.#threads = threads;
    this.#handshakes = new HandshakeLog(say);
    this.#events = events;
  }

  get count(): number {
    return this.#threads.reduce((sum, { count }) => sum + count, 0);
  }

  begin(number: number, id: number, peer: string): void {
    const thread = this.#choose();
    if (thread === undefined) {
      this.refuse(number, id, peer, 'there is no thread left to serve it', 'no_thread');
      return;
    }
    const fd = this.#ring.native.detach(number);
    if (fd < 0) {
      this.refuse(number, id, peer, `it could not be given to a thread (errno ${-fd})`, 'no_thread');
    } else if (!thread.give(fd, id, peer)) {
      this.#refused(id, peer, 'the thread has no room for it', 'no_thread');
    }
  }

  refuse(number: number, id: number, peer: string, reason: string, failure: HandshakeFailure): void {
    this.#ring.close(number, number);
    this.#ring.kick();
    this.#refused(id, peer, reason, failure);
  }

  #refused(id: number, peer: string, reason: string, failure: HandshakeFailure): void {
    this.#record.handshakeFailed(failure);
    this.#handshakes.failed(id, peer, failure, reason);
    this.#events.ended({ id, peer, exportName: undefined, reason, failure });
  }

  /** Threads look after themselves; those that none of them got are in nobody's log but this one's. */
  tick(): void {
    this.#handshakes.look();
  }

  async drain(deadlineMs: number): Promise<void> {
    for (const thread of this.#threads) thread.drain(deadlineMs);
    await Promise.all(this.#threads.map((thread) => thread.drained));
  }

  async shutdown(): Promise<void> {
    for (const thread of this.#threads) thread.shutdown();
    await Promise.all(this.#threads.map((thread) => thread.exited));
    await this.#ring.shutdown();
    this.#handshakes.flush();
  }

  #choose(): ThreadHandle | undefined {
    const { length } = this.#threads;
    let chosen = -1;
    for (let i = 1; i <= length; i++) {
      const index = (this.#last + i) % length;
      const { isAlive, count } = this.#threads[index]!;
      if (isAlive && (chosen < 0 || count < this.#threads[chosen]!.count)) chosen = index;
    }
    if (chosen < 0) return undefined;
    this.#last = chosen;
    return this.#threads[chosen];
  }
}
