import fc from 'fast-check';
import t from 'tap';
import { readCommandLine } from '../../src/cli/command-line.js';
import { readServeQuickly } from '../../src/cli/quick.js';

/** yargs makes its help for each command line that it reads, which takes its time. */
const RUNS = 400;

t.test('a plain serve command line needs no yargs', async (t) => {
  const argv =
    'serve a.img -l h:1 --listen=h:2 -e name=x,path=y --read-only --direct=on --metrics off b.img -- --c';
  t.match(readServeQuickly(argv.split(' ')), {
    files: ['a.img', 'b.img', '--c'],
    listen: ['h:1', 'h:2'],
    exports: ['name=x,path=y'],
    readOnly: true,
    direct: 'on',
    metrics: 'off',
    noLock: undefined,
  });
});

t.test('help, other commands and mistakes are left to yargs', async (t) => {
  for (const line of [
    '',
    'create a --size 1G',
    'completion',
    '--get-yargs-completions aionbd serve',
    'serve --help',
    'serve -h',
    'serve --version',
    'serve a --colour red',
    'serve a --direct maybe',
    'serve a --direct on --direct off',
    'serve a --listen',
    'serve a --read-only=yes',
    'serve a -xl',
    'a.img',
  ]) {
    t.equal(readServeQuickly(line.split(' ')), undefined, line);
  }
});

t.test('whatever is read without yargs, yargs reads alike', async (t) => {
  const flag = fc.constantFrom(
    ...[
      '-l',
      '-e',
      '--listen',
      '--export',
      '--read-only',
      '--direct',
      '--no-lock',
      '--buffer-memory',
      '--queue-depth',
      '--busy-poll',
      '--threads',
    ],
    ...[
      '--metrics',
      '--log-level',
      '--log-format',
      '--',
      '-',
      '-l=',
      '--l',
      '--e',
      '--file',
      '--no-listen',
      '-5',
      '---x',
    ],
  );
  const value = fc.constantFrom(
    'a',
    'on',
    'auto',
    'off',
    'info',
    'json',
    '1',
    '-1',
    '',
    'x=y',
    '--',
    'serve',
    'a b',
  );
  const word = fc.oneof(
    flag,
    value,
    fc.tuple(flag, value).map(([flag, value]) => `${flag}=${value}`),
    fc.tuple(flag, value).map(([flag, value]) => `${flag}${value}`),
    fc.string(),
  );
  let quickCount = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(word, fc.tuple(flag, value)), { maxLength: 6 }), async (words) => {
      const argv = ['serve', ...words.flat()];
      const flags = readServeQuickly(argv);
      // yargs loses a file whose name begins with a dash, such as `-` or `-5`, unless it is behind a bare `--`.
      const [flagged] = argv.join('\0').split('\0--\0');
      if (
        flags === undefined ||
        flagged?.split('\0').some((word) => /^-/.test(word) && flags.files?.includes(word))
      ) {
        return;
      }
      quickCount++;
      const command = await readCommandLine(argv, '1.2.3');
      if (command.kind !== 'serve' || JSON.stringify(command.flags) !== JSON.stringify(flags)) {
        throw new Error(`yargs read ${JSON.stringify(command)}`);
      }
    }),
    { numRuns: RUNS },
  );
  t.ok(quickCount > RUNS / 10, `${quickCount} of ${RUNS} command lines were plain`);
});
