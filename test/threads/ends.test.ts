// The ways in which a server on several threads can end.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { preloaded } from '../support/preload.js';
import { collect, describe, ended, must, run, tied } from '../support/programs.js';
import { MAIN, serve } from '../support/server.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ, WRITE } from '../transmission/wire.js';

const UNWATCHABLE = fileURLToPath(new URL('unwatchable.c', import.meta.url));

t.test('an exception that nobody catches on a thread ends the process, with a line in the log', async (t) => {
  const folder = scratch(t);
  const path = sparseFile(join(folder, 'disk'), MiB);
  const preload = join(folder, 'preload.mjs');
  writeFileSync(
    preload,
    `import { isMainThread, threadId } from 'node:worker_threads';
     if (!isMainThread && threadId === 2) setTimeout(() => { throw new Error('on purpose'); }, 1500);`,
  );
  const args = ['--import', preload, MAIN, 'serve', path, '--metrics', 'off', '--threads', '2'];
  const result = await run(process.execPath, [...args, '--listen', `unix:${join(folder, 's')}`], {
    timeoutMs: 30_000,
  });
  t.equal(result.code, 1, describe(result));
  t.match(result.stderr, /on purpose/);
  t.match(result.stderr, /unexpected error, please report it/);
});

t.test('a thread that ends by itself ends the process, and what is on its way to it is closed', async (t) => {
  const folder = scratch(t);
  const path = sparseFile(join(folder, 'disk'), MiB);
  const script = `
    import { createConnection } from 'node:net';
    import { readdirSync } from 'node:fs';
    const { createServer } = await import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)});
    const workers = [];
    process.on('worker', (worker) => workers.push(worker));
    const server = await createServer({ exports: [{ name: 'd', path: ${JSON.stringify(path)} }], threads: 2 });
    const listen = ${JSON.stringify(join(folder, 's'))};
    await server.listen({ kind: 'unix', path: listen });
    let uncaught = '';
    const thrown = new Promise((resolve) => process.once('uncaughtException', (error) => {
      uncaught = error.message;
      resolve();
    }));
    // Its messages are never heard from now on.
    workers[0].postMessage = () => {};
    const lost = createConnection(listen);
    await new Promise((resolve) => lost.once('connect', resolve));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const closed = new Promise((resolve) => lost.once('close', resolve).resume());
    await workers[0].terminate();
    await Promise.all([thrown, closed]);
    // The other one goes on, and there is an end.
    const served = createConnection(listen);
    await new Promise((resolve) => served.once('data', resolve));
    served.destroy();
    await server.close(500);
    console.log(JSON.stringify({ uncaught }));`;
  const args = ['--input-type=module', '-e', script];
  const result = await run(process.execPath, args, { timeoutMs: 30_000 });
  t.equal(result.code, 0, describe(result));
  t.same(JSON.parse(result.stdout || '{}'), { uncaught: 'aionbd-1 has ended by itself' });
});

t.test('a connection that its thread cannot take over is closed, counted and in the log', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const metrics = join(scratch(t), 'm');
  const server = await serve(t, {
    exports: [{ name: 'disk', path }],
    args: ['--threads', '2', '--log-format', 'json', '--metrics', `unix:${metrics}`],
    env: await preloaded(t, UNWATCHABLE),
  });
  const address = { kind: 'unix', path: server.socketPath } as const;
  const lost = await RawClient.connect(address);
  t.ok(await lost.closesWithin(30_000), 'it is closed');
  const served = await RawClient.open(address, 'disk');
  t.equal(await served.errorOf({ type: READ, offset: 0, length: 4096 }), 0, 'the next one is served');
  await served.destroy();
  const status = JSON.parse(await must(process.execPath, [MAIN, 'status', `unix:${metrics}`, '--json']));
  t.match(status.handshakeFailures, { no_thread: 1 });
  await server.stop(t);
  const lines = server
    .log()
    .split('\n')
    .filter((line) => line.includes('a handshake has failed'));
  t.match(
    lines.map((line) => JSON.parse(line)),
    [
      {
        level: 40,
        connection: 1,
        peer: 'unix',
        failure: 'no_thread',
        reason: 'its thread could not take it over (errno 28)',
      },
    ],
  );
});

t.test('SIGTERM at any moment of the start is a clean stop, or an end by the signal', async (t) => {
  const folder = scratch(t);
  const path = sparseFile(join(folder, 'disk'), MiB);
  for (const delayMs of [50, 150, 300, 450, 600, 900]) {
    const args = [MAIN, 'serve', path, '--metrics', 'off', '--threads', '3'];
    const [program, all] = tied(process.execPath, [...args, '--listen', `unix:${join(folder, 's')}`]);
    const child = spawn(program, all, { stdio: ['ignore', 'ignore', 'pipe'] });
    const log = collect(child.stderr);
    await sleep(delayMs);
    child.kill('SIGTERM');
    const end = await ended(child, 10_000);
    t.ok(end?.code === 0 || end?.signal === 'SIGTERM', `${delayMs} ms: ${JSON.stringify(end)}`, {
      log: log(),
    });
  }
});

t.test('a stop with requests in flight on all threads ends with 0', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), 64 * MiB);
  const server = await serve(t, { exports: [{ name: 'disk', path }], args: ['--threads', '4'] });
  const clients = await Promise.all(
    Array.from({ length: 8 }, () => RawClient.open({ kind: 'unix', path: server.socketPath })),
  );
  const payload = Buffer.alloc(100_000, 7);
  const calls = clients.flatMap((client, i) =>
    Array.from({ length: 30 }, (_, j) =>
      client.call({
        type: j % 2 ? WRITE : READ,
        offset: i * 4 * MiB + j * 777,
        ...(j % 2 ? { payload } : { length: 100_000 }),
      }),
    ),
  );
  await Promise.race(calls);
  await server.stop(t);
  await Promise.all(calls);
  await Promise.all(clients.map((client) => client.destroy()));
});
