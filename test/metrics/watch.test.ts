// The watching thread of a server, as a user meets it.

import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import type { ServerSnapshot } from '../../src/metrics/snapshot.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { run } from '../support/programs.js';
import { serve } from '../support/server.js';
import { createServer } from '../threads/library.js';
import { memoryLog } from '../transmission/in-process.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ, WRITE } from '../transmission/wire.js';
import { parseText } from './parse-text.js';

const { Watch } = (await import(
  new URL('../../dist/metrics/watch.js', import.meta.url).href
)) as typeof import('../../src/metrics/watch.js');

async function ask(socketPath: string, path: string) {
  const [response] = (await once(get({ socketPath, path, agent: false }), 'response')) as [IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

const status = async (socketPath: string) =>
  JSON.parse((await ask(socketPath, '/api/status')).body) as ServerSnapshot;

async function metric(socketPath: string, name: string, labels: Record<string, string> = {}) {
  const families = parseText((await ask(socketPath, '/metrics')).body);
  return families.get(name)?.samples.get(JSON.stringify(labels));
}

/** The thread hears of connections by messages, which take their time. */
async function until(condition: () => Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 500; i++) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

async function start(t: Test, names: readonly string[], ...args: string[]) {
  const folder = scratch(t);
  const metrics = join(folder, 'm');
  const exports = names.map((name) => ({ name, path: sparseFile(join(folder, name), MiB) }));
  const server = await serve(t, { exports, args: ['--metrics', `unix:${metrics}`, ...args] });
  const client = async (name: string) => {
    const client = await RawClient.open({ kind: 'unix', path: server.socketPath }, name);
    t.teardown(() => client.destroy());
    return client;
  };
  return { server, metrics, client };
}

/** A server in this process, with a thread that watches it. */
async function watched(t: Test, entry?: URL) {
  const folder = scratch(t);
  const metrics = join(folder, 'm');
  const { logger, lines } = memoryLog();
  const server = await createServer({ exports: [{ name: 'a', path: sparseFile(join(folder, 'a'), MiB) }] });
  t.teardown(() => server.close(100));
  const watch = new Watch({ logger, mostExports: 100, healthDeadlineMs: 5000, ...(entry && { entry }) });
  await watch.listen({ kind: 'unix', path: metrics });
  watch.start(server);
  t.teardown(() => watch.close());
  return { server, watch, metrics, folder, lines };
}

for (const threads of ['1', '3']) {
  t.test(`clients that come, work and go are seen, with ${threads} threads`, async (t) => {
    const { server, metrics, client } = await start(t, ['a', 'b'], '--threads', threads);
    const clients = [await client('a'), await client('b'), await client('b')];
    for (const one of clients) {
      t.equal(await one.errorOf({ type: WRITE, offset: 4096, payload: Buffer.alloc(8192) }), 0);
      t.equal((await one.call({ type: READ, offset: 0, length: 512 }))?.data.length, 512);
    }
    t.ok(await until(async () => (await status(metrics)).connections.length === 3));
    const written = (name: string) =>
      metric(metrics, 'aionbd_request_bytes_total', { export: name, operation: 'write' });
    t.equal(await written('a'), 8192);
    t.equal(await written('b'), 2 * 8192);
    t.equal(await metric(metrics, 'aionbd_connections_active', { export: 'b' }), 2);
    for (const one of clients) one.destroy();
    t.ok(await until(async () => (await status(metrics)).connections.length === 0));
    t.equal(await metric(metrics, 'aionbd_connections_active', { export: 'b' }), 0);
    t.equal(await metric(metrics, 'aionbd_connections_total', { export: 'b' }), 2);
    t.equal(await written('b'), 2 * 8192);
    await server.stop(t);
    t.notOk(existsSync(metrics), 'the socket is gone');
  });
}

t.test('--metrics-exports bounds the exports that are named', async (t) => {
  const { metrics, client } = await start(t, ['a', 'b', 'c'], '--metrics-exports', '1');
  for (const name of ['a', 'b', 'c']) {
    const one = await client(name);
    t.equal((await one.call({ type: READ, offset: 0, length: 4096 }))?.data.length, 4096);
  }
  const reads = (name: string) =>
    metric(metrics, 'aionbd_requests_total', { export: name, operation: 'read' });
  t.equal(await reads('a'), 1);
  t.equal(await reads('b'), undefined);
  t.equal(await reads(''), 2);
  t.equal((await status(metrics)).exports.length, 3, 'the JSON has them all');
});

t.test(
  'the server stops in time with scrapers connected: idle, in the middle of a request, not reading',
  async (t) => {
    const { server, metrics } = await start(t, ['a']);
    for (const sent of ['', 'GET /metr', 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50)]) {
      const socket = connect(metrics);
      socket.on('error', () => {}); // it will be cut
      t.teardown(() => socket.destroy());
      await once(socket, 'connect');
      socket.pause();
      socket.write(sent);
    }
    await ask(metrics, '/metrics');
    await server.stop(t);
  },
);

t.test('a stop is told, for as long as the thread is there', async (t) => {
  const { server, watch, metrics } = await watched(t);
  await watch.ready;
  t.equal((await status(metrics)).state, 'serving');
  t.equal(await metric(metrics, 'aionbd_draining'), 0);
  await server.close();
  t.ok(await until(async () => (await status(metrics)).state === 'draining'));
  t.equal(await metric(metrics, 'aionbd_draining'), 1);
});

t.test('a scrape is answered while the main thread is stuck, and says so', async (t) => {
  const { watch, metrics, folder } = await watched(t);
  await watch.ready;
  t.equal(await metric(metrics, 'aionbd_main_thread_answers'), 1);

  const page = join(folder, 'page');
  const scrape = `require('http').get({ socketPath: ${JSON.stringify(metrics)}, path: '/metrics' }, async (response) => {
    let text = '';
    for await (const piece of response) text += piece;
    fs.writeFileSync('${page}.new', text);
    fs.renameSync('${page}.new', '${page}');
  })`;
  const scraper = run(process.execPath, ['-e', scrape]);
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  const deadlineMs = Date.now() + 30_000;
  while (!existsSync(page) && Date.now() < deadlineMs) Atomics.wait(nobody, 0, 0, 10);
  const families = parseText(readFileSync(page, 'utf8'));
  t.equal(families.get('aionbd_main_thread_answers')?.samples.get('{}'), 0);
  t.equal(families.get('aionbd_export_size_bytes')?.samples.get('{"export":"a"}'), MiB);
  t.equal((await scraper).code, 0);
  t.equal(await metric(metrics, 'aionbd_main_thread_answers'), 1, 'and it is well again');
});

t.test('a watching thread that fails is an error in the log, and the server goes on', async (t) => {
  const entry = new URL('data:text/javascript,throw new Error("on purpose")');
  const { server, watch, metrics, folder, lines } = await watched(t, entry);
  await watch.ready;
  t.ok(await until(async () => lines.length > 0));
  t.match(lines, [/^error metrics have failed/]);
  const address = await server.listen({ kind: 'unix', path: join(folder, 's') });
  const client = await RawClient.open(address, 'a');
  t.teardown(() => client.destroy());
  t.equal((await client.call({ type: READ, offset: 0, length: 512 }))?.data.length, 512);
  await watch.close();
  t.notOk(existsSync(metrics), 'the socket is gone');
});
