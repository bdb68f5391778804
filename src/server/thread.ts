// What each thread of --threads runs: a reactor with its connections. The main thread has opened the files, accepts, and
// tells what to do; see threads.ts for its side.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Ring } from '../engine/ring.js';
import { SharedVolume } from '../engine/shared-volume.js';
import { Volume } from '../engine/volume.js';
import { AionbdError } from '../errors.js';
import { ExportCounters } from '../metrics/counters.js';
import type { Logger } from './api.js';
import { Connections } from './connections.js';
import { Handover } from './handover.js';
import type { Order, Report, ThreadPlan } from './messages.js';
import { Registry } from './registry.js';

/** How often connections that stand still are looked for, ms. */
const STALL_CHECK_MS = 1000;

class Thread {
  readonly #port: MessagePort;
  readonly #ring: Ring;
  readonly #handover: Handover;
  readonly #connections: Connections;
  readonly #stallCheck: NodeJS.Timeout;

  constructor(port: MessagePort, plan: ThreadPlan) {
    this.#port = port;
    this.#ring = Connections.openRing(plan.shares);
    this.#handover = new Handover(plan.handover);
    const registry = new Registry(exportsOf(plan, this.#ring), plan.defaultExport);
    this.#connections = new Connections(this.#ring, plan.shares, registry, this.#logger(), {
      began: (info) => this.#report({ kind: 'began', info }),
      ended: (info) => this.#report({ kind: 'ended', info }),
    });
    this.#stallCheck = setInterval(() => this.#connections.tick(), STALL_CHECK_MS).unref();
    port.on('message', (order: Order) => this.#obey(order));
    this.#report({ kind: 'ready' });
  }

  #obey(order: Order): void {
    switch (order.kind) {
      case 'connection':
        this.#adopt(order);
        return;
      case 'drain':
        this.#connections.drain(order.deadlineMs).then(() => this.#report({ kind: 'drained' }));
        return;
      case 'shutdown':
        clearInterval(this.#stallCheck);
        // With both gone the thread has nothing to wait for, and ends.
        this.#connections.shutdown().then(() => this.#port.close());
        return;
    }
  }

  #adopt({ slot, id, peer }: Order & { kind: 'connection' }): void {
    const fd = this.#handover.take(slot);
    if (fd < 0) return;
    const number = this.#ring.native.adopt(fd);
    if (number < 0) {
      const reason = `the connection could not be taken over (errno ${-number})`;
      this.#report({ kind: 'ended', info: { id, peer, exportName: undefined, reason } });
      return;
    }
    this.#connections.begin(number, id, peer);
    this.#ring.kick();
  }

  #logger(): Logger {
    const at = (level: keyof Logger) => (fields: object, message: string) =>
      this.#report({ kind: 'log', level, fields, message });
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  #report(report: Report): void {
    this.#port.postMessage(report);
  }
}

function exportsOf(plan: ThreadPlan, ring: Ring) {
  const volumes = plan.volumes.map(({ backing, shared }) => {
    // The descriptors are closed by the main thread, which has opened them.
    const borrowed = { ...backing, close() {} };
    return new Volume(ring, borrowed, new SharedVolume(shared, borrowed), plan.threads);
  });
  return plan.exports.map(({ name, description, readOnly, volume: index, counters }) => {
    const volume = volumes[index]!;
    const { sizeBytes } = volume;
    return { name, description, readOnly, sizeBytes, volume, counters: new ExportCounters(counters) };
  });
}

if (parentPort) {
  try {
    new Thread(parentPort, workerData as ThreadPlan);
  } catch (error) {
    const code = error instanceof AionbdError ? error.code : undefined;
    const { message, stack } = error as Error;
    const report: Report = { kind: 'failed', code, message: code ? message : (stack ?? message) };
    // The main thread ends this one then.
    parentPort.postMessage(report);
  }
}
