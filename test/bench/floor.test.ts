// The server that is a bound does what it is a bound for: libnbd and nbdcopy judge that its I/O is real.

import { join } from 'node:path';
import t, { type Test } from 'tap';
import { compileC } from '../../bench/compile.js';
import { FLOORS } from '../../bench/floors.js';
import { type ServedExport, withServer } from '../../bench/loaded-server.js';
import type { CommandLine, ServerKind } from '../../bench/servers.js';
import { makeBacking } from '../support/backing.js';
import { MiB, patternFile, scratch, sha256 } from '../support/files.js';
import { describe, must, run, tied } from '../support/programs.js';
import { assertVerdicts } from '../support/python.js';
import { chosenSeed } from '../support/random.js';

const SIZE_BYTES = 12 * MiB;
const seed = chosenSeed();

/** Starts it as the benchmark does, and asserts that SIGTERM ends it as the benchmark wants it. */
async function withFloor(
  t: Test,
  name: string,
  file: string,
  transport: 'unix' | 'tcp',
  use: (served: ServedExport) => Promise<void>,
): Promise<void> {
  const kind = FLOORS[name];
  if (kind === undefined) throw new Error(`there is no ${name}`);
  const command: ServerKind['command'] = (launch): CommandLine => {
    const [program, ...args] = kind.command(launch);
    const [first, rest] = tied(program, args);
    return [first, ...rest];
  };
  const options = { name, kind: { ...kind, command }, file, transport, signal: new AbortController().signal };
  let served: ServedExport | undefined;
  await withServer(options, async (running) => {
    served = running;
    await use(running);
    t.equal(running.server.death(), undefined, 'it has lived through it');
  });
  t.match(
    served?.server.death(),
    /^exit SIGTERM: \(it wrote nothing/,
    'it ends when it is told to, and has not complained',
  );
}

async function succeeds(t: Test, sentence: string, program: string, args: readonly string[]): Promise<void> {
  const result = await run(program, args);
  t.equal(result.code, 0, sentence, { output: describe(result) });
}

for (const [name, transport] of [
  ['floor-aio', 'unix'],
  ['floor-aio', 'tcp'],
  ['floor-aio-threads2', 'unix'],
  ['floor-aio-spin', 'tcp'],
] as const) {
  t.test(`${name} over ${transport}: requests of all sizes do what they say, seed ${seed}`, async (t) => {
    const { path } = await makeBacking(t, 'file', SIZE_BYTES);
    patternFile(path, SIZE_BYTES, 1);
    await withFloor(t, name, path, transport, ({ uri }) =>
      assertVerdicts(t, '../bench/floor.py', [uri, path, String(seed)]),
    );
  });
}

for (const requestBytes of [4096, 256 * 1024]) {
  t.test(`nbdcopy carries an image in and out of floor-aio, ${requestBytes} bytes each time`, async (t) => {
    const { path } = await makeBacking(t, 'device4k', SIZE_BYTES);
    const image = patternFile(join(scratch(t), 'image'), SIZE_BYTES, 2);
    const copy = join(scratch(t), 'copy');
    await withFloor(t, 'floor-aio-threads2', path, 'unix', async ({ uri }) => {
      const how = [`--request-size=${requestBytes}`, '--sparse=0', '--connections=4', '--requests=32'];
      await succeeds(t, 'it is written', 'nbdcopy', [...how, image, uri]);
      await succeeds(t, 'it is read', 'nbdcopy', [...how, uri, copy]);
      t.equal(await sha256(copy), await sha256(image));
    });
    t.equal(await sha256(path), await sha256(image), 'the device holds the image');
  });
}

t.test('a floor without I/O takes and gives data of the right size, and leaves the file alone', async (t) => {
  const path = patternFile(join(scratch(t), 'disk'), SIZE_BYTES, 3);
  const before = await sha256(path);
  const image = patternFile(join(scratch(t), 'image'), SIZE_BYTES, 4);
  const copy = join(scratch(t), 'copy');
  await withFloor(t, 'floor', path, 'unix', async ({ uri }) => {
    await succeeds(t, 'it takes an image', 'nbdcopy', ['--sparse=0', image, uri]);
    await succeeds(t, 'it gives one', 'nbdcopy', ['--sparse=0', uri, copy]);
  });
  await must('cmp', ['-n', String(SIZE_BYTES), copy, '/dev/zero']);
  t.equal(await sha256(path), before);
});

t.test('where floor.c cannot be compiled one line says so', async (t) => {
  const why = /^cannot compile .*floor\.c \(apt-get install gcc\): [^\n]+$/;
  t.throws(() => compileC('floor.c', 'never', ['--no-such-flag']), { name: 'BenchFailure', message: why });
  const path = process.env.PATH;
  t.teardown(() => {
    process.env.PATH = path;
  });
  process.env.PATH = '/nowhere';
  t.throws(() => compileC('floor.c', 'never', []), { name: 'BenchFailure', message: why });
});
