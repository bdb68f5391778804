// A disk that hangs: the health page says so, and other exports are served as if nothing were the matter.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { fuseFile } from '../support/fuse.js';
import { describe, ended, run } from '../support/programs.js';
import { type RunningServer, serve } from '../support/server.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ } from '../transmission/wire.js';

const DEADLINE_MS = 2500;
const WAIT_MS = 60_000;
/** A request that has to wait for the disk that hangs takes as long as that. */
const SLOW_MS = 2000;

/** What a line about a slow request says. */
interface Told {
  readonly length: number;
  readonly durationMs: number;
  readonly diskMs: number;
}

interface Health {
  readonly status: number;
  readonly healthy: boolean;
  readonly reasons: readonly string[];
  readonly exports: Readonly<Record<string, { readonly healthy: boolean; readonly reason: string }>>;
}

function addressOf(server: RunningServer): string {
  return /"url":"(http:[^"]*)\/metrics"/.exec(server.log())![1]!;
}

async function health(server: RunningServer): Promise<Health> {
  const response = await fetch(`${addressOf(server)}/healthz`);
  return { status: response.status, ...((await response.json()) as Omit<Health, 'status'>) };
}

async function until(t: Test, server: RunningServer, status: number): Promise<Health> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const found = await health(server);
    if (found.status === status) return found;
    if (Date.now() > deadline) {
      t.fail(`health stays ${found.status}`, { found });
      return found;
    }
    await sleep(100);
  }
}

/** fio's own words on so many reads, or writes, one after the other: the longest took so long, ms. */
async function longestMs(t: Test, uri: string, rw: string, count: number): Promise<number> {
  const args = ['--ioengine=nbd', `--uri=${uri}`, `--rw=${rw}`, '--bs=4k', '--size=16M', '--iodepth=1'];
  const more = [`--number_ios=${count}`, '--name=x', '--output-format=json'];
  const result = await run('fio', [...args, ...more], { timeoutMs: WAIT_MS });
  if (result.code !== 0) {
    t.fail('fio fails', { said: describe(result) });
    return Number.POSITIVE_INFINITY;
  }
  const report = JSON.parse(result.stdout.slice(result.stdout.indexOf('{')));
  const job = report.jobs[0][rw === 'randread' ? 'read' : 'write'];
  t.equal(job.total_ios, count);
  return job.clat_ns.max / 1e6;
}

for (const { title, threads, direct } of [
  { title: 'directly', threads: 1, direct: 'on' },
  { title: 'through the page cache, on two threads', threads: 2, direct: 'off' },
] as const) {
  t.test(
    `a disk that is served ${title} hangs: health turns red, and other exports are served`,
    async (t) => {
      const disk = await fuseFile(t, 64 * MiB);
      const other = sparseFile(join(scratch(t), 'other'), 16 * MiB);
      const server = await serve(t, {
        exports: [
          { name: 'hangs', path: disk.path, direct },
          { name: 'other', path: other },
        ],
        args: [
          ...['--metrics', '127.0.0.1:0', '--health-deadline', String(DEADLINE_MS)],
          ...['--threads', String(threads), '--log-format', 'json'],
        ],
      });
      t.match(await health(server), { status: 200, healthy: true, reasons: [] });

      // More at once than there are threads to wait for it.
      const args = ['--ioengine=nbd', `--uri=${server.uri('hangs')}`, '--rw=randrw', '--bs=4k', '--size=64M'];
      const load = run('fio', [...args, '--iodepth=64', '--number_ios=4000', '--name=x']);
      await sleep(200);
      disk.hang();
      const red = await until(t, server, 503);
      t.notOk(red.exports.hangs?.healthy);
      t.match(red.exports.hangs?.reason, /waiting for its disk/);
      t.same(red.exports.other, { ...red.exports.other, healthy: true, reason: '' });
      t.match(red.reasons, [/^export "hangs": /]);

      t.ok(
        (await longestMs(t, server.uri('other'), 'randread', 500)) < SLOW_MS,
        'reads of the other are quick',
      );
      t.ok((await longestMs(t, server.uri('other'), 'randwrite', 500)) < SLOW_MS, 'so are writes');
      t.equal((await health(server)).status, 503, 'it hangs all the while');
      const ready = await fetch(`${addressOf(server)}/readyz`);
      t.equal(ready.status, 200, 'new clients are welcome all the same');
      t.match(await (await fetch(addressOf(server))).text(), /<title>aionbd/, 'the status page is there');

      disk.goOn();
      t.match(await until(t, server, 200), { healthy: true, reasons: [] });
      const end = await load;
      t.equal(end.code, 0, 'what had to wait was done in the end', { said: describe(end) });
      await server.stop(t);
    },
  );
}

