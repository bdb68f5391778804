// What the watching thread runs: HTTP, and all that is shown there. The main thread's side is watch.ts.

import { setPriority } from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { createExposition, type Exposition } from './exposition.js';
import { FileFactsKeeper } from './file-facts.js';
import { HealthWatch } from './health.js';
import { HttpServer } from './http.js';
import { Live } from './live.js';
import { MainQuestion } from './main-question.js';
import { type PagesContext, ROUTES } from './routes.js';
import type { ServerSnapshot } from './snapshot.js';
import { SnapshotReader } from './snapshot-reader.js';
import { WarningWatch } from './warnings.js';
import type { WatchOrder, WatchPlan, WatchReport } from './watch-messages.js';

/** Where processors are short, clients come first. To the kernel a thread has a priority of its own. */
const NICENESS = 10;

class WatchThread implements PagesContext {
  readonly version: string;
  readonly #port: MessagePort;
  readonly #plan: WatchPlan;
  readonly #reader: SnapshotReader;
  readonly #files: FileFactsKeeper;
  readonly #main: MainQuestion;
  readonly #http: HttpServer<PagesContext>;
  readonly live: Live;
  readonly health: HealthWatch;
  #exposition: Promise<Exposition> | undefined;

  constructor(port: MessagePort, plan: WatchPlan) {
    this.version = plan.observation.version;
    this.#port = port;
    this.#plan = plan;
    const warnings = new WarningWatch();
    this.#reader = new SnapshotReader(plan.observation, { warn: (snapshot) => warnings.warnings(snapshot) });
    this.health = new HealthWatch(plan.observation, plan.healthDeadlineMs);
    this.live = new Live(this);
    this.#files = new FileFactsKeeper(this.#reader);
    this.#main = new MainQuestion((question) => this.#report({ kind: 'ask', question }));
    this.#http = new HttpServer<PagesContext>(ROUTES, this);
    port.on('message', (order: WatchOrder) => this.#obey(order));
  }

  async start(): Promise<void> {
    await Promise.all(this.#plan.fds.map((fd) => this.#http.serve(fd)));
    this.#report({ kind: 'ready' });
  }

  async fresh(): Promise<void> {
    await this.#files.refresh();
  }

  snapshot(): ServerSnapshot {
    // Whoever looks wants to know how exports are.
    this.health.ask();
    for (const index of this.#reader.exports.keys())
      this.#reader.health(index, this.health.exportHealth(index));
    return this.#reader.snapshot();
  }

  async metrics() {
    this.#exposition ??= createExposition(this.#plan.mostExports);
    const [exposition, process] = await Promise.all([this.#exposition, this.#main.ask(), this.fresh()]);
    return { contentType: exposition.contentType, body: await exposition.render(this.snapshot(), process) };
  }

  #obey(order: WatchOrder): void {
    switch (order.kind) {
      case 'began':
        this.#reader.began(order.session);
        return;
      case 'ended':
        this.#reader.ended(order.id);
        return;
      case 'draining':
        this.#reader.draining();
        return;
      case 'facts':
        this.#main.answered(order.question, order.facts);
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

if (parentPort) {
  try {
    setPriority(NICENESS);
  } catch {
    // Not permitted, then: it works all the same.
  }
  await new WatchThread(parentPort, workerData as WatchPlan).start();
}
