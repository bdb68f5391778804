// Writes into the page cache stand in line, one line for each file; and a READ of which a part is cached.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeBacking } from '../support/backing.js';
import { KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { addFile } from './open.js';
import { CANCEL, DURABLE, ECANCELED, type Entry, openReactor, READ, WRITE, WRITE_BACK } from './reactor.js';

const PIECE = 4 * KiB;

function writes(file: number, count: number, flags = 0): Entry[] {
  return Array.from({ length: count }, (_, i) => ({
    op: WRITE,
    target: file,
    buffer: i * PIECE,
    length: PIECE,
    offset: i * PIECE,
    flags,
  }));
}

for (const workerThreads of [1, 2, 16]) {
  t.test(
    `hundreds of buffered writes to three files all happen, each once (${workerThreads} threads)`,
    async (t) => {
      const reactor = openReactor(t, { workerThreads });
      const data = pattern(MiB, 1);
      data.copy(reactor.bytes);
      const paths = [0, 1, 2].map((i) => sparseFile(join(scratch(t), `f${i}`), MiB));
      const files = paths.map((path) => addFile(t, reactor, path, false));
      for (const flags of [0, DURABLE]) {
        const count = flags === DURABLE ? 16 : 256;
        const before = reactor.done.length;
        const all = Array.from({ length: count }, (_, i) =>
          files.map((file) => writes(file, count, flags)[i]!),
        );
        const results = await reactor.run(...all.flat());
        t.ok(results.every((result) => result === PIECE));
        t.equal(reactor.done.length - before, 3 * count);
      }
      for (const path of paths) t.ok(readFileSync(path).equals(data));
    },
  );
}

t.test('a line is longer than a turn, and other work gets its turn', async (t) => {
  const reactor = openReactor(t, { workerThreads: 1 });
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  const other = patternFile(join(scratch(t), 'g'), MiB, 2);
  const file = addFile(t, reactor, path, false);
  const second = addFile(t, reactor, other, false);
  const tags = writes(file, 256).map((entry) => reactor.put(entry));
  const durable = reactor.put({ op: WRITE, target: second, length: PIECE, flags: DURABLE });
  reactor.submit();
  await Promise.all([...tags, durable].map((tag) => reactor.result(tag)));
  const order = reactor.done.map(({ tag }) => tag);
  t.same(
    order.filter((tag) => tag !== durable),
    tags,
    'the line keeps its order',
  );
  t.ok(order.indexOf(durable) < 256, 'what came after it did not wait for all of it');
});

t.test('CANCEL takes a write out of its line, the others are done', async (t) => {
  const reactor = openReactor(t, { workerThreads: 1 });
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  const file = addFile(t, reactor, path, false);
  pattern(MiB, 3).copy(reactor.bytes);
  const tags = writes(file, 256).map((entry) => reactor.put(entry));
  // None of this submission has been handed to a thread yet.
  for (let i = 0; i < 256; i += 2) reactor.put({ op: CANCEL, tag: tags[i]! });
  reactor.submit();
  const results = await Promise.all(tags.map((tag) => reactor.result(tag)));
  t.same(
    results,
    tags.map((_, i) => (i % 2 === 0 ? ECANCELED : PIECE)),
  );
  const content = readFileSync(path);
  const expected = pattern(MiB, 3);
  for (let i = 0; i < 256; i += 2) expected.fill(0, i * PIECE, (i + 1) * PIECE);
  t.ok(content.equals(expected));
});

t.test('a READ of which only the beginning is cached has all of its bytes', async (t) => {
  for (const kind of ['file', 'device'] as const) {
    const { path } = await makeBacking(t, kind, 4 * MiB);
    const data = pattern(4 * MiB, 4);
    const reactor = openReactor(t);
    const file = addFile(t, reactor, path, false);
    data.copy(reactor.bytes);
    t.equal(await reactor.one({ op: WRITE, target: file, length: 4 * MiB, flags: DURABLE }), 4 * MiB);
    reactor.bytes.fill(0);
    for (const cached of [4 * KiB, 100 * KiB, 256 * KiB - 4 * KiB]) {
      dropCache(path);
      t.equal(await reactor.one({ op: READ, target: file, length: cached }), cached);
      const length = 300_001;
      reactor.bytes.fill(0);
      t.equal(await reactor.one({ op: READ, target: file, length, buffer: 512, offset: 7 }), length);
      t.ok(reactor.bytes.subarray(512, 512 + length).equals(data.subarray(7, 7 + length)), `${cached} bytes`);
    }
    const end = { op: READ, target: file, length: 8 * KiB, offset: 4 * MiB - 4 * KiB };
    t.equal(await reactor.one(end), 4 * KiB, 'a READ across the end is as short as the file');
    t.equal(await reactor.one(end), 4 * KiB, 'also when it is cached');
  }
});

t.test(
  'a write that blocks holds up neither other files nor the news of what was done before it',
  async (t) => {
    // A frozen file system lets writers wait until it is thawed.
    const frozen = await makeBacking(t, 'file4k', 4 * MiB);
    const reactor = openReactor(t);
    const free = addFile(t, reactor, sparseFile(join(scratch(t), 'f'), MiB), false);
    const stuck = addFile(t, reactor, frozen.path, false);
    const mountPoint = join(frozen.path, '..');
    const thaw = freeze(t, mountPoint);
    const blocked = writes(stuck, 3).map((entry) => reactor.put(entry));
    reactor.submit();
    const results = await reactor.run(...writes(free, 100));
    t.ok(results.every((result) => result === PIECE));
    t.notOk(reactor.done.some(({ tag }) => blocked.includes(tag)));
    thaw();
    t.same(await Promise.all(blocked.map((tag) => reactor.result(tag))), [PIECE, PIECE, PIECE]);
  },
);

t.test('WRITE_BACK leaves nothing dirty, of a file and of a device', async (t) => {
  for (const kind of ['file', 'tmpfs', 'device'] as const) {
    const { path } = await makeBacking(t, kind, 4 * MiB);
    const reactor = openReactor(t);
    const file = addFile(t, reactor, path, false);
    const results = await reactor.run(...writes(file, 256));
    t.ok(results.every((result) => result === PIECE));
    t.equal(await reactor.one({ op: WRITE_BACK, target: file }), 0, kind);
  }
});

function dropCache(path: string): void {
  execFileSync('sync', [path]);
  execFileSync('dd', [`if=${path}`, 'of=/dev/null', 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
}

/** Freezes a file system until the test ends, or the returned function is called. */
function freeze(t: Test, mountPoint: string): () => void {
  let isFrozen = true;
  const thaw = () => {
    if (isFrozen) execFileSync('fsfreeze', ['--unfreeze', mountPoint]);
    isFrozen = false;
  };
  execFileSync('fsfreeze', ['--freeze', mountPoint]);
  t.teardown(thaw);
  return thaw;
}