t.test('READs that hang are in the log, with all of their time as the disk’s', async (t) => {
  const disk = await fuseFile(t, 64 * MiB);
  const server = await serve(t, {
    exports: [{ name: 'hangs', path: disk.path, direct: 'on' }],
    args: ['--slow-request', '500', '--log-format', 'json'],
  });
  const client = await RawClient.open({ kind: 'unix', path: server.socketPath });
  // One of a single I/O, which has its way of its own, one that does not fit the disk's units, and one of several.
  const asked = [
    { offset: 8192, length: 4096 },
    { offset: 513, length: 100 },
    { offset: MiB, length: MiB },
  ];
  const about = (message: string) =>
    server
      .log()
      .split('\n')
      .filter((line) => line.includes(`"msg":"${message}"`) && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Told)
      .sort((a, b) => a.length - b.length);
  const told = async (message: string) => {
    const deadline = Date.now() + WAIT_MS;
    while (about(message).length < asked.length && Date.now() < deadline) await sleep(50);
    const lines = about(message);
    const expected = asked.map((one) => ({ ...one, export: 'hangs', command: 'READ' }));
    t.match(
      lines,
      expected.sort((a, b) => a.length - b.length),
      message,
    );
    for (const { length, durationMs, diskMs } of lines) {
      const what = `${message}: of ${length} bytes ${diskMs} of ${durationMs} ms`;
      if (length === 4096) t.equal(diskMs, durationMs, what);
      else t.ok(diskMs <= durationMs && diskMs > durationMs / 2, what);
    }
  };
  // Their slots have been used before.
  for (const one of asked) t.equal(await client.errorOf({ type: READ, ...one }), 0);
  disk.hang();
  const errors = asked.map((one) => client.errorOf({ type: READ, ...one }));
  await told('a request is still not answered');
  t.same(about('slow request'), [], 'none is answered yet');
  disk.goOn();
  t.same(await Promise.all(errors), [0, 0, 0]);
  await told('slow request');
  await client.destroy();
  await server.stop(t);
});

t.test('a stop while a disk hangs ends after its deadline, with 1', async (t) => {
  const disk = await fuseFile(t, 64 * MiB);
  const server = await serve(t, {
    exports: [
      { name: 'hangs', path: disk.path, direct: 'on' },
      { name: 'watched', path: disk.path, readOnly: true, direct: 'on' },
    ],
    args: ['--metrics', '127.0.0.1:0', '--health-deadline', String(DEADLINE_MS), '--log-format', 'json'],
  });
  disk.hang();
  await until(t, server, 503);
  server.child.kill('SIGTERM');
  // The kernel may keep the process's entry: closing the file, which it does for whoever ends, waits for the disk as well.
  const isOver = () => {
    try {
      return /^State:\s+Z/m.test(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'));
    } catch {
      return true;
    }
  };
  const deadline = Date.now() + WAIT_MS;
  while (!isOver() && Date.now() < deadline) await sleep(50);
  t.ok(isOver(), 'it has ended, as far as it can');
  disk.goOn();
  t.same(await ended(server.child, WAIT_MS), { code: 1, signal: null });
  // The process is gone before all that it has said is read.
  const said = /the server did not stop in time/;
  while (!said.test(server.log()) && Date.now() < deadline) await sleep(20);
  t.match(server.log(), said);
});
