import { existsSync, writeFileSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createServer, type Server } from '../../src/index.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { run } from '../support/programs.js';
import { memoryLog, start } from '../transmission/in-process.js';
import { optionBytes, RawClient } from '../transmission/raw-client.js';
import { DISC, READ } from '../transmission/wire.js';

const ABORT = 2;

async function plain(t: Test, options = {}): Promise<Server> {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const server = await createServer({ exports: [{ name: 'disk', path }], queueDepth: 64, ...options });
  t.teardown(() => server.close());
  return server;
}

t.test('listening on TCP port 0 returns the port, on IPv4 and IPv6', async (t) => {
  const server = await plain(t);
  for (const host of ['127.0.0.1', '::1']) {
    const address = await server.listen({ kind: 'tcp', host, port: 0 });
    if (address.kind !== 'tcp') throw new Error('not TCP');
    t.ok(address.port > 0);
    const client = await RawClient.open(address);
    t.equal(await client.errorOf({ type: READ, offset: 0, length: 512 }), 0);
    await client.destroy();
  }
});

t.test('an address in use is an error that names it and the remedy', async (t) => {
  const server = await plain(t);
  const other = createNetServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as { port: number };
  const message = `cannot listen on 127.0.0.1:${port}: it is in use; stop the other server or choose another address with --listen`;
  await t.rejects(server.listen({ kind: 'tcp', host: '127.0.0.1', port }), {
    code: 'AIONBD_E_LISTEN',
    message,
  });
});

t.test(
  'a Unix socket that a killed server left is replaced; a live one and a plain file are not',
  async (t) => {
    const folder = scratch(t);
    const server = await plain(t);
    const stale = join(folder, 'stale');
    const script = `import socket; s=socket.socket(socket.AF_UNIX); s.bind(${JSON.stringify(stale)}); s.listen(1)`;
    t.equal((await run('python3', ['-c', script])).code, 0);
    t.ok(existsSync(stale));
    await server.listen({ kind: 'unix', path: stale });
    const client = await RawClient.open({ kind: 'unix', path: stale });
    await client.destroy();

    const second = await plain(t);
    await t.rejects(second.listen({ kind: 'unix', path: stale }), {
      code: 'AIONBD_E_LISTEN',
      message: /it is in use/,
    });
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    await t.rejects(second.listen({ kind: 'unix', path: file }), {
      code: 'AIONBD_E_LISTEN',
      message: /not a socket; remove it or choose another path/,
    });
    t.ok(existsSync(file));
    await server.close();
    t.notOk(existsSync(stale), 'a stop removes the socket file');
  },
);

t.test('H7: a client may leave right after ABORT, without reading its answer', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const { logger, lines } = memoryLog();
  const started = await start(t, { exports: [{ name: 'disk', path }], logger });
  const tcp = await started.server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  for (let round = 0; round < 40; round++) {
    const client = await RawClient.connect(round % 2 ? started.address : tcp);
    client.socket.write(Buffer.concat([Buffer.from([0, 0, 0, 3]), optionBytes(ABORT, Buffer.alloc(0))]));
    if (round % 4 === 0) client.socket.resetAndDestroy();
    else await client.destroy();
  }
  const fine = await started.client();
  t.equal(await fine.errorOf({ type: READ, offset: 0, length: 512 }), 0, 'others are served');
  t.strictSame(
    lines.filter((line) => /^(warn|error)/.test(line)),
    [],
    'and nothing in the log is a worry',
  );
});

t.test(
  'H18: more connections than the cap are ended at once, and there is room again when one leaves',
  async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    const started = await start(t, { exports: [{ name: 'disk', path }], maxConnections: 2 });
    const first = await started.client();
    await started.client();
    const third = await RawClient.connect(started.address);
    t.ok(await third.closesWithin(1000));
    await first.destroy();
    for (let attempt = 0; attempt < 100; attempt++) {
      const again = await RawClient.connect(started.address);
      if (
        await again.go('').then(
          () => true,
          () => false,
        )
      ) {
        await again.destroy();
        t.pass('a later one is served');
        return;
      }
    }
    t.fail('no later one is served');
  },
);

t.test('H18: a client that is silent in the handshake is ended at the deadline', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const { logger, lines } = memoryLog();
  const started = await start(t, { exports: [{ name: 'disk', path }], handshakeDeadlineMs: 100, logger });
  const silent = await RawClient.connect(started.address);
  const half = await RawClient.connect(started.address);
  await half.greet();
  half.write(Buffer.from('IHAV'));
  const served = await started.client();
  t.ok(await silent.closesWithin(2000));
  t.ok(await half.closesWithin(2000));
  t.notOk(await served.closesWithin(200), 'one that has chosen its export is not');
  t.equal(lines.filter((line) => line.includes('took longer than 100 ms')).length, 2);
});

t.test('garbage instead of a handshake ends the connection and nothing else', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const started = await start(t, { exports: [{ name: 'disk', path }] });
  for (const garbage of ['GET / HTTP/1.1\r\n\r\n', '\0'.repeat(100), '\xff'.repeat(5000)]) {
    const client = await RawClient.connect(started.address);
    client.write(Buffer.from(garbage, 'latin1'));
    t.ok(await client.closesWithin(2000));
  }
  const fine = await started.client();
  t.equal(await fine.errorOf({ type: READ, offset: 0, length: 512 }), 0);
});

t.test(
  'X19: DISC ends the connection without a reply, and the log says who came and why they went',
  async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    const { logger, lines } = memoryLog();
    const started = await start(t, { exports: [{ name: 'disk', path }], logger });
    const events: unknown[] = [];
    started.server.on('connection', (info) => events.push(info));
    started.server.on('disconnect', (info) => events.push(info));
    const client = await started.client();
    client.write(Buffer.concat([Buffer.from([0x25, 0x60, 0x95, 0x13, 0, 0, 0, DISC]), Buffer.alloc(20)]));
    t.ok(await client.closesWithin(2000));
    t.match(events, [
      { id: 1, peer: 'unix', exportName: 'disk' },
      { id: 1, peer: 'unix', exportName: 'disk', reason: 'disconnected' },
    ]);
    t.ok(lines.some((line) => line.startsWith('info connected')));
    t.ok(lines.some((line) => line.startsWith('info disconnected')));
  },
);
