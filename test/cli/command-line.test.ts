import t, { type Test } from 'tap';
import { readCommandLine } from '../../src/cli/command-line.js';
import { AionbdError } from '../../src/errors.js';

const read = (...argv: string[]) => readCommandLine(argv, '1.2.3');

async function refused(test: Test, argv: string[], ...parts: string[]): Promise<void> {
  const error = await read(...argv).catch((error: unknown) => error);
  test.ok(error instanceof AionbdError, argv.join(' '));
  const { code, message } = error as AionbdError;
  test.equal(code, 'AIONBD_E_USAGE');
  test.notMatch(message, /[\r\n]/);
  for (const part of parts) {
    test.ok(message.includes(part), `${JSON.stringify(message)} says ${part}`);
  }
}

t.test('serve takes every flag of its own, long and short', async (t) => {
  const argv =
    'serve a.img -l h:1 b.img --listen=h:2 -e name=x,path=y --export name=z,path=z --read-only --direct on --no-lock ' +
    '--buffer-memory 1G --queue-depth 32 --busy-poll 20 --threads 2 --slow-request 50 --on-stop disconnect --metrics off --metrics-exports 7 --health-deadline 9000 --log-level debug --log-format json ' +
    '--stdio --run true --exit-with-last-client --pid-file /p c.img';
  t.strictSame(await read(...argv.split(' ')), {
    kind: 'serve',
    flags: {
      files: ['a.img', 'b.img', 'c.img'],
      listen: ['h:1', 'h:2'],
      exports: ['name=x,path=y', 'name=z,path=z'],
      readOnly: true,
      direct: 'on',
      noLock: true,
      bufferMemory: '1G',
      queueDepth: '32',
      busyPoll: '20',
      threads: '2',
      slowRequest: '50',
      onStop: 'disconnect',
      metrics: 'off',
      metricsExports: '7',
      healthDeadline: '9000',
      stdio: true,
      run: 'true',
      exitWithLastClient: true,
      pidFile: '/p',
      logLevel: 'debug',
      logFormat: 'json',
    },
  });
});

t.test('flags that are not given are undefined', async (t) => {
  const command = await read('serve', 'a.img');
  t.match(command, { kind: 'serve', flags: { files: ['a.img'], listen: undefined, readOnly: undefined } });
  t.match(command, {
    flags: { stdio: undefined, run: undefined, exitWithLastClient: undefined, pidFile: undefined },
  });
  t.match(command, {
    flags: { noLock: undefined, metrics: undefined, direct: undefined, exports: undefined },
  });
});

t.test('what looks like a number or a flag stays the name of a file', async (t) => {
  t.match(await read('serve', '007', '1e3', 'a=b', '--', '-l', '--metrics'), {
    flags: { files: ['007', '1e3', 'a=b', '-l', '--metrics'] },
  });
  t.match(await read('create', '0x10', '--size', '010'), { kind: 'create', file: '0x10', size: '010' });
});

t.test('create takes a file, a size and whether to preallocate', async (t) => {
  t.strictSame(await read('create', 'a.img', '--size', '1G', '--preallocate'), {
    kind: 'create',
    file: 'a.img',
    size: '1G',
    preallocate: true,
  });
  t.match(await read('create', '--size=1G', 'a.img'), { file: 'a.img', preallocate: false });
});

t.test('a switch may be repeated, but takes no value that could be misread', async (t) => {
  t.match(await read('serve', 'a', '--read-only', '--read-only'), { flags: { readOnly: true } });
  for (const word of ['--read-only=yes', '--no-lock=off', '--read-only=']) {
    await refused(t, ['serve', 'a', word], JSON.stringify(word), 'takes no value');
  }
  await refused(t, ['create', 'a', '--size', '1', '--preallocate=full'], 'takes no value');
});

t.test('a flag that takes one value is refused a second', async (t) => {
  for (const [flag, value] of [
    ['--direct', 'on'],
    ['--log-level', 'info'],
    ['--log-format', 'json'],
    ['--metrics', 'off'],
    ['--buffer-memory', '1G'],
    ['--queue-depth', '16'],
    ['--busy-poll', 'off'],
    ['--threads', '2'],
  ] as const) {
    await refused(t, ['serve', 'a', flag, value, flag, value], `${flag} is given 2 times`);
  }
  await refused(t, ['create', 'a', '--size', '1', '--size', '2'], '--size is given 2 times');
});

t.test('what is not known is refused with the way to help', async (t) => {
  await refused(t, ['serve', 'a', '--colour', 'red'], 'colour', 'aionbd serve --help');
  await refused(t, ['serve', 'a', '-x'], 'x', 'aionbd serve --help');
  await refused(t, ['serve', 'a', '--no-read-only'], 'no-read-only');
  await refused(t, ['serve', 'a', '--readOnly'], 'readOnly');
  await refused(t, ['create', 'a', 'b', '--size', '1'], 'b', 'aionbd create --help');
  await refused(
    t,
    ['disk.img'],
    '"disk.img"',
    'serve, create, status, top, doctor, completion',
    'aionbd serve FILE',
  );
  await refused(t, ['server\n'], '"server\\n"');
});

t.test('what is missing is refused by its name', async (t) => {
  await refused(t, [], 'no command given', 'serve, create, status, top, doctor, completion', 'aionbd --help');
  await refused(t, ['create', '--size', '1'], 'a file name is missing');
  await refused(t, ['create', 'a'], '--size');
  const flags =
    'listen export direct buffer-memory queue-depth busy-poll threads metrics metrics-exports log-level'.split(
      ' ',
    );
  for (const flag of flags) {
    await refused(t, ['serve', 'a', `--${flag}`], flag, 'a value is missing');
  }
});

t.test('a value that is not on the list is refused with the list', async (t) => {
  await refused(t, ['serve', 'a', '--direct', 'maybe'], '--direct "maybe"', '"auto", "on", "off"');
  await refused(t, ['serve', 'a', '--log-level', 'loud'], '--log-level "loud"', '"debug"');
  await refused(t, ['serve', 'a', '--log-format', 'xml'], '--log-format "xml"', '"pretty", "json"');
});
