import { once } from 'node:events';
import { existsSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { AionbdError } from '../../src/errors.js';
import { HttpServer, reply } from '../../src/metrics/http.js';
import { Listener, type PageAddress } from '../../src/metrics/listener.js';
import { MiB, scratch } from '../support/files.js';

const ANY_PORT: PageAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

/** Far more than the buffers of a socket hold. */
const BIG_BYTES = 32 * MiB;
const STILL_MS = 500;
const WAIT_MS = 15_000;

/** As the server on the watching thread, but here. */
class Page {
  readonly #listeners: Listener[] = [];
  readonly #bigEnds: (() => void)[] = [];
  readonly #http = new HttpServer(
    {
      '/': (_request, response) => reply(response, 200, 'text/plain', 'hello\n'),
      '/name': (_request, response, { name }) => reply(response, 200, 'text/plain', name),
      '/throws': () => {
        throw new Error('on purpose');
      },
      '/breaks': async (_request, response) => {
        response.write('half');
        await new Promise((resolve) => setImmediate(resolve));
        throw new Error('on purpose');
      },
      '/open': (_request, response) => {
        response.write('more comes\n');
      },
      '/big': (_request, response) => {
        response.on('close', () => this.#bigEnds.shift()?.());
        response.end(Buffer.alloc(BIG_BYTES));
      },
    },
    { name: 'context' },
    STILL_MS,
  );

  /** Whatever becomes of the next answer to /big: here it is over. */
  bigEnd(): Promise<void> {
    return new Promise((resolve) => this.#bigEnds.push(resolve));
  }

  async listen(address: PageAddress): Promise<PageAddress> {
    const listener = await Listener.open(address);
    this.#listeners.push(listener);
    await this.#http.serve(listener.fd);
    return listener.address;
  }

  async close(): Promise<void> {
    for (const listener of this.#listeners) listener.removeFile();
    await this.#http.close();
  }
}

function openPage(t: Test): Page {
  const page = new Page();
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

t.test('a route is found by its path, whatever the query, and gets the context', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  for (const path of ['/name', '/name?name=x', '/name?']) {
    t.match(await ask(address, path), { status: 200, body: 'context', headers: { 'content-length': '7' } });
  }
  t.match(await ask(address, '/name', 'HEAD'), { status: 200, body: '', headers: { 'content-length': '7' } });
});

t.test('other paths do not exist, other methods are refused', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  t.match(await ask(address, '/name/'), { status: 404, body: '/name' });
  t.match(await ask(address, '/constructor'), { status: 404 });
  t.match(await ask(address, '/name', 'POST'), { status: 405, headers: { allow: 'GET, HEAD' } });
  t.match(await ask(address, '/', 'DELETE'), { status: 405 });
  t.match(await ask(address, '/x', 'POST'), { status: 404 });
});

t.test('a route that throws is answered with 500, and the next request as ever', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  t.match(await ask(address, '/throws'), { status: 500, body: 'on purpose' });
  await t.rejects(ask(address, '/breaks'), 'half an answer is no answer');
  t.match(await ask(address, '/'), { status: 200 });
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
  t.match(await ask(address, '/'), { status: 200 });
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
  t.match(await ask(await page.listen({ kind: 'unix', path }), '/'), { status: 200 });
});

t.test('a socket that is in use, or a file that is none, is left alone', async (t) => {
  const directory = scratch(t);
  const used: PageAddress = { kind: 'unix', path: join(directory, 'used') };
  const first = openPage(t);
  await first.listen(used);
  await t.rejects(openPage(t).listen(used), { code: 'AIONBD_E_LISTEN' });
  t.match(await ask(used, '/'), { status: 200 });

  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  await t.rejects(openPage(t).listen({ kind: 'unix', path: file }), { code: 'AIONBD_E_LISTEN' });
  t.ok(existsSync(file));
});

t.test('a Unix socket that another server has taken the place of is left alone', async (t) => {
  const path = join(scratch(t), 'm');
  const page = openPage(t);
  await page.listen({ kind: 'unix', path });
  unlinkSync(path);
  const second = openPage(t);
  const address = await second.listen({ kind: 'unix', path });
  await page.close();
  t.match(await ask(address, '/'), { status: 200 });
});

t.test('close ends an answer that stays open', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  const asked = request({
    host: '127.0.0.1',
    port: address.kind === 'tcp' ? address.port : 0,
    path: '/open',
  });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const cut = once(response, 'error');
  response.resume();
  await page.close();
  t.match(await cut, [{ code: 'ECONNRESET' }]);
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

t.test('a client that takes nothing of its answer is cut', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  const socket = connect(address.kind === 'tcp' ? address.port : 0, '127.0.0.1').pause();
  t.teardown(() => socket.destroy());
  socket.on('error', () => {}); // what it had not taken is thrown away
  const end = page.bigEnd();
  const began = performance.now();
  socket.write('GET /big HTTP/1.1\r\nHost: x\r\n\r\n');
  let isPatient = true;
  const late = setTimeout(() => {
    isPatient = false;
    page.close();
  }, WAIT_MS);
  await end;
  clearTimeout(late);
  const tookMs = performance.now() - began;
  t.ok(isPatient && tookMs > 0.9 * STILL_MS, `after ${Math.round(tookMs)} ms`);
  let taken = 0;
  socket.on('data', ({ length }) => {
    taken += length;
  });
  socket.resume();
  if (!socket.closed) await once(socket, 'close').catch(() => {});
  t.ok(taken < BIG_BYTES, `${taken} bytes were on their way`);
});

t.test('a client that takes its answer slowly gets all of it', async (t) => {
  const page = openPage(t);
  const address = await page.listen(ANY_PORT);
  // Where this process itself stood still for so long nothing is proved.
  let stoodStill = false;
  for (let tries = 0; tries < 10; tries++) {
    const asked = request({
      host: '127.0.0.1',
      port: address.kind === 'tcp' ? address.port : 0,
      path: '/big',
      agent: false,
    });
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const began = performance.now();
    let [taken, last, longestMs] = [0, began, 0];
    response.on('data', ({ length }: Buffer) => {
      const now = performance.now();
      longestMs = Math.max(longestMs, now - last);
      last = now;
      taken += length;
      response.pause();
      setTimeout(() => response.resume(), 5);
    });
    await once(response, 'close').catch(() => {}); // cut
    const tookMs = performance.now() - began;
    stoodStill = longestMs > STILL_MS / 2;
    if (taken < BIG_BYTES && stoodStill) continue;
    t.equal(taken, BIG_BYTES);
    t.ok(tookMs > 3 * STILL_MS, `in ${Math.round(tookMs)} ms`);
    return;
  }
  t.ok(stoodStill, 'this machine stands still');
});
