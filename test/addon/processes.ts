// Code that runs in a process or a thread of its own, because of what it does to it. It is plain JavaScript with the
// addon at hand and nothing of src/.

import { fileURLToPath } from 'node:url';
import { describe, run } from '../support/programs.js';

export const ADDON =
  process.env.AIONBD_ADDON ?? fileURLToPath(new URL('../../build/Release/aionbd.node', import.meta.url));

/** In front of all such code: `fs`, `Small` (a reactor that collects its completions) and the operations' numbers. */
export const PRELUDE = `
  const fs = require('node:fs');
  const READ = 1, WRITE = 2, SYNC = 3, TRIM = 4, ZERO = 5, ADVISE = 6;
  const { Reactor } = require(${JSON.stringify(ADDON)});
  class Small {
    constructor(options) {
      this.done = [];
      this.count = 0;
      this.wake = () => {};
      this.native = new Reactor({ memoryBytes: 1 << 20, queueDepth: 32, submissionCapacity: 1024,
        completionCapacity: 1024, workerThreads: 2, reapInUserSpace: true,
        busyPollAuto: false, busyPollMicroseconds: 0, ...options }, (n) => this.collect(n));
      this.bytes = Buffer.from(this.native.memory);
      this.view = new DataView(this.native.submissions);
      this.completions = new DataView(this.native.completions);
    }
    put({ op, target = 0, buffer = 0, length = 0, offset = 0 }) {
      const at = this.count * 64, tag = this.count++;
      this.view.setUint32(at, op, true);
      this.view.setInt32(at + 8, target, true);
      this.view.setUint32(at + 12, tag, true);
      this.view.setFloat64(at + 16, buffer, true);
      this.view.setFloat64(at + 24, length, true);
      this.view.setFloat64(at + 32, offset, true);
    }
    submit() {
      const n = this.native.submit(this.count);
      this.count = 0;
      this.collect(n);
    }
    collect(n) {
      for (let i = 0; i < n; i++) {
        this.done.push({ tag: this.completions.getUint32(i * 16 + 4, true),
          result: this.completions.getFloat64(i * 16 + 8, true) });
      }
      this.wake();
    }
    async all(count) {
      while (this.done.length < count) await new Promise((resolve) => { this.wake = resolve; });
    }
    close() {
      return new Promise((resolve) => this.native.close(resolve));
    }
  }
`;

/** Runs the body of an async function in a new process and resolves to what it returns. */
export async function inProcess(
  body: string,
  nodeArgs: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const code = `${PRELUDE}
    (async () => {
      ${body}
    })().then((value) => process.stdout.write('\\n' + JSON.stringify(value ?? null)));`;
  const result = await run(process.execPath, [...nodeArgs, '-e', code], { timeoutMs: 60_000, env });
  if (result.code !== 0) throw new Error(describe(result));
  return JSON.parse(result.stdout.slice(result.stdout.lastIndexOf('\n')));
}
