import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { createConnection, createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { createServer } from '../../src/index.js';
import { KiB, MiB, pattern, scratch, sparseFile } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { slowWrites } from '../support/slow-writes.js';
import { start } from '../transmission/in-process.js';
import { RawClient } from '../transmission/raw-client.js';
import { DISC, ESHUTDOWN, READ, WRITE } from '../transmission/wire.js';

const descriptors = () => readdirSync('/proc/self/fd').length;

t.test(
  'X20: a stop finishes what is in flight, and everything that was answered is in the file',
  async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), 64 * MiB);
    const started = await start(t, { exports: [{ name: 'disk', path }] });
    const client = await started.client();
    const answered: number[] = [];
    const payload = pattern(64 * KiB, 5);
    const calls = Array.from({ length: 400 }, async (_, i) => {
      const reply = await client.call({ type: WRITE, offset: i * payload.length, payload });
      if (reply?.error === 0) answered.push(i);
      return reply?.error;
    });
    await Promise.race(calls);
    await started.server.close();
    const errors = new Set(await Promise.all(calls));
    errors.delete(0);
    errors.delete(ESHUTDOWN);
    t.ok(answered.length > 0, 'some were answered with success');
    t.same(
      [...errors].filter((error) => error !== undefined),
      [],
      'the rest: ESHUTDOWN, or the end',
    );
    const image = readFileSync(path);
    const lost = answered.filter(
      (i) => !image.subarray(i * payload.length, (i + 1) * payload.length).equals(payload),
    );
    t.same(lost, []);
  },
);

t.test(
  'X20: requests that come after the stop has begun are answered ESHUTDOWN, then the connection ends',
  async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    const started = await start(t, { exports: [{ name: 'disk', path }] });
    const client = await started.client();
    t.equal(await client.errorOf({ type: READ, offset: 0, length: 512 }), 0);
    const stopped = started.server.close();
    t.equal(await client.errorOf({ type: READ, offset: 0, length: 512 }), ESHUTDOWN);
    t.equal(await client.errorOf({ type: WRITE, offset: 0, payload: Buffer.alloc(70_000) }), ESHUTDOWN);
    await stopped;
    t.ok(await client.closesWithin(1000));
  },
);

t.test('a stop with onStop: disconnect answers what it has taken and refuses nothing', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), 64 * MiB);
  for (const threads of [1, 2]) {
    const started = await start(t, {
      exports: [{ name: 'disk', path }],
      onStop: 'disconnect',
      threads,
    });
    const clients = await Promise.all([started.client(), started.client()]);
    const payload = pattern(64 * KiB, 7);
    const answered: number[] = [];
    const calls = Array.from({ length: 400 }, async (_, i) => {
      const reply = await clients[i % 2]!.call({ type: WRITE, offset: i * payload.length, payload });
      if (reply?.error === 0) answered.push(i);
      return reply?.error;
    });
    await Promise.race(calls);
    const stopped = started.server.close();
    const late = clients.map((client) => client.errorOf({ type: READ, offset: 0, length: 512 }));
    await stopped;
    const errors = new Set(await Promise.all([...calls, ...late]));
    t.ok(answered.length > 0, 'some were answered with success');
    t.ok(
      [...errors].every((error) => error === 0 || error === undefined || error === 'dropped'),
      `and the others not at all: ${[...errors]}`,
    );
    const image = readFileSync(path);
    const lost = answered.filter(
      (i) => !image.subarray(i * payload.length, (i + 1) * payload.length).equals(payload),
    );
    t.same(lost, []);
  }
});

t.test('an onStop that is none is refused', async (t) => {
  const exports = [{ name: 'disk', path: sparseFile(join(scratch(t), 'disk'), MiB) }];
  await t.rejects(createServer({ exports, onStop: 'later' as 'refuse' }), {
    code: 'AIONBD_E_USAGE',
    message: 'onStop',
  });
});

