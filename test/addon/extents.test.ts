// EXTENTS tells which parts of a file hold data, as the kernel sees it, in as much room as there is.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeBacking } from '../support/backing.js';
import { KiB, MiB, pattern, scratch, sparseFile } from '../support/files.js';
import { must } from '../support/programs.js';
import { seededRandom } from '../support/random.js';
import { addFile } from './open.js';
import { EFAULT, EINVAL, EXTENTS, openReactor, type RawReactor } from './reactor.js';

const PAGE = 4096;
const EXTENT_BYTES = 16;

interface Extent {
  readonly length: number;
  readonly hole: boolean;
}

async function extents(
  reactor: RawReactor,
  file: number,
  offset: number,
  length: number,
  most = 1024,
): Promise<Extent[]> {
  const at = 64 * KiB;
  const entry = { op: EXTENTS, target: file, buffer: at, offset, length, auxLength: most * EXTENT_BYTES };
  const count = await reactor.one(entry);
  if (count < 1) throw new Error(`the result is ${count}`);
  return Array.from({ length: count }, (_, i) => ({
    length: reactor.bytes.readDoubleLE(at + i * EXTENT_BYTES),
    hole: reactor.bytes.readDoubleLE(at + i * EXTENT_BYTES + 8) === 1,
  }));
}

/** A file with data in the pages that `isData` names. */
function layOut(path: string, sizeBytes: number, isData: (page: number) => boolean): string {
  sparseFile(path, sizeBytes);
  const fd = openSync(path, constants.O_RDWR);
  for (let page = 0; page * PAGE < sizeBytes; page++) {
    if (isData(page))
      writeSync(fd, pattern(Math.min(PAGE, sizeBytes - page * PAGE), page), 0, undefined, page * PAGE);
  }
  closeSync(fd);
  return path;
}

/** What the extents of a range have to be. */
function expected(offset: number, length: number, isData: (page: number) => boolean): Extent[] {
  const found: { length: number; hole: boolean }[] = [];
  for (let at = offset; at < offset + length; ) {
    const page = Math.floor(at / PAGE);
    const end = Math.min((page + 1) * PAGE, offset + length);
    const hole = !isData(page);
    const last = found.at(-1);
    if (last?.hole === hole) last.length += end - at;
    else found.push({ length: end - at, hole });
    at = end;
  }
  return found;
}

for (const direct of [true, false]) {
  t.test(`the extents of a file that is open ${direct ? 'direct' : 'buffered'}`, async (t) => {
    const sizeBytes = MiB + 1000;
    const pages = Math.ceil(sizeBytes / PAGE);
    const reactor = openReactor(t);
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed);
      const density = random();
      const map = Array.from({ length: pages }, () => random() < density);
      const isData = (page: number) => map[page]!;
      const path = layOut(join(scratch(t), `f${seed}`), sizeBytes, isData);
      const file = addFile(t, reactor, path, direct);
      t.same(
        await extents(reactor, file, 0, sizeBytes),
        expected(0, sizeBytes, isData),
        `all of file ${seed}`,
      );
      for (let i = 0; i < 10; i++) {
        const offset = Math.floor(random() * sizeBytes);
        const length = 1 + Math.floor(random() * (sizeBytes - offset));
        const want = expected(offset, length, isData);
        t.same(await extents(reactor, file, offset, length), want, `${length} bytes at ${offset}`);
        t.same(await extents(reactor, file, offset, length, 1), want.slice(0, 1), 'and the first of them');
        t.same(await extents(reactor, file, offset, length, 3), want.slice(0, 3), 'and the first three');
      }
    }
  });
}

t.test('a preallocated part is a hole until it is written', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  await must('fallocate', ['--offset', '256KiB', '--length', '256KiB', path]);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, true);
  t.same(await extents(reactor, file, 0, MiB), [{ length: MiB, hole: true }]);
  const fd = openSync(path, constants.O_RDWR);
  writeSync(fd, pattern(PAGE, 1), 0, undefined, 256 * KiB);
  closeSync(fd);
  t.same(await extents(reactor, file, 0, MiB), [
    { length: 256 * KiB, hole: true },
    { length: PAGE, hole: false },
    { length: MiB - 256 * KiB - PAGE, hole: true },
  ]);
});

t.test('a block device counts as data', async (t) => {
  const backing = await makeBacking(t, 'device', MiB);
  const reactor = openReactor(t);
  const fd = openSync(backing.path, constants.O_RDONLY | constants.O_DIRECT);
  const file = reactor.native.addFile(fd, true, true);
  t.same(await extents(reactor, file, 4096, MiB - 4096), [{ length: MiB - 4096, hole: false }]);
  await reactor.close();
  closeSync(fd);
});

t.test(
  'a range of nothing, and room for nothing, are EINVAL; room outside of memory is EFAULT',
  async (t) => {
    const reactor = openReactor(t);
    const file = addFile(t, reactor, sparseFile(join(scratch(t), 'f'), MiB), false);
    const good = { op: EXTENTS, target: file, buffer: 0, offset: 0, length: MiB, auxLength: 1024 };
    t.same(
      await reactor.run(
        good,
        { ...good, length: 0 },
        { ...good, auxLength: EXTENT_BYTES - 1 },
        { ...good, buffer: 4 * MiB - 1000 },
        { ...good, buffer: -1 },
        { ...good, auxLength: Number.NaN },
      ),
      [1, EINVAL, EINVAL, EFAULT, EFAULT, EFAULT],
    );
  },
);
