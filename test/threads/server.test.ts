// One server on several threads, in the test's own process.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import type { ConnectionInfo, ServerOptions } from '../../src/index.js';
import { MiB, pattern, scratch, sparseFile } from '../support/files.js';
import { memoryLog } from '../transmission/in-process.js';
import { RawClient } from '../transmission/raw-client.js';
import { ESHUTDOWN, FLUSH, READ, WRITE, WRITE_ZEROES } from '../transmission/wire.js';
import { createServer } from './library.js';

const THREADS = 3;

const descriptors = () => readdirSync('/proc/self/fd').length;

async function start(t: Test, options: Partial<ServerOptions> = {}) {
  const folder = scratch(t);
  const exports = ['one', 'two'].map((name) => ({ name, path: sparseFile(join(folder, name), 4 * MiB) }));
  const { logger, lines } = memoryLog();
  const server = await createServer({ exports, threads: THREADS, logger, ...options });
  t.teardown(() => server.close(500));
  const began: ConnectionInfo[] = [];
  const ended: ConnectionInfo[] = [];
  server.on('connection', (info) => began.push(info));
  server.on('disconnect', (info) => ended.push(info));
  const address = await server.listen({ kind: 'unix', path: join(folder, 's') });
  const client = async (name = '') => {
    const client = await RawClient.open(address, name);
    t.teardown(() => client.destroy());
    return client;
  };
  return { server, address, client, began, ended, lines };
}

/** Messages of threads take their time. */
async function until(condition: () => boolean): Promise<boolean> {
  for (let i = 0; i < 1000 && !condition(); i++) await sleep(10);
  return condition();
}

t.test('each export is served on every thread, and all see the same bytes', async (t) => {
  const { server, client, began, ended, lines } = await start(t);
  const clients = await Promise.all(
    Array.from({ length: 2 * THREADS }, (_, i) => client(i % 2 ? 'two' : 'one')),
  );
  for (const [i, writer] of clients.entries()) {
    const payload = pattern(700, i + 1);
    t.equal(await writer.errorOf({ type: WRITE, offset: i * 700, payload }), 0);
    for (const [j, reader] of clients.entries()) {
      const reply = await reader.call({ type: READ, offset: i * 700, length: 700 });
      t.equal(reply?.data.equals(payload), i % 2 === j % 2, `what ${i} has written, as ${j} sees it`);
    }
  }
  t.equal(await clients[0]!.errorOf({ type: FLUSH }), 0);
  t.equal(await clients[1]!.errorOf({ type: READ, offset: 4 * MiB, length: 1 }), 22);

  const [one, two] = server.exports.map(({ counters }) => counters);
  t.equal(one!.requests[WRITE]! + two!.requests[WRITE]!, clients.length);
  t.equal(one!.requests[READ], clients.length * THREADS);
  t.equal(two!.requests[READ], clients.length * THREADS + 1, 'what every thread has counted, is added up');
  t.equal(two!.errors[READ], 1);
  t.same([...one!.bytes], [clients.length * THREADS * 700, THREADS * 700]);
  t.same([...one!.connections], [THREADS, THREADS]);

  t.ok(await until(() => began.length === clients.length));
  t.same(began.map(({ id }) => id).sort(), [1, 2, 3, 4, 5, 6]);
  t.match(began[0], { peer: 'unix', exportName: /one|two/ });
  await clients[0]!.destroy();
  t.ok(await until(() => ended.length === 1));
  t.match(ended[0], { exportName: 'one', reason: 'the client closed the connection' });
  t.equal(server.exports[0]!.counters.connections[0], THREADS - 1);
  t.ok(lines.some((line) => line.startsWith('info connected')));
  t.ok(lines.some((line) => line.startsWith('info disconnected')));
});

t.test('more connections than the cap over all threads are ended at once', async (t) => {
  const { address, client, ended } = await start(t, { maxConnections: THREADS + 1 });
  const clients = [];
  for (let i = 0; i < THREADS + 1; i++) clients.push(await client());
  const refused = await RawClient.connect(address);
  t.ok(await refused.closesWithin(2000));
  t.match(ended, [{ reason: `there are ${THREADS + 1} connections already` }]);
  await clients[0]!.destroy();
  t.ok(await until(() => ended.length === 2));
  const later = await client();
  t.equal(await later.errorOf({ type: READ, offset: 0, length: 512 }), 0, 'there is room again');
});

