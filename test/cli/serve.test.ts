import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type ServeContext, serve } from '../../src/cli/serve.js';
import { type ServeFlags, serveConfig } from '../../src/config/serve-config.js';
import { AionbdError } from '../../src/errors.js';
import type { Logger } from '../../src/server/api.js';
import { scratch } from '../support/files.js';
import { StubServer } from './stub-server.js';

/** As it is built: a thread of the sources would first compile all of them. */
const WATCH_ENTRY = new URL('../../dist/metrics/thread.js', import.meta.url);

interface Log {
  readonly level: keyof Logger;
  readonly fields: object;
  readonly message: string;
}

interface Given {
  readonly refused?: Readonly<Record<string, string>>;
  readonly context?: Partial<ServeContext>;
}

/** Starts `serve` with everything around it replaced; `stop` sends a signal and returns the exit code. */
function start(flags: ServeFlags, given: Given = {}) {
  const signals = new EventEmitter();
  const printed: string[] = [];
  const logs: Log[] = [];
  const exits: number[] = [];
  const servers: StubServer[] = [];
  const log = (level: keyof Logger) => (fields: object, message: string) =>
    logs.push({ level, fields, message });
  let ready: (uris: readonly string[]) => void = () => {};
  const uris = new Promise<readonly string[]>((resolve) => {
    ready = resolve;
  });
  const code = serve(serveConfig({ files: ['/srv/disk.img'], metrics: 'off', ...flags }), {
    async createServer(options) {
      const server = new StubServer(options, given.refused);
      servers.push(server);
      return server;
    },
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    version: '1.2.3',
    watchEntry: WATCH_ENTRY,
    signals,
    print: (line) => printed.push(line),
    exit: (exitCode) => exits.push(exitCode),
    ready,
    ...given.context,
  });
  const started = Promise.race([uris, code.then(() => Promise.reject(new Error('ended early')))]);
  started.catch(() => {}); // a test of a start that fails looks at `code`
  return {
    signals,
    printed,
    logs,
    exits,
    servers,
    code,
    ready: started,
    async stop(signal = 'SIGTERM') {
      signals.emit(signal);
      return await code;
    },
  };
}

async function rejected(t: Test, promise: Promise<unknown>): Promise<AionbdError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  t.ok(error instanceof AionbdError);
  return error as AionbdError;
}

t.test('the URI of each address is printed, one a line, and nothing else', async (t) => {
  const run = start({
    listen: ['127.0.0.1:12000', '[::1]:12001', '0.0.0.0:0', 'unix:/run/a b+é%.sock', 'storage:12002'],
  });
  await run.ready;
  t.strictSame(run.printed, [
    'nbd://127.0.0.1:12000/',
    'nbd://[::1]:12001/',
    'nbd://0.0.0.0:40002/',
    'nbd+unix:///?socket=/run/a%20b%2B%C3%A9%25.sock',
    'nbd://storage:12002/',
  ]);
  t.equal(await run.stop(), 0);
});

t.test('the URI of a relative socket has its absolute path', async (t) => {
  const run = start({ listen: ['unix:here.sock'] });
  t.strictSame(await run.ready, [`nbd+unix:///?socket=${join(process.cwd(), 'here.sock')}`]);
  t.match(run.servers[0]?.listened, [{ kind: 'unix', path: 'here.sock' }]);
  await run.stop();
});

t.test('localhost listens on both loopback addresses and is one URI', async (t) => {
  const run = start({});
  t.strictSame(await run.ready, ['nbd://localhost:10809/']);
  t.strictSame(run.servers[0]?.listened, [
    { kind: 'tcp', host: '127.0.0.1', port: 10809 },
    { kind: 'tcp', host: '::1', port: 10809 },
  ]);
  await run.stop();
});

t.test('localhost with port 0 takes the same free port at both addresses', async (t) => {
  const run = start({ listen: ['localhost:0'] });
  t.strictSame(await run.ready, ['nbd://localhost:40000/']);
  t.match(run.servers[0]?.listened[1], { host: '::1', port: 40000 });
  await run.stop();
});

t.test('localhost with port 0 is 127.0.0.1 alone when the port is taken at ::1', async (t) => {
  const run = start({ listen: ['localhost:0'] }, { refused: { '::1:40000': 'EADDRINUSE' } });
  t.strictSame(await run.ready, ['nbd://127.0.0.1:40000/']);
  t.match(run.logs[0], { level: 'debug', message: 'not listening on ::1' });
  await run.stop();
});

for (const code of ['EADDRNOTAVAIL', 'EAFNOSUPPORT']) {
  t.test(`localhost is 127.0.0.1 alone on a machine where ::1 is ${code}`, async (t) => {
    const run = start({}, { refused: { '::1:10809': code } });
    t.strictSame(await run.ready, ['nbd://localhost:10809/']);
    t.match(run.logs[0], { level: 'debug', message: 'not listening on ::1' });
    await run.stop();
  });
}

t.test('localhost is refused while another server has its port at ::1', async (t) => {
  const run = start({}, { refused: { '::1:10809': 'EADDRINUSE' } });
  t.match(await rejected(t, run.code), { message: '::1:10809: EADDRINUSE' });
  t.strictSame(run.printed, []);
});

t.test(
  'an address that cannot be had ends the command with the server closed and nothing printed',
  async (t) => {
    const run = start(
      { listen: ['127.0.0.1:12000', '127.0.0.1:12001'] },
      { refused: { '127.0.0.1:12001': 'EADDRINUSE' } },
    );
    const error = await rejected(t, run.code);
    t.equal(error.code, 'AIONBD_E_LISTEN');
    t.strictSame(run.printed, []);
    t.equal(run.servers[0]?.closeCount, 1);
  },
);

