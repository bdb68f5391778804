import fc from 'fast-check';
import t from 'tap';
import { type ServeFlags, serveConfig } from '../../src/config/serve-config.js';
import { AionbdError, type ErrorCode } from '../../src/errors.js';
import { fails } from './fails.js';

const refused = (t: Parameters<typeof fails>[0], flags: ServeFlags, code: ErrorCode, ...parts: string[]) =>
  fails(t, () => serveConfig(flags), code, ...parts);

t.test('a file alone is served with the defaults', async (t) => {
  t.strictSame(serveConfig({ files: ['/srv/disk.img'] }), {
    server: {
      exports: [{ name: 'disk.img', path: '/srv/disk.img', readOnly: false, direct: 'auto' }],
      defaultExport: 'disk.img',
      lock: true,
      bufferMemoryBytes: 64 * 1024 * 1024,
      queueDepth: 1024,
      busyPoll: 'auto',
      threads: 1,
      slowRequestMs: 1000,
      onStop: 'refuse',
    },
    listen: [
      {
        text: 'localhost:10809',
        addresses: [
          { kind: 'tcp', host: '127.0.0.1', port: 10809 },
          { kind: 'tcp', host: '::1', port: 10809 },
        ],
      },
    ],
    metrics: {
      listen: { text: '127.0.0.1:9809', addresses: [{ kind: 'tcp', host: '127.0.0.1', port: 9809 }] },
      required: false,
      mostExports: 100,
      healthDeadlineMs: 5000,
    },
    mode: { kind: 'daemon' },
    exitWithLastClient: false,
    pidFile: undefined,
    logLevel: 'info',
    logFormat: undefined,
  });
});

t.test('the first file is the default export, or else the first specification', async (t) => {
  const specs = ['name=x,path=/x', 'name=y,path=/y'];
  const both = serveConfig({ files: ['/a', '/b'], exports: specs }).server;
  t.equal(both.defaultExport, 'a');
  t.strictSame(
    both.exports.map(({ name }) => name),
    ['a', 'b', 'x', 'y'],
  );
  t.equal(serveConfig({ exports: specs }).server.defaultExport, 'x');
});

t.test('--read-only holds for every export, --direct where a specification does not say', async (t) => {
  const { exports } = serveConfig({
    files: ['/a'],
    exports: ['name=x,path=/x,readonly=off,direct=auto', 'name=y,path=/y'],
    readOnly: true,
    direct: 'on',
  }).server;
  t.strictSame(
    exports.map(({ readOnly, direct }) => [readOnly, direct]),
    [
      [true, 'on'],
      [true, 'auto'],
      [true, 'on'],
    ],
  );
});

t.test('the other flags end up where they belong', async (t) => {
  const config = serveConfig({
    files: ['a'],
    listen: ['unix:/s', '0.0.0.0:0', '0.0.0.0:0'],
    noLock: true,
    bufferMemory: '8M',
    queueDepth: '16',
    busyPoll: '25',
    slowRequest: '250',
    onStop: 'disconnect',
    metrics: 'unix:/m',
    logLevel: 'debug',
    logFormat: 'json',
  });
  t.match(config.server, {
    lock: false,
    bufferMemoryBytes: 8 * 1024 * 1024,
    queueDepth: 16,
    busyPoll: 25,
    slowRequestMs: 250,
    onStop: 'disconnect',
  });
  t.match(serveConfig({ files: ['a'], slowRequest: 'off' }).server, { slowRequestMs: 'off' });
  t.match(serveConfig({ files: ['a'], busyPoll: 'off' }).server, { busyPoll: 'off' });
  t.strictSame(
    config.listen.map(({ text }) => text),
    ['unix:/s', '0.0.0.0:0', '0.0.0.0:0'],
  );
  t.match(config.metrics, { required: true, listen: { text: 'unix:/m' } });
  t.match(config, { logLevel: 'debug', logFormat: 'json' });
  t.equal(serveConfig({ files: ['a'], metrics: 'off' }).metrics, undefined);
  t.match(serveConfig({ files: ['a'], metrics: '127.0.0.1:9809' }).metrics, { required: true });
});

