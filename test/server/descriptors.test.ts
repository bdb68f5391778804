// A server that may open no more files.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { must } from '../support/programs.js';
import { serve } from '../support/server.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ } from '../transmission/wire.js';

const MORE = 4;
const PATIENCE_MS = 20_000;

t.test(
  'a server without descriptors says so, serves who is there, and the rest when there is room',
  async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    const server = await serve(t, { exports: [{ name: 'disk', path }], args: ['--log-level', 'warn'] });
    const address = { kind: 'unix', path: server.socketPath } as const;
    const pid = server.child.pid!;
    const first = await RawClient.open(address);
    await must('prlimit', ['--pid', `${pid}`, `--nofile=${limitFor(pid, MORE)}`]);

    const waiting: RawClient[] = [];
    // The kernel takes them all, up to the backlog; those without a descriptor hear nothing.
    for (let i = 0; i < 4 * MORE; i++) waiting.push(await RawClient.connect(address));
    const deadline = Date.now() + PATIENCE_MS;
    while (!server.log().includes('EMFILE') && Date.now() < deadline) await sleep(20);
    t.match(server.log(), /"error":"EMFILE","msg":"a connection could not be accepted; trying again"/);
    t.equal(await first.errorOf({ type: READ, offset: 0, length: 512 }), 0, 'who is there is served');

    // Each that leaves makes room for the next.
    for (const client of waiting) {
      await client.go('');
      t.equal(await client.errorOf({ type: READ, offset: 0, length: 512 }), 0);
      await client.destroy();
    }
    await first.destroy();
    await server.stop(t);
  },
);

/** A limit with which a process can open so many more: a new descriptor gets the lowest free number. */
function limitFor(pid: number, more: number): number {
  const used = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let limit = 0;
  for (let free = 0; free < more; limit++) if (!used.has(limit)) free++;
  return limit;
}
