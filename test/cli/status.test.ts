// aionbd status and top as a user starts them: against servers that are made up, and against real ones.

import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseStatusAddress } from '../../src/config/status-address.js';
import { busy, snapshot, target } from '../monitor/made-up.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { describe, must, type RunResult, run } from '../support/programs.js';
import { MAIN, serve } from '../support/server.js';

const aionbd = (...args: string[]): Promise<RunResult> => run(process.execPath, [MAIN, ...args]);

/** An HTTP server of our own; where it listens. */
async function answering(t: Test, answer: RequestListener, path?: string): Promise<string> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return path === undefined ? `127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`;
}

const healthy = snapshot({ exports: [target('a')] });
const telling =
  (state: unknown): RequestListener =>
  (request, response) => {
    response.statusCode = request.url === '/api/status' ? 200 : 404;
    response.end(JSON.stringify(state));
  };

/** One line on stderr, nothing on stdout, this exit code. */
function failed(t: Test, result: RunResult, code: number, ...parts: string[]): void {
  t.equal(result.code, code, describe(result));
  t.equal(result.stdout, '');
  t.match(result.stderr, /^aionbd: [^\n]+\n$/);
  for (const part of parts) t.ok(result.stderr.includes(part), `${result.stderr.trim()} says ${part}`);
}

t.test('status prints for people, and ends with 0 if all is well', async (t) => {
  const address = await answering(t, telling(healthy));
  for (const form of [address, `http://${address}/`, `http://${address}/metrics`]) {
    t.match(
      await aionbd('status', form),
      { code: 0, stdout: /^aionbd 0\.1\.0, pid 4711.*\n *a +ok/ms, stderr: '' },
      form,
    );
  }
  const socket = await answering(t, telling(healthy), join(scratch(t), 's'));
  t.match(await aionbd('status', socket), { code: 0, stderr: '' }, 'over a Unix socket');
});

t.test('status --json prints just what the server gave', async (t) => {
  const address = await answering(t, telling(healthy));
  const { code, stdout } = await aionbd('status', '--json', address);
  t.equal(code, 0);
  t.equal(stdout, `${JSON.stringify(healthy)}\n`);
});

t.test('status ends with 1 if an export is unhealthy, in both forms', async (t) => {
  const address = await answering(t, telling(busy(10)));
  t.match(await aionbd('status', address), { code: 1, stdout: 'UNHEALTHY', stderr: '' });
  t.match(await aionbd('status', '--json', address), { code: 1, stdout: '"schema":1', stderr: '' });
});

t.test('status says in one line why it can not tell, and ends with 1', async (t) => {
  const folder = scratch(t);
  failed(t, await aionbd('status', '127.0.0.1:1'), 1, '"127.0.0.1:1"', 'nothing listens there', '--metrics');
  failed(t, await aionbd('status', `unix:${join(folder, 'none')}`), 1, 'no such socket');
  failed(t, await aionbd('status', await answering(t, telling('hello'))), 1, 'no aionbd');
  failed(
    t,
    await aionbd('status', await answering(t, (_, response) => response.end('<html>'))),
    1,
    'no JSON',
  );
  failed(t, await aionbd('status', await answering(t, telling({ schema: 2 }))), 1, 'another version');
  const missing = await answering(t, (_, response) => {
    response.statusCode = 404;
    response.end();
  });
  failed(t, await aionbd('status', missing), 1, 'HTTP 404');
  failed(t, await aionbd('status', await answering(t, (request) => request.socket.destroy())), 1, 'was cut');
  failed(t, await aionbd('status', await answering(t, () => {})), 1, 'no answer within 5 s');
});

t.test('an address that can not be read is bad usage', async (t) => {
  failed(t, await aionbd('status', '9809'), 2, '"9809"', 'localhost:9809');
  failed(t, await aionbd('status', 'https://a:1/'), 2, 'plain HTTP');
  failed(t, await aionbd('status', '127.0.0.1:0'), 2, 'name the port');
  failed(t, await aionbd('status', 'a:1', 'b:2'), 2, 'b:2');
  failed(t, await aionbd('top', 'nowhere'), 2, '"nowhere"');
});

t.test('addresses are those of --metrics, or URLs', async (t) => {
  const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port });
  t.match(parseStatusAddress('localhost:9809'), { place: tcp('localhost', 9809), base: '/' });
  t.match(parseStatusAddress('[::1]:9809'), { place: tcp('::1', 9809), base: '/' });
  t.match(parseStatusAddress('unix:/a b'), { place: { kind: 'unix', path: '/a b' }, base: '/' });
  t.match(parseStatusAddress('http://[::1]:9809'), { place: tcp('::1', 9809), base: '/' });
  t.match(parseStatusAddress('http://host/nbd'), { place: tcp('host', 80), base: '/nbd/' });
  t.match(parseStatusAddress('http://host:1/nbd/api/status'), { place: tcp('host', 1), base: '/nbd/' });
});

t.test('top refuses what is no terminal, and says what to use', async (t) => {
  failed(t, await aionbd('top', '127.0.0.1:1'), 2, 'needs a terminal', 'aionbd status');
});

t.test('completion knows status and top', async (t) => {
  const { stdout } = await aionbd('--get-yargs-completions', 'aionbd', '');
  t.match(stdout, /^status$/m);
  t.match(stdout, /^top$/m);
  t.match(await aionbd('--get-yargs-completions', 'aionbd', 'status', '--'), { stdout: '--json' });
});

t.test('status of a real server counts what its clients have done', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const metrics = join(scratch(t), 'm');
  const server = await serve(t, {
    exports: [{ name: 'disk', path }],
    args: ['--metrics', `unix:${metrics}`],
  });
  await must('qemu-io', ['-f', 'raw', '-c', 'write 0 64k', '-c', 'read 0 4k', server.uri('disk')]);
  const { code, stdout } = await aionbd('status', '--json', `unix:${metrics}`);
  t.equal(code, 0);
  t.match(JSON.parse(stdout), {
    schema: 1,
    pid: server.child.pid,
    exports: [
      {
        name: 'disk',
        operations: { read: { requests: 1, bytes: 4096 }, write: { requests: 1, bytes: 65536 } },
      },
    ],
  });
  t.match(await aionbd('status', `unix:${metrics}`), { code: 0, stdout: /disk +ok .* 4K +64K +0 / });
  await server.stop(t);
});
