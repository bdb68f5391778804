// What the watching thread runs: HTTP, and all that is shown there. The main thread's side is watch.ts.

import { setPriority } from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { createExposition, type Exposition } from './exposition.js';
import { HttpServer } from './http.js';
import { type PagesContext, ROUTES } from './routes.js';
import { OPERATIONS, type ServerSnapshot } from './snapshot.js';
import type { WatchOrder, WatchPlan, WatchReport } from './watch-messages.js';

/** Where processors are short, clients come first. To the kernel a thread has a priority of its own. */
const NICENESS = 10;

class WatchThread implements PagesContext {
  readonly version: string;
  readonly #port: MessagePort;
  readonly #http: HttpServer<PagesContext>;
  readonly #plan: WatchPlan;
  #exposition: Promise<Exposition> | undefined;

  constructor(port: MessagePort, plan: WatchPlan) {
    this.version = plan.version;
    this.#port = port;
    this.#plan = plan;
    this.#http = new HttpServer<PagesContext>(ROUTES, this);
    port.on('message', (order: WatchOrder) => this.#obey(order));
  }

  async start(): Promise<void> {
    await Promise.all(this.#plan.fds.map((fd) => this.#http.serve(fd)));
    this.#report({ kind: 'ready' });
  }

  snapshot(): ServerSnapshot {
    return standIn(this.#plan);
  }

  exposition(): Promise<Exposition> {
    this.#exposition ??= createExposition({ exports: [] }, this.version);
    return this.#exposition;
  }

  #obey(order: WatchOrder): void {
    switch (order.kind) {
      case 'began':
      case 'ended':
      case 'draining':
        return;
      case 'close':
        // With both gone the thread has nothing to wait for, and ends.
        void this.#http.close().then(() => this.#port.close());
        return;
    }
  }

  #report(report: WatchReport): void {
    this.#port.postMessage(report);
  }
}

/** Until there is a reader of what threads count. */
function standIn({ version, exports }: WatchPlan): ServerSnapshot {
  const latency = { counts: [], sumSeconds: 0 };
  const nothing = { requests: 0, bytes: 0, errors: {}, latency, diskLatency: latency };
  return {
    schema: 1,
    version,
    pid: process.pid,
    startedAtMs: Date.now(),
    takenAtMs: Date.now(),
    state: 'serving',
    listeners: [],
    exports: exports.map((facts) => ({
      ...facts,
      allocatedBytes: undefined,
      filesystemFreeBytes: undefined,
      filesystemSizeBytes: undefined,
      bufferedBecause: '',
      operations: Object.fromEntries(
        OPERATIONS.map((operation) => [operation, nothing]),
      ) as unknown as ServerSnapshot['exports'][number]['operations'],
      inFlight: 0,
      inFlightMost: 0,
      alignmentFixes: 0,
      connections: 0,
      connectionsTotal: 0,
      health: { healthy: true, reason: '', probeSeconds: undefined },
    })),
    connections: [],
    reactors: [],
    handshakeFailures: {},
    warnings: [],
  };
}

if (parentPort) {
  try {
    setPriority(NICENESS);
  } catch {
    // Not permitted, then: it works all the same.
  }
  await new WatchThread(parentPort, workerData as WatchPlan).start();
}