t.test('X19: a stop waits for what a client left to be done when it took its leave', async (t) => {
  const COUNT = 200;
  const folder = scratch(t);
  const path = sparseFile(join(folder, 'disk'), MiB);
  const socket = join(folder, 's');
  const script = `
    const { createServer } = await import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)});
    const server = await createServer({
      exports: [{ name: 'disk', path: ${JSON.stringify(path)}, direct: 'off' }],
    });
    const gone = new Promise((resolve) => server.once('disconnect', resolve));
    await server.listen({ kind: 'unix', path: ${JSON.stringify(socket)} });
    await gone;
    const begun = Date.now();
    await server.close();
    console.log(Date.now() - begun);`;
  // A second for all of them: the client is gone long before they are done.
  const env = await slowWrites(t, '5000');
  const args = ['--input-type=module', '-e', script];
  const serving = run(process.execPath, args, { timeoutMs: 30_000, env });
  let client: RawClient | undefined;
  for (let i = 0; client === undefined && i < 500; i++) {
    client = await RawClient.open({ kind: 'unix', path: socket }, 'disk').catch(() => undefined);
    if (client === undefined) await sleep(20);
  }
  const payload = Buffer.alloc(4 * KiB, 0xab);
  const writes = Array.from({ length: COUNT }, (_, i) => ({
    type: WRITE,
    cookie: BigInt(i),
    offset: i * payload.length,
    payload,
  }));
  client!.write(client!.bytesOf(...writes, { type: DISC, cookie: 0n }));
  await client!.drained();
  await client!.destroy();
  const result = await serving;
  t.equal(result.code, 0, describe(result));
  const image = readFileSync(path);
  const lost = writes.filter(
    ({ offset }) => !image.subarray(offset, offset + payload.length).equals(payload),
  );
  t.equal(lost.length, 0, `the stop took ${result.stdout.trim()} ms`);
});

t.test('a stop ends idle clients and half-done handshakes soon, and closes every descriptor', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), 1_000_003);
  const before = descriptors();
  const server = await createServer({ exports: [{ name: 'disk', path }] });
  const address = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  const idle = await RawClient.open(address);
  const greeted = await RawClient.connect(address);
  await greeted.read(18);
  const begun = Date.now();
  await server.close();
  t.ok(Date.now() - begun < 2000, 'within two seconds');
  await Promise.all([idle.closed, greeted.closed]);
  await sleep(20);
  t.equal(descriptors(), before);
});

t.test('a client that never reads its replies holds up a stop no longer than the deadline', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), 64 * MiB);
  const started = await start(t, { exports: [{ name: 'disk', path }] });
  const client = await started.client();
  client.stopReading();
  for (let i = 0; i < 8; i++) client.send({ type: READ, cookie: BigInt(i), offset: 0, length: 8 * MiB });
  await sleep(100);
  const begun = Date.now();
  await started.server.close(500);
  t.ok(Date.now() - begun < 1500);
});

t.test('a client that never finishes its payload holds up a stop no longer than the deadline', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), 64 * MiB);
  const started = await start(t, { exports: [{ name: 'disk', path }] });
  const client = await started.client();
  const request = { type: WRITE, cookie: 1n, offset: 0, length: MiB, payload: Buffer.alloc(1000) };
  client.send(request);
  await sleep(50);
  const begun = Date.now();
  await started.server.close(500);
  t.ok(Date.now() - begun < 1500);
});

t.test('a stop leaves the socket file alone if another server has put its own there', async (t) => {
  const folder = scratch(t);
  const path = sparseFile(join(folder, 'disk'), MiB);
  const socket = join(folder, 's');
  for (let round = 0; round < 10; round++) {
    const server = await createServer({ exports: [{ name: 'disk', path }] });
    await server.listen({ kind: 'unix', path: socket });
    unlinkSync(socket);
    const other = createNetServer().listen(socket);
    await once(other, 'listening');
    await server.close();
    t.ok(existsSync(socket), 'it is still there');
    const answer = createConnection(socket);
    await once(answer, 'connect');
    answer.destroy();
    await new Promise((resolve) => other.close(resolve));
  }
});

t.test('close can be called twice, and listening afterwards is refused', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const server = await createServer({ exports: [{ name: 'disk', path }] });
  await Promise.all([server.close(), server.close()]);
  await t.rejects(server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }), /closed/);
});

t.test('two hundred clients that come and go leave nothing behind', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), 4 * MiB);
  const started = await start(t, { exports: [{ name: 'disk', path }], bufferMemoryBytes: 8 * MiB });
  let seen = 0;
  let gone = 0;
  started.server.on('connection', () => seen++);
  started.server.on('disconnect', () => gone++);
  await started.client();
  const before = descriptors();
  for (let round = 0; round < 200; round++) {
    const client = await RawClient.open(started.address);
    // Each leaves in the middle of something: replies not read, a payload cut off, a header cut off.
    client.send({ type: READ, cookie: 1n, offset: 0, length: 2 * MiB });
    client.send({ type: WRITE, cookie: 2n, offset: 3, length: 300_000, payload: Buffer.alloc(100_000) });
    if (round % 2) client.write(Buffer.from([0x25, 0x60]));
    await client.destroy();
  }
  for (let i = 0; i < 500 && gone < 200; i++) await sleep(10);
  t.equal(seen, 201);
  t.equal(gone, 200);
  t.ok(descriptors() <= before, 'no descriptor is left');
  const last = await started.client();
  t.equal(await last.errorOf({ type: READ, offset: 0, length: 4 * MiB }), 0, 'the memory is there again');
});