t.test(
  'a stop finishes or refuses what comes on any thread, ends all, and leaves no descriptor',
  async (t) => {
    await (await start(t)).server.close();
    const before = descriptors();
    const { server, address, client, ended } = await start(t);
    const clients = await Promise.all(Array.from({ length: THREADS }, () => client()));
    const greeted = await RawClient.connect(address);
    await greeted.read(18);
    const begun = Date.now();
    const closing = Promise.all([server.close(), server.close()]);
    const errors = await Promise.all(
      clients.map((client) => client.errorOf({ type: WRITE, offset: 0, payload: Buffer.alloc(5) })),
    );
    // On a busy machine a request may come after the time in which it would still be answered.
    const allowed: readonly (number | string)[] = [0, ESHUTDOWN, 'dropped'];
    t.same(
      errors.filter((error) => !allowed.includes(error)),
      [],
    );
    await closing;
    t.ok(Date.now() - begun < 4000, 'before the deadline');
    await Promise.all(clients.map((client) => client.closed));
    t.equal(ended.length, THREADS + 1);
    await t.rejects(server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }), /closed/);
    await greeted.destroy();
    await sleep(20);
    t.ok(descriptors() <= before, `${descriptors()} descriptors, ${before} before`);
  },
);

t.test('a client that never reads its replies holds up a stop no longer than the deadline', async (t) => {
  const { server, client } = await start(t);
  const stuck = await client();
  stuck.stopReading();
  for (let i = 0; i < 8; i++) stuck.send({ type: READ, cookie: BigInt(i), offset: 0, length: 4 * MiB });
  await sleep(100);
  const begun = Date.now();
  await server.close(500);
  t.ok(Date.now() - begun < 2500);
});

t.test('two hundred clients that come and go leave nothing behind', async (t) => {
  const { address, client, began, ended } = await start(t);
  await client();
  await until(() => began.length === 1);
  const before = descriptors();
  for (let round = 0; round < 200; round++) {
    const passing = await RawClient.open(address);
    passing.send({ type: READ, cookie: 1n, offset: 0, length: 2 * MiB });
    passing.send({ type: WRITE, cookie: 2n, offset: 3, length: 300_000, payload: Buffer.alloc(100_000) });
    await passing.destroy();
  }
  t.ok(await until(() => ended.length === 200));
  t.ok(await until(() => descriptors() <= before), 'no descriptor is left');
  const last = await client();
  t.equal(await last.errorOf({ type: READ, offset: 0, length: 4 * MiB }), 0);
  t.equal(await last.errorOf({ type: WRITE_ZEROES, offset: 1, length: 3 * MiB }), 0, 'nor a lock');
});

t.test('too little to divide is refused with the remedy', async (t) => {
  const exports = [{ name: 'disk', path: sparseFile(join(scratch(t), 'disk'), MiB) }];
  const before = descriptors();
  for (const [options, message] of [
    [{ threads: 9 }, /--buffer-memory 72M, or fewer --threads/],
    [{ threads: 4, queueDepth: 63 }, /--queue-depth 64, or fewer --threads/],
    [{ threads: 0 }, /threads is 0; it must be a whole number from 1 to 64/],
    [{ threads: 65 }, /threads is 65/],
  ] as const) {
    await t.rejects(createServer({ exports, ...options }), { code: 'AIONBD_E_USAGE', message });
  }
  const twins = [...exports, ...exports];
  await t.rejects(createServer({ exports: twins, threads: 2 }), { code: 'AIONBD_E_EXPORT_NAME' });
  t.equal(descriptors(), before);
});

t.test('connections go to the thread that has fewest, of equals to each in turn', async (t) => {
  const given: number[] = [];
  const spy = (worker: Worker) => {
    const number = given.push(0) - 1;
    const post = worker.postMessage.bind(worker);
    worker.postMessage = (order: { readonly kind: string }) => {
      if (order.kind === 'connection') given[number]!++;
      post(order);
    };
  };
  process.on('worker', spy);
  const { client, ended } = await start(t);
  process.off('worker', spy);
  const clients: RawClient[] = [];
  for (let i = 0; i < 2 * THREADS; i++) clients.push(await client());
  t.same(given, [2, 2, 2]);
  // The second thread loses both of its clients, and gets the next two.
  await Promise.all([clients[1]!.destroy(), clients[1 + THREADS]!.destroy()]);
  t.ok(await until(() => ended.length === 2));
  await client();
  await client();
  t.same(given, [2, 4, 2]);
  for (let i = 0; i < THREADS; i++) await client();
  t.same(given, [3, 5, 3]);
});
