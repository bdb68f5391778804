import { once } from 'node:events';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { AionbdError } from '../../src/errors.js';
import { ExportCounters } from '../../src/metrics/counters.js';
import { MetricsPage, type PageAddress } from '../../src/metrics/page.js';
import { scratch } from '../support/files.js';
import { parseText } from './parse-text.js';

const ANY_PORT: PageAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

function openPage(t: Test): MetricsPage {
  const counters = new ExportCounters();
  const source = { exports: [{ name: 'disk', sizeBytes: 1, readOnly: false, direct: true, counters }] };
  const page = new MetricsPage({ source, version: '0' });
  t.teardown(() => page.close());
  return page;
}

async function ask(address: PageAddress, path: string, method = 'GET') {
  const at =
    address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port };
  const asked = request({ ...at, path, method, agent: false });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

t.test('GET /metrics answers in the text format', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  for (const path of ['/metrics', '/metrics?name=x']) {
    const { status, headers, body } = await ask(address, path);
    t.equal(status, 200);
    t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    t.ok(parseText(body).has('aionbd_requests_total'));
  }
  t.match(await ask(address, '/metrics', 'HEAD'), { status: 200, body: '' });
});

t.test('/ points to the metrics, other paths do not exist, other methods are refused', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  t.match(await ask(address, '/'), { status: 200, body: '/metrics' });
  t.match(await ask(address, '/metrics/'), { status: 404, body: '/metrics' });
  t.match(await ask(address, '/metrics', 'POST'), { status: 405, headers: { allow: 'GET, HEAD' } });
  t.match(await ask(address, '/', 'DELETE'), { status: 405 });
  t.match(await ask(address, '/x', 'POST'), { status: 404 });
});

t.test('a page that is loaded before the first scrape answers it all the same', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  await page.load();
  t.match(await ask(address, '/metrics'), { status: 200 });
});

t.test('headers that do not end are refused at 8 KiB', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  t.ok(address.kind === 'tcp');
  const socket = connect(address.kind === 'tcp' ? address.port : 0, '127.0.0.1');
  socket.write(`GET /metrics HTTP/1.1\r\nX: ${'x'.repeat(9000)}`);
  t.match(await text(socket), /^HTTP\/1\.1 431 /);
});

t.test('a port that is taken is an error that names it', async (t) => {
  const page = openPage(t);
  const taken = await page.listen(ANY_PORT);
  const second = openPage(t);
  const error = await second.listen(taken).catch((error: unknown) => error);
  t.ok(error instanceof AionbdError);
  t.match(error, {
    code: 'AIONBD_E_LISTEN',
    message: /^cannot show metrics at "127\.0\.0\.1:\d+": it is in use; choose/,
  });
});

t.test('an address that this machine does not have is an error that names it', async (t) => {
  const error = await openPage(t)
    .listen({ kind: 'tcp', host: '192.0.2.1', port: 0 })
    .catch((error: unknown) => error);
  t.match(error, { code: 'AIONBD_E_LISTEN', message: '"192.0.2.1:0": this machine has no such address' });
});

t.test('the page can be on a Unix socket, which is gone after the close', async (t) => {
  const path = join(scratch(t), 'm');
  const page = openPage(t);
  const address = await page.listen({ kind: 'unix', path });
  t.match(await ask(address, '/metrics'), { status: 200 });
  await page.close();
  t.notOk(existsSync(path));
});

t.test('a socket that a killed server left behind is replaced', async (t) => {
  const path = join(scratch(t), 'm');
  // Renamed while it is listened on, it stays when its server closes.
  const dead = createServer().listen(`${path}.old`);
  await once(dead, 'listening');
  renameSync(`${path}.old`, path);
  dead.close();
  await once(dead, 'close');
  t.ok(existsSync(path));
  const page = openPage(t);
  t.match(await ask(await page.listen({ kind: 'unix', path }), '/metrics'), { status: 200 });
});

t.test('a socket that is in use, or a file that is none, is left alone', async (t) => {
  const directory = scratch(t);
  const used: PageAddress = { kind: 'unix', path: join(directory, 'used') };
  const first = openPage(t);
  await first.listen(used);
  await t.rejects(openPage(t).listen(used), { code: 'AIONBD_E_LISTEN' });
  t.match(await ask(used, '/metrics'), { status: 200 });

  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  await t.rejects(openPage(t).listen({ kind: 'unix', path: file }), { code: 'AIONBD_E_LISTEN' });
  t.ok(existsSync(file));
});

t.test('close cuts a client that stays connected', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  const socket = connect(address.kind === 'tcp' ? address.port : 0, '127.0.0.1');
  socket.on('error', () => {}); // it is cut, which is what the test is about
  await once(socket, 'connect');
  socket.write('GET /metr');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await page.close();
  await closed;
  t.pass('the socket is closed');
});
