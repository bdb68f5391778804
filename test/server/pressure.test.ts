// What a server meets on a bad day: floods, races, clients that go on writing while it stops.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { createServer } from '../../src/index.js';
import { KiB, MiB, scratch, sparseFile } from '../support/files.js';
import { start } from '../transmission/in-process.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ, WRITE } from '../transmission/wire.js';

const disk = (t: Parameters<typeof scratch>[0]) => sparseFile(join(scratch(t), 'disk'), 16 * MiB);

t.test('H18: a thousand silent handshakes do not keep connected clients from being served', async (t) => {
  const started = await start(t, {
    exports: [{ name: '', path: disk(t) }],
    bufferMemoryBytes: 8 * MiB,
    handshakeDeadlineMs: 2000,
  });
  const good = await started.client();
  const silent: RawClient[] = [];
  for (let i = 0; i < 1000; i++) silent.push(await RawClient.connect(started.address));
  const begun = Date.now();
  const payload = Buffer.alloc(3 * MiB, 7);
  t.equal(await good.errorOf({ type: WRITE, offset: 1, payload }), 0, 'a large write');
  t.ok(
    (await good.call({ type: READ, offset: 1, length: payload.length }))?.data.equals(payload),
    'a large read',
  );
  t.ok(Date.now() - begun < 1500, 'before the deadline of the handshakes', { took: Date.now() - begun });
  await Promise.all(silent.map((client) => client.closed));
  const last = await started.client();
  t.equal(await last.errorOf({ type: READ, length: MiB }), 0, 'and when they are gone, new clients come in');
});

t.test('H18: a client that stops in the middle of an option is ended at the deadline', async (t) => {
  const started = await start(t, { exports: [{ name: '', path: disk(t) }], handshakeDeadlineMs: 300 });
  const partial = await RawClient.connect(started.address);
  await partial.greet();
  partial.write(Buffer.from('49484156454f5054000000070000', 'hex'));
  const dripping = await RawClient.connect(started.address);
  await dripping.greet();
  const drip = setInterval(() => dripping.write(Buffer.from([0x49])), 50);
  const begun = Date.now();
  t.ok(await partial.closesWithin(3000), 'silence');
  t.ok(await dripping.closesWithin(3000), 'a byte now and then');
  clearInterval(drip);
  t.ok(Date.now() - begun >= 200, 'not before');
  const patient = await started.client();
  await sleep(600);
  t.equal(await patient.errorOf({ type: READ, length: 1 }), 0, 'the deadline is for the handshake only');
});

t.test('a stop that overtakes a listen leaves neither a socket file nor a descriptor', async (t) => {
  const path = disk(t);
  const socket = join(scratch(t), 's');
  const before = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 20; round++) {
    const server = await createServer({ exports: [{ name: '', path }], queueDepth: 64 });
    const listening = server.listen({ kind: 'unix', path: socket }).then(
      () => undefined,
      () => undefined,
    );
    if (round % 2) await new Promise(setImmediate);
    await server.close();
    await listening;
    t.notOk(existsSync(socket), `round ${round}: no socket file`);
  }
  await sleep(20);
  t.equal(readdirSync('/proc/self/fd').length, before, 'no descriptor');
});

t.test('X20: a client that writes on and on does not hold up a stop', async (t) => {
  const started = await start(t, { exports: [{ name: '', path: disk(t) }] });
  const client = await started.client();
  const payload = Buffer.alloc(256 * KiB);
  let goesOn = true;
  const writing = (async () => {
    for (let i = 0n; goesOn && !client.isClosed; i++) {
      if (!client.send({ type: WRITE, cookie: i, offset: 0, payload })) await client.drained();
      else await new Promise(setImmediate);
    }
  })();
  await sleep(100);
  const begun = Date.now();
  await started.server.close();
  const took = Date.now() - begun;
  goesOn = false;
  await writing;
  t.ok(took < 2000, 'it is over long before the deadline', { took });
});

t.test('two servers in one process, each with its own files and clients', async (t) => {
  const [one, two] = [
    await start(t, { exports: [{ name: '', path: disk(t) }] }),
    await start(t, { exports: [{ name: '', path: disk(t) }] }),
  ];
  const [a, b] = [await one.client(), await two.client()];
  await a.call({ type: WRITE, offset: 0, payload: Buffer.alloc(512, 1) });
  t.equal((await b.call({ type: READ, offset: 0, length: 1 }))?.data[0], 0);
  await one.server.close();
  t.equal((await b.call({ type: READ, offset: 0, length: 1 }))?.error, 0, 'one can stop without the other');
});
