// What each thread of --threads runs: a reactor with its connections. The main thread has opened the files, accepts, and
// tells what to do; see threads.ts for its side.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Ring } from '../engine/ring.js';
import { SharedVolume } from '../engine/shared-volume.js';
import { Volume } from '../engine/volume.js';
import { AionbdError } from '../errors.js';
import type { Say } from '../log/lines.js';
import { probingThread } from '../metrics/layout.js';
import { ThreadRecord } from '../metrics/record.js';
import { Connections } from './connections.js';
import { Handover } from './handover.js';
import type { HomeEvents } from './home.js';
import { LoopLag } from './loop-lag.js';
import type { LineReport, Order, Report, ThreadPlan } from './messages.js';
import { Registry } from './registry.js';

/** How often connections that stand still are looked for, ms. */
const STALL_CHECK_MS = 1000;

class Thread {
  readonly #port: MessagePort;
  readonly #ring: Ring;
  readonly #handover: Handover;
  readonly #connections: Connections;
  readonly #stallCheck: NodeJS.Timeout;
  readonly #lag = new LoopLag();

  constructor(port: MessagePort, plan: ThreadPlan) {
    this.#port = port;
    const record = new ThreadRecord(plan.record);
    this.#ring = Connections.openRing(plan.shares, record);
    this.#handover = new Handover(plan.handover);
    const targets = exportsOf(plan, this.#ring, record);
    const registry = new Registry(targets, plan.defaultExport);
    const events: HomeEvents = {
      began: (info) => this.#report({ kind: 'began', info }),
      ended: (info) => this.#report({ kind: 'ended', info }),
    };
    const say = this.#sayer();
    const { shares, thread } = plan;
    this.#connections = new Connections(this.#ring, shares, registry, say, events, record, thread);
    const probed = targets.filter((_, i) => probingThread(i, plan.threads) === thread);
    this.#connections.probe(probed.map(({ volume, record: { probe } }) => ({ volume, record: probe })));
    const tick = () => {
      record.alive(Date.now(), this.#lag.takeSeconds());
      this.#connections.tick();
    };
    record.alive(Date.now(), 0);
    this.#stallCheck = setInterval(tick, STALL_CHECK_MS).unref();
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
        this.#lag.stop();
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
      const reason = `its thread could not take it over (errno ${-number})`;
      this.#connections.lost(id, peer, reason, 'no_thread');
      return;
    }
    this.#connections.begin(number, id, peer);
    this.#ring.kick();
  }

  #sayer(): Say {
    return (name, fields) => this.#report({ kind: 'line', name, fields } as LineReport);
  }

  #report(report: Report): void {
    this.#port.postMessage(report);
  }
}

function exportsOf(plan: ThreadPlan, ring: Ring, { exports }: ThreadRecord) {
  const volumes = plan.volumes.map(({ backing, shared }) => {
    // The descriptors are closed by the main thread, which has opened them.
    const borrowed = { ...backing, close() {} };
    return new Volume(ring, borrowed, new SharedVolume(shared, borrowed), plan.threads);
  });
  return plan.exports.map(({ name, description, readOnly, volume: index }, i) => {
    const volume = volumes[index]!;
    const { sizeBytes } = volume;
    return { name, description, readOnly, sizeBytes, volume, record: exports[i]! };
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
