// A case that never ends holds up its own thread, so another one watches: it sees no new case begin for too long, says
// which it was, and ends the process.

import { Worker } from 'node:worker_threads';

const WATCH = `
const { workerData: { counter, patienceMs, words }, parentPort } = require('node:worker_threads');
const { writeSync } = require('node:fs');
let last = -1;
let since = Date.now();
setInterval(() => {
  const now = Atomics.load(counter, 0);
  if (now !== last) { last = now; since = Date.now(); return; }
  if (Date.now() - since < patienceMs) return;
  writeSync(2, 'FAIL  case ' + now + ' has not ended for ' + patienceMs / 1000 + ' s; ' + words + ' --show ' + now + '\\n');
  process.kill(process.pid, 'SIGKILL');
}, 500);
`;

export class Watchdog {
  readonly #counter = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;

  /** `words` is the command that runs the same cases again. */
  constructor(patienceMs: number, words: string) {
    const workerData = { counter: this.#counter, patienceMs, words };
    this.#worker = new Worker(WATCH, { eval: true, workerData });
    this.#worker.unref();
  }

  /** A case begins. */
  note(number: number): void {
    Atomics.store(this.#counter, 0, number);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
