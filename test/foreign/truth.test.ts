// What the server remembers of a file's holes never lies: not after random writes, zeroes and trims, not after writes
// into holes while it looks for them, and not when others write to the file.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { BACKING_CASES, makeBacking } from '../support/backing.js';
import { KiB, MiB, scratch, sparseFile } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { assertVerdicts } from '../support/python.js';
import { chosenSeed } from '../support/random.js';
import { serve } from '../support/server.js';
import { type Layout, makeSparse } from '../support/sparse.js';

const SECONDS = 3;
const seed = chosenSeed();

const LAYOUT: Layout = {
  title: '',
  sizeBytes: 8 * MiB + 12_345,
  data: [
    [0, 100],
    [MiB + 3, 200 * KiB],
    [5 * MiB, MiB],
  ],
};

for (const { title, kind, direct } of BACKING_CASES) {
  if (kind === 'device' || kind === 'device4k') continue;
  t.test(`random requests to ${title}, seed ${seed}`, async (t) => {
    const backing = await makeBacking(t, kind, LAYOUT.sizeBytes);
    const path = await makeSparse(join(dirname(backing.path), 'sparse'), LAYOUT);
    const server = await serve(t, { exports: [{ name: 'disk', path, direct }] });
    await assertVerdicts(t, 'truth.py', [server.uri('disk'), path, String(SECONDS), String(seed)]);
    await server.stop(t);
  });
}

t.test(`writes into holes that are being looked for, seed ${seed}`, async (t) => {
  // 2 × 8192 extents for each file: some blocks full of them, and some time.
  const [step, count] = [192 * KiB, 8192];
  const data = Array.from({ length: count }, (_, n) => [n * step, 1] as const);
  const layout: Layout = { title: '', sizeBytes: count * step, data };
  const directory = dirname((await makeBacking(t, 'tmpfs', 0)).path);
  const exports = [];
  for (const name of ['1', '2'])
    exports.push({ name, path: await makeSparse(join(directory, name), layout) });
  const server = await serve(t, { exports });
  for (const { name } of exports) {
    const args = [server.uri(name), String(layout.sizeBytes), String(step), String(seed)];
    await assertVerdicts(t, 'scan.py', args, `file ${name}: `);
  }
  await server.stop(t);
});

for (const direct of ['on', 'off'] as const) {
  t.test(`without a lock, what others write into holes is seen, direct=${direct}`, async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), 64 * MiB);
    const server = await serve(t, { exports: [{ name: 'disk', path, direct }], args: ['--no-lock'] });
    const read = async (sentence: string, command: string) => {
      const result = await run('qemu-io', ['-f', 'raw', '-c', command, server.uri('disk')]);
      t.equal(result.code, 0, sentence, { output: describe(result) });
    };
    await read('there is a hole', 'read -P 0 0 64M');
    await read('which the server has had the time to notice', 'read -P 0 0 64M');
    const fd = openSync(path, 'r+');
    writeSync(fd, Buffer.alloc(MiB, 171), 0, MiB, 32 * MiB);
    fsyncSync(fd);
    closeSync(fd);
    await read('what was written behind its back is read', 'read -P 171 32M 1M');
    await server.stop(t);
  });
}
