// The command with the server behind it, judged by other programs.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { parseText } from '../metrics/parse-text.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { collect, describe, ended, must, type RunResult, run, tied } from '../support/programs.js';
import { MAIN } from '../support/server.js';

const READY_MS = 20_000;
const DEMO = fileURLToPath(new URL('../../scripts/demo.mjs', import.meta.url));

interface Running {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Sends a signal and returns the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null | undefined>;
}

/** Starts a program that serves, and waits for `lines` lines on stdout. */
async function start(t: Test, argv: readonly string[], lines = 1, cwd?: string): Promise<Running> {
  const [program, args] = tied(process.execPath, argv);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended(child, READY_MS);
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const deadline = Date.now() + READY_MS;
  while (stdout().split('\n').length <= lines) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`not ready: ${stdout()}${stderr()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    child,
    stdout,
    stderr,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return (await ended(child, 8000))?.code;
    },
  };
}

const startServe = (t: Test, args: readonly string[], lines = 1) =>
  start(t, [MAIN, 'serve', '--metrics', 'off', ...args], lines);

/** Runs a server that is expected not to start. */
const serveToEnd = (...args: string[]): Promise<RunResult> =>
  run(process.execPath, [MAIN, 'serve', ...args], { timeoutMs: READY_MS });

const serveFile = (...args: string[]) => serveToEnd('--listen', '127.0.0.1:0', '--metrics', 'off', ...args);

/** One line on stderr, nothing on stdout, exit code 1. */
function failed(t: Test, result: RunResult, ...parts: string[]): void {
  t.equal(result.code, 1, describe(result).slice(0, 1000));
  t.equal(result.stdout, '');
  const lines = result.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  t.equal(lines.length, 1, result.stderr.slice(0, 1000));
  t.match(lines[0], /^aionbd: /);
  for (const part of parts) {
    t.ok(result.stderr.includes(part), `${lines[0]} says ${part}`);
  }
}

t.test(
  'the printed URIs are all there is on stdout, and libnbd and qemu take them as they are',
  async (t) => {
    const directory = join(scratch(t), 'a b+%é');
    mkdirSync(directory);
    const disk = sparseFile(join(directory, 'disk.img'), 1_000_003);
    const socket = join(directory, 's,=&?#');
    const listen = ['--listen', 'localhost:0', '--listen', '127.0.0.1:0', '--listen', `unix:${socket}`];
    const server = await startServe(t, [disk, ...listen], 3);
    const uris = server.stdout().trim().split('\n');
    t.match(uris[0], /^nbd:\/\/(localhost|127\.0\.0\.1):\d+\/$/);
    t.match(uris[1], /^nbd:\/\/127\.0\.0\.1:\d+\/$/);
    t.match(uris[2], /^nbd\+unix:\/\/\/\?socket=\//);
    for (const uri of uris) {
      t.equal(await must('nbdinfo', ['--size', uri]), '1000003\n', uri);
      t.match(await must('qemu-io', ['-f', 'raw', '-c', 'read 0 512', uri]), 'read 512/512', uri);
      const named = uri.replace('/?', '/disk.img?').replace(/\/$/, '/disk.img');
      t.equal(await must('nbdinfo', ['--size', named]), '1000003\n', named);
    }
    t.equal(await server.stop(), 0, server.stderr());
    t.equal(server.stdout(), `${uris.join('\n')}\n`);
    t.notOk(existsSync(socket));
  },
);

t.test(
  'several files and specifications are exports of their names, the first file the default',
  async (t) => {
    const directory = scratch(t);
    const [one, two, three] = ['one', 'two', 'thr,ee'].map((name, i) =>
      sparseFile(join(directory, name), (i + 1) * MiB),
    );
    const spec =
      `name=3,path=${three?.replace(',', ',,')},readonly,description=the third, said twice`.replace(
        'third,',
        'third,,',
      );
    const server = await startServe(t, ['--export', spec, one ?? '', two ?? '', '-l', '127.0.0.1:0']);
    const uri = server.stdout().trim();
    const { exports } = JSON.parse(await must('nbdinfo', ['--list', '--json', uri]));
    t.match(exports, [
      { 'export-name': 'one', 'export-size': MiB, is_read_only: false },
      { 'export-name': 'two', 'export-size': 2 * MiB, is_read_only: false },
      {
        'export-name': '3',
        'export-size': 3 * MiB,
        is_read_only: true,
        description: 'the third, said twice',
      },
    ]);
    t.equal(await must('nbdinfo', ['--size', uri]), `${MiB}\n`);
    t.equal(await server.stop('SIGINT'), 0, server.stderr());
  },
);

t.test('what cannot be exported ends with one line that names it, and 1', async (t) => {
  const directory = scratch(t);
  const fifo = join(directory, 'fifo');
  await must('mkfifo', [fifo]);
  const missing = join(directory, 'missing.img');
  failed(t, await serveFile(missing), missing);
  failed(t, await serveFile(directory), directory, 'directory');
  failed(t, await serveFile(fifo), fifo, 'FIFO');
  failed(t, await serveFile('/dev/null'), '/dev/null');
  failed(t, await serveFile('--export', `name=x,path=${missing}`), missing);
});

t.test('a message stays one line, whatever the name of the file', async (t) => {
  failed(t, await serveFile('--export', 'name=x,path=/no\nwhere\n/x'));
});

t.test('a file that another server writes is refused, and served with --no-lock', async (t) => {
  const disk = sparseFile(join(scratch(t), 'disk.img'), MiB);
  const first = await startServe(t, [disk, '-l', '127.0.0.1:0']);
  failed(t, await serveFile(disk), disk, String(first.child.pid));
  const second = await startServe(t, [disk, '-l', '127.0.0.1:0', '--no-lock']);
  t.equal(await second.stop(), 0, second.stderr());
  t.equal(await first.stop(), 0, first.stderr());
});

t.test('a read-only server may share its file, and refuses writes', async (t) => {
  const disk = sparseFile(join(scratch(t), 'disk.img'), MiB);
  chmodSync(disk, 0o444);
  const first = await startServe(t, [disk, '-l', '127.0.0.1:0', '--read-only']);
  const second = await startServe(t, [disk, '-l', '127.0.0.1:0', '--read-only']);
  const { exports } = JSON.parse(await must('nbdinfo', ['--json', second.stdout().trim()]));
  t.match(exports, [{ is_read_only: true }]);
  t.equal(await first.stop(), 0);
  t.equal(await second.stop(), 0);
});

t.test('an address in use ends with one line that names it, and 1', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const bound = holder.address();
  const address = `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
  const disk = sparseFile(join(scratch(t), 'disk.img'), MiB);
  failed(t, await serveToEnd(disk, '-l', address, '--metrics', 'off'), address, 'in use');
  failed(t, await serveToEnd(disk, '-l', '127.0.0.1:0', '--metrics', address), address, 'in use');
});