t.test('an export that cannot be opened ends the command with what the server said', async (t) => {
  const failure = new AionbdError('AIONBD_E_FILE', 'cannot export "/x": it is a directory');
  const run = start({}, { context: { createServer: () => Promise.reject(failure) } });
  t.equal(await rejected(t, run.code), failure);
});

t.test('the server gets the configuration and the logger', async (t) => {
  const run = start({
    exports: ['name=x,path=/x,readonly'],
    noLock: true,
    queueDepth: '64',
    busyPoll: '30',
    bufferMemory: '16M',
  });
  await run.ready;
  t.match(run.servers[0]?.options, {
    defaultExport: 'disk.img',
    lock: false,
    queueDepth: 64,
    busyPoll: 30,
    bufferMemoryBytes: 16 * 1024 * 1024,
    exports: [{ name: 'disk.img' }, { name: 'x', readOnly: true }],
  });
  t.type(run.servers[0]?.options.logger?.info, 'function');
  await run.stop();
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  t.test(`${signal} closes the server once and ends with 0`, async (t) => {
    const run = start({});
    await run.ready;
    t.equal(await run.stop(signal), 0);
    t.equal(run.servers[0]?.closeCount, 1);
    t.strictSame(run.exits, []);
    t.equal(
      run.signals.listenerCount('SIGTERM') + run.signals.listenerCount('SIGINT'),
      0,
      'nothing listens on',
    );
  });
}

t.test('each export is in the log, as it is served', async (t) => {
  const run = start({ exports: ['name=x,path=/x'] });
  await run.ready;
  t.match(run.logs, [
    { level: 'info', fields: { export: 'disk.img', path: '/srv/disk.img', sizeBytes: 4096, direct: true } },
    { level: 'info', fields: { export: 'x', path: '/x' }, message: 'serving' },
  ]);
  await run.stop();
});

t.test('a signal during the start stops the server as soon as it is there', async (t) => {
  let go: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  let server: StubServer | undefined;
  const run = start(
    {},
    {
      context: {
        async createServer(options) {
          await gate;
          server = new StubServer(options);
          return server;
        },
      },
    },
  );
  run.signals.emit('SIGTERM');
  go();
  t.equal(await run.code, 0);
  t.equal(server?.closeCount, 1);
});

t.test('signals in quick succession are one', async (t) => {
  const run = start({});
  await run.ready;
  run.signals.emit('SIGINT');
  run.signals.emit('SIGINT');
  t.equal(await run.stop(), 0);
  t.strictSame(run.exits, []);
});

t.test('a second signal ends the process at once with 1', async (t) => {
  const run = start({}, { context: { sameWishMs: 0 } });
  await run.ready;
  let finish: () => void = () => {};
  run.servers[0]!.closing = new Promise((resolve) => {
    finish = resolve;
  });
  run.signals.emit('SIGINT');
  await new Promise(setImmediate);
  t.strictSame(run.exits, []);
  run.signals.emit('SIGTERM');
  t.strictSame(run.exits, [1]);
  finish();
  await run.code;
});

t.test('a server that does not stop in time is an error and ends with 1', async (t) => {
  const run = start({}, { context: { stopDeadlineMs: 20 } });
  await run.ready;
  run.servers[0]!.closing = new Promise(() => {});
  t.equal(await run.stop(), 1);
  t.match(run.logs.at(-1), { level: 'error', fields: { deadlineMs: 20 } });
});

t.test('the metrics page shows the exports while the server runs, and ends with it', async (t) => {
  const run = start({ metrics: '127.0.0.1:0' });
  await run.ready;
  const url = run.logs.map(({ fields }) => ('url' in fields ? String(fields.url) : '')).find(Boolean) ?? '';
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  const page = await (await fetch(url)).text();
  t.match(page, 'aionbd_export_size_bytes{export="disk.img"} 4096');
  t.match(page, 'aionbd_build_info{version="0.0.0"');
  t.strictSame(run.printed.length, 1, 'its URL is not on stdout');
  await run.stop();
  await t.rejects(fetch(url));
});

t.test('a metrics address that was asked for and is taken is an error', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const address = holder.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const run = start({ metrics: `127.0.0.1:${port}` });
  const error = await rejected(t, run.code);
  t.match(error, { code: 'AIONBD_E_LISTEN', message: `127.0.0.1:${port}` });
  t.strictSame(run.printed, []);
  t.equal(run.servers[0]?.closeCount, 1);
});

t.test('the default metrics address being taken is a warning, and the server runs', async (t) => {
  const holder = createServer().listen(9809, '127.0.0.1');
  // If another process has it already, that is as good.
  await Promise.race([once(holder, 'listening'), once(holder, 'error')]).catch(() => {});
  t.teardown(() => holder.close());
  const run = start({ metrics: undefined });
  t.strictSame(await run.ready, ['nbd://localhost:10809/']);
  t.match(run.logs[0], {
    level: 'warn',
    fields: { reason: /127\.0\.0\.1:9809.*in use/ },
    message: '--metrics',
  });
  t.equal(await run.stop(), 0);
});

t.test('the metrics page can be on a Unix socket', async (t) => {
  const path = join(scratch(t), 'm');
  const run = start({ metrics: `unix:${path}` });
  await run.ready;
  t.match(run.logs[0], { level: 'info', fields: { url: `unix:${path}` } });
  await run.stop();
});