t.test('two exports of one name are refused with the way out', async (t) => {
  refused(
    t,
    { files: ['/a/disk', '/b,c/disk'] },
    'AIONBD_E_EXPORT_NAME',
    '"disk"',
    '--export "name=OTHER,path=/b,,c/disk"',
  );
  refused(
    t,
    { files: ['/a/disk'], exports: ['name=disk,path=/c'] },
    'AIONBD_E_EXPORT_NAME',
    '"/a/disk"',
    '"/c"',
  );
});

t.test('nothing to serve is refused with an example', async (t) => {
  refused(t, {}, 'AIONBD_E_USAGE', 'aionbd serve disk.img');
  refused(t, { files: [''] }, 'AIONBD_E_USAGE', 'empty');
  refused(t, { files: ['/'] }, 'AIONBD_E_FILE', '"/"', 'directory');
  refused(t, { files: ['..'] }, 'AIONBD_E_FILE', '".."', 'directory');
});

t.test('a flag with a value that is not usable is refused with the usable ones', async (t) => {
  const files = ['a'];
  refused(t, { files, direct: 'maybe' }, 'AIONBD_E_USAGE', '"maybe"', 'auto, on or off');
  refused(t, { files, logLevel: 'loud' }, 'AIONBD_E_USAGE', '"loud"', 'debug');
  refused(t, { files, logFormat: 'xml' }, 'AIONBD_E_USAGE', '"xml"', 'pretty');
  refused(t, { files, bufferMemory: '7M' }, 'AIONBD_E_USAGE', '"7M"', '8M');
  refused(t, { files, bufferMemory: '2T' }, 'AIONBD_E_USAGE', '"2T"', '2G');
  refused(t, { files, bufferMemory: 'much' }, 'AIONBD_E_SIZE', '"much"');
  for (const queueDepth of ['15', '32769', '', '1K', '-16', '1e3']) {
    refused(t, { files, queueDepth }, 'AIONBD_E_USAGE', JSON.stringify(queueDepth), '16 to 32768');
  }
  for (const busyPoll of ['0', '1001', '', 'on', '-1', '1.5', '5us']) {
    refused(t, { files, busyPoll }, 'AIONBD_E_USAGE', JSON.stringify(busyPoll), 'auto, off', '1 to 1000');
  }
  for (const slowRequest of ['0', '3600001', '', 'on', '-1', '1.5', '5ms']) {
    refused(t, { files, slowRequest }, 'AIONBD_E_USAGE', JSON.stringify(slowRequest), 'off', '1 to 3600000');
  }
  refused(t, { files, listen: ['10809'] }, 'AIONBD_E_ADDRESS', '"10809"');
  refused(t, { files, metrics: 'on' }, 'AIONBD_E_ADDRESS', '"on"');
  refused(t, { files, listen: ['127.0.0.1:1', 'localhost:1'] }, 'AIONBD_E_ADDRESS', '"localhost:1"', 'twice');
});

t.test('the exports with metrics of their own are a number, 0 included', async (t) => {
  const files = ['a'];
  for (const [metricsExports, mostExports] of [
    ['0', 0],
    ['1000', 1000],
    ['100000', 100_000],
  ] as const) {
    t.match(serveConfig({ files, metricsExports }).metrics, { mostExports, required: false });
  }
  for (const metricsExports of ['', '-1', '1.5', '100001', '1k', 'all']) {
    const words = ['--metrics-exports', JSON.stringify(metricsExports), '0 to 100000'];
    refused(t, { files, metricsExports }, 'AIONBD_E_USAGE', ...words);
    refused(t, { files, metricsExports, metrics: 'off' }, 'AIONBD_E_USAGE', ...words);
  }
});

t.test('threads are numbers up to 64, and there has to be enough to divide among them', async (t) => {
  const files = ['a'];
  t.equal(serveConfig({ files, threads: '8' }).server.threads, 8, 'eight of the defaults');
  for (const threads of ['0', '65', '', '-1', '1.5', '2k', 'auto']) {
    refused(t, { files, threads }, 'AIONBD_E_USAGE', '--threads', JSON.stringify(threads), '1 to 64');
  }
  refused(t, { files, threads: '9' }, 'AIONBD_E_USAGE', '"9"', '--buffer-memory 72M', 'fewer threads');
  const little = { files, threads: '4', queueDepth: '63' };
  refused(t, little, 'AIONBD_E_USAGE', '"4"', '--queue-depth 64', 'fewer threads');
  const enough = serveConfig({ files, threads: '64', queueDepth: '1024', bufferMemory: '512M' });
  t.equal(enough.server.threads, 64);
});