t.test('the metrics page counts what clients did', async (t) => {
  const directory = scratch(t);
  const disk = sparseFile(join(directory, 'disk.img'), MiB);
  const socket = join(directory, 'm');
  const server = await start(t, [MAIN, 'serve', disk, '-l', '127.0.0.1:0', '--metrics', `unix:${socket}`]);
  const uri = server.stdout().trim();
  await must('qemu-io', ['-f', 'raw', '-c', 'write 4k 64k', '-c', 'read 0 128k', '-c', 'flush', uri]);
  const [response] = (await once(
    get({ socketPath: socket, path: '/metrics', agent: false }),
    'response',
  )) as [IncomingMessage];
  const page = parseText(await text(response));
  const value = (name: string, labels: Record<string, string>) =>
    page.get(name)?.samples.get(JSON.stringify(labels));
  t.equal(value('aionbd_requests_total', { export: 'disk.img', operation: 'write' }), 1);
  const bytes = (operation: string) => value('aionbd_request_bytes_total', { export: 'disk.img', operation });
  t.equal(bytes('write'), 64 * 1024);
  t.ok((bytes('read') ?? 0) >= 128 * 1024);
  t.equal(value('aionbd_connections_total', { export: 'disk.img' }), 1);
  t.equal(value('aionbd_export_size_bytes', { export: 'disk.img' }), MiB);
  t.equal(await server.stop(), 0, server.stderr());
  t.notOk(existsSync(socket));
});

t.test('the log is JSON, one object a line, or for people; and as much as was asked for', async (t) => {
  const disk = sparseFile(join(scratch(t), 'disk.img'), MiB);
  const logOf = async (...args: string[]) => {
    const server = await startServe(t, [disk, '-l', '127.0.0.1:0', ...args]);
    await must('nbdinfo', ['--size', server.stdout().trim()]);
    t.equal(await server.stop(), 0, server.stderr());
    return server.stderr();
  };
  const json = await logOf();
  const lines = json
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.match(lines.at(-1), { level: 30, signal: 'SIGTERM', msg: 'stopping' });
  const pretty = await logOf('--log-format', 'pretty');
  t.match(pretty, /INFO: stopping/);
  t.notMatch(pretty, /^\{/m);
  t.equal(await logOf('--log-level', 'silent'), '');
});

t.test('a client that has gone away from our stdout does not stop the server', async (t) => {
  const directory = scratch(t);
  const disk = sparseFile(join(directory, 'disk.img'), MiB);
  const socket = join(directory, 's');
  const [program, args] = tied(process.execPath, [
    MAIN,
    'serve',
    disk,
    '-l',
    `unix:${socket}`,
    '--metrics',
    'off',
  ]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => child.kill('SIGKILL'));
  child.stdout.destroy();
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(await must('nbdinfo', ['--size', `nbd+unix:///?socket=${socket}`]), `${MiB}\n`);
  child.kill('SIGTERM');
  t.match(await ended(child, 8000), { code: 0 });
});

t.test('npm start serves a sparse demo.img, and the lines it prints work', async (t) => {
  const directory = scratch(t);
  const demo = await start(t, [DEMO, '--listen', '127.0.0.1:0', '--metrics', 'off'], 1, directory);
  const uri = demo.stdout().trim();
  t.equal(await must('nbdinfo', ['--size', uri]), `${1024 * MiB}\n`);
  const lines = demo.stderr().split('\n');
  const commands = lines.map((line) => line.trim()).filter((line) => /^(nbdinfo|qemu-io) /.test(line));
  t.equal(commands.length, 2, demo.stderr());
  for (const command of commands) {
    t.equal((await run('sh', ['-c', command])).code, 0, command);
  }
  t.match(demo.stderr(), `nbd-client -N demo.img -C 4 127.0.0.1 ${new URL(uri).port} /dev/nbd0`);
  t.equal(await demo.stop('SIGINT'), 0, demo.stderr());
  writeFileSync(join(directory, 'unrelated'), '');
  const again = await start(t, [DEMO, '--listen', '127.0.0.1:0', '--metrics', 'off'], 1, directory);
  t.match(
    await must('qemu-io', ['-f', 'raw', '-c', 'read -P 7 1M 64k', again.stdout().trim()]),
    'read 65536/65536',
  );
  t.equal(await again.stop(), 0);
});
