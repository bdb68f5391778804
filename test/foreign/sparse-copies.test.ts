// Copies by nbdcopy and qemu-img, into, out of and between servers: equal to the source, and no less sparse.

import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { BACKING_CASES, type BackingCase, makeBacking } from '../support/backing.js';
import { allocatedBytes, KiB, MiB, patternFile, sha256, sparseFile } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { serve } from '../support/server.js';
import { type Layout, makeSparse } from '../support/sparse.js';

/**
 * Holes larger and smaller than a granule of the server's map, a request of nbdcopy's and one of qemu's, and data that
 * begins and ends inside blocks. A whole number of sectors, since qemu writes no less.
 */
const SOURCE: Layout = {
  title: '',
  sizeBytes: 48 * MiB + 512,
  data: [
    [0, 3 * MiB],
    [3 * MiB + 64 * KiB, 100_000],
    ...Array.from({ length: 60 }, (_, n) => [5 * MiB + n * 24 * KiB, 4 * KiB] as const),
    ...Array.from({ length: 20 }, (_, n) => [8 * MiB + n * 333 * KiB + n, 30_000] as const),
    [30 * MiB + 1, 3 * MiB],
    [45 * MiB, 1],
    [48 * MiB, 512],
  ],
};

/** A filesystem notes where data lies in blocks of 4 KiB, and how many it needs depends on the order of the writes. */
const SLACK = 32 * KiB;

/** Files of every filesystem, once each: what is buffered is like tmpfs. */
const OVER_FILES = BACKING_CASES.filter(
  ({ kind, direct }) => kind === 'tmpfs' || (kind.startsWith('file') && direct === 'on'),
);

for (const backingCase of OVER_FILES) {
  t.test(`copies stay sparse: ${backingCase.title}`, (t) => copies(t, backingCase));
}

async function copies(t: Test, { kind, direct }: BackingCase): Promise<void> {
  const directory = dirname((await makeBacking(t, kind, 128 * MiB)).path);
  const at = (name: string) => join(directory, name);
  const source = await makeSparse(at('source'), SOURCE);
  const sum = await sha256(source);
  const most = allocatedBytes(source) + SLACK;
  t.ok(most < SOURCE.sizeBytes / 4, 'the source is sparse', { most });
  const targets = ['first', 'second', 'noise', 'qemu'];
  for (const name of targets) sparseFile(at(name), SOURCE.sizeBytes);
  patternFile(at('noise'), SOURCE.sizeBytes, 9);

  const exports = (...names: string[]) => names.map((name) => ({ name, path: at(name), direct }));
  const one = await serve(t, { exports: exports('first') });
  const other = await serve(t, { exports: exports('second', 'noise', 'qemu') });

  const copy = async (what: string, target: string, [program, ...args]: string[]) => {
    const result = await run(program!, args);
    t.equal(result.code, 0, what, { output: describe(result) });
    t.equal(await sha256(at(target)), sum, `${what}: equal`);
    const allocated = allocatedBytes(at(target));
    t.ok(allocated <= most, `${what}: as sparse as the source`, { allocated, most });
  };
  const zeroed = '--destination-is-zero';
  // Else nbdcopy would look for zeroes in what it reads, and would not need to be told of holes; and it takes every
  // request for data of which a part is.
  const told = ['nbdcopy', '--sparse=0', '--request-size=4096'];
  const convert = ['qemu-img', 'convert', '-f', 'raw', '-O', 'raw'];
  const [from, to] = [one.uri('first'), (name: string) => other.uri(name)];
  await copy('nbdcopy into a fresh file', 'first', [...told, zeroed, '--flush', source, from]);
  await copy('nbdcopy to a fresh file of another server', 'second', [...told, zeroed, from, to('second')]);
  await copy('nbdcopy over the noise of another server', 'noise', ['nbdcopy', from, to('noise')]);
  await copy('nbdcopy out', 'out', [...told, from, at('out')]);
  await copy('qemu-img convert to another server', 'qemu', [...convert, '-n', from, to('qemu')]);
  await copy('qemu-img convert out', 'out', [...convert, from, at('out')]);
  await one.stop(t);
  await other.stop(t);
}