t.test('the configuration is frozen to its leaves', async (t) => {
  const frozen = (value: unknown): boolean =>
    typeof value !== 'object' ||
    value === null ||
    (Object.isFrozen(value) && Object.values(value).every(frozen));
  t.ok(frozen(serveConfig({ files: ['a', 'b'], exports: ['name=x,path=y'] })));
});

t.test('any flags give a configuration with unique names or an error on one line', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('a', '/b/a', 'name=a,path=b', 'localhost:1', 'off', '64M', '16'),
  );
  const texts = fc.array(text, { maxLength: 3 });
  const flags = fc.record(
    {
      files: texts,
      listen: texts,
      exports: texts,
      readOnly: fc.boolean(),
      direct: text,
      noLock: fc.boolean(),
      bufferMemory: text,
      queueDepth: text,
      busyPoll: text,
      slowRequest: text,
      metrics: text,
      logLevel: text,
      logFormat: text,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(flags, (flags) => {
      try {
        const { exports, defaultExport } = serveConfig(flags).server;
        const names = exports.map(({ name }) => name);
        return new Set(names).size === names.length && names[0] === defaultExport;
      } catch (error) {
        return error instanceof AionbdError && !/[\r\n]/.test(error.message);
      }
    }),
    { numRuns: 1000 },
  );
});

t.test(
  'a server that is started by others for their own use listens nowhere else, and is quiet',
  async (t) => {
    const files = ['disk.img'];
    for (const config of [
      serveConfig({ files, stdio: true }),
      serveConfig({ files, run: 'true' }),
      serveConfig({ files }, true),
    ]) {
      t.strictSame(config.listen, []);
      t.equal(config.metrics, undefined);
      t.equal(config.logLevel, 'warn');
    }
    const asked = serveConfig(
      { files, listen: ['localhost:1'], metrics: 'localhost:2', logLevel: 'info' },
      true,
    );
    t.equal(asked.listen[0]?.text, 'localhost:1', 'unless it is told to');
    t.equal(asked.metrics?.listen.text, 'localhost:2');
    t.equal(asked.logLevel, 'info');
  },
);

t.test('what decides when the server ends is one thing', async (t) => {
  const files = ['disk.img'];
  t.strictSame(serveConfig({ files }).mode, { kind: 'daemon' });
  t.strictSame(serveConfig({ files, run: 'x' }).mode, { kind: 'run', command: 'x' });
  t.strictSame(serveConfig({ files, stdio: true }).mode, { kind: 'stdio' });
  const refused = (flags: object, hasSockets: boolean, other: string) =>
    t.throws(() => serveConfig({ files, stdio: true, ...flags }, hasSockets), {
      code: 'AIONBD_E_USAGE',
      message: `--stdio serves one client and ends with it: leave out ${other}`,
    });
  refused({ listen: ['localhost:1'] }, false, '--listen');
  refused({ run: 'true' }, false, '--run');
  refused({ exitWithLastClient: true }, false, '--exit-with-last-client');
  refused({}, true, 'sockets to listen on (LISTEN_FDS)');
});

t.test('an empty --run or --pid-file is refused', async (t) => {
  const files = ['disk.img'];
  t.throws(() => serveConfig({ files, run: '' }), {
    message: '--run is empty: give a shell command, or leave it out',
  });
  t.throws(() => serveConfig({ files, pidFile: '' }), {
    message: '--pid-file is empty: give the name of a file, or leave it out',
  });
});

t.test('--health-deadline is milliseconds, from 2500 to 600000', async (t) => {
  const deadline = (healthDeadline?: string) =>
    serveConfig({ files: ['a.img'], healthDeadline }).metrics?.healthDeadlineMs;
  t.same([undefined, '2500', '600000'].map(deadline), [5000, 2500, 600_000]);
  for (const text of ['2499', '600001', '-1', '1e4', '5s', '']) {
    t.throws(() => deadline(text), { code: 'AIONBD_E_USAGE', message: /--health-deadline/ }, text);
  }
});
