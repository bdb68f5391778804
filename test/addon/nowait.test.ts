// What the kernel will not do at once: it is done all the same, and once.

import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Ring } from '../../src/engine/ring.js';
import { RING_CELLS, RING_NOWAIT_FALLBACKS } from '../../src/engine/ring-counters.js';
import { fails } from '../config/fails.js';
import { makeBacking } from '../support/backing.js';
import { KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { addFile } from './open.js';
import { DURABLE, type Entry, openReactor, type RawReactor, READ, SYNC, WRITE } from './reactor.js';

const PIECE = 4 * KiB;

function writes(file: number, count: number, flags = 0): Entry[] {
  // Far apart, so that each of them fills a hole of its own.
  return Array.from({ length: count }, (_, i) => ({
    op: WRITE,
    target: file,
    buffer: i * PIECE,
    length: PIECE,
    offset: i * 16 * PIECE,
    flags,
  }));
}

function assertWritten(t: Test, path: string, data: Buffer, count: number): void {
  const content = readFileSync(path);
  const wrong = Array.from({ length: count }, (_, i) => i).filter(
    (i) =>
      !content
        .subarray(i * 16 * PIECE, (i * 16 + 1) * PIECE)
        .equals(data.subarray(i * PIECE, (i + 1) * PIECE)),
  );
  t.same(wrong, [], 'every piece is in its place');
}

for (const reapInUserSpace of [true, false]) {
  const reaping = reapInUserSpace ? 'with completions taken from the mapped ring' : 'with io_getevents';

  t.test(`hundreds of direct writes into holes complete, ${reaping}`, async (t) => {
    const path = sparseFile(join(scratch(t), 'f'), 64 * MiB);
    const reactor = openReactor(t, { reapInUserSpace });
    const file = addFile(t, reactor, path, true);
    const data = pattern(4 * MiB, 1);
    data.copy(reactor.bytes);
    const results = await reactor.run(...writes(file, 600));
    t.ok(results.every((result) => result === PIECE));
    assertWritten(t, path, data, 600);
    t.equal(reactor.done.length, 600, 'each completes once');
  });

  t.test(`more direct I/O than fits into the queue waits its turn, ${reaping}`, async (t) => {
    const path = patternFile(join(scratch(t), 'f'), 4 * MiB, 2);
    const reactor = openReactor(t, { queueDepth: 3, reapInUserSpace });
    const file = addFile(t, reactor, path, true);
    const entries: Entry[] = Array.from({ length: 1000 }, (_, i) => ({
      op: i % 100 === 99 ? SYNC : READ,
      target: file,
      buffer: i * PIECE,
      length: PIECE,
      offset: (999 - i) * PIECE,
    }));
    const results = await reactor.run(...entries);
    t.same(
      results,
      entries.map(({ op }) => (op === SYNC ? 0 : PIECE)),
    );
    const content = readFileSync(path);
    const wrong = entries.filter(
      ({ op, buffer, offset }) =>
        op === READ &&
        !reactor.bytes.subarray(buffer!, buffer! + PIECE).equals(content.subarray(offset!, offset! + PIECE)),
    );
    t.same(wrong, []);
  });

  t.test(`on tmpfs, where the kernel knows no NOWAIT, direct I/O works, ${reaping}`, async (t) => {
    const backing = await makeBacking(t, 'tmpfs', 64 * MiB);
    const reactor = openReactor(t, { reapInUserSpace });
    const file = addFile(t, reactor, backing.path, true);
    const data = pattern(4 * MiB, 3);
    data.copy(reactor.bytes);
    const results = await reactor.run(...writes(file, 300));
    t.ok(results.every((result) => result === PIECE));
    assertWritten(t, backing.path, data, 300);
    reactor.bytes.fill(0);
    const reads = writes(file, 300).map((entry) => ({ ...entry, op: READ }));
    t.ok((await reactor.run(...reads)).every((result) => result === PIECE));
    t.ok(reactor.bytes.subarray(0, 300 * PIECE).equals(data.subarray(0, 300 * PIECE)));
    await reactor.close();
  });
}

t.test('durable direct writes into holes complete', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 64 * MiB);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, true);
  const data = pattern(4 * MiB, 4);
  data.copy(reactor.bytes);
  const results = await reactor.run(...writes(file, 64, DURABLE));
  t.ok(results.every((result) => result === PIECE));
  assertWritten(t, path, data, 64);
});

t.test('reads of holes and of data, in one batch with writes elsewhere, bring zeroes and data', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 64 * MiB);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, true);
  const data = pattern(4 * MiB, 5);
  data.copy(reactor.bytes);
  await reactor.run(...writes(file, 100));
  reactor.bytes.fill(0xee, 2 * MiB);
  const reads: Entry[] = Array.from({ length: 200 }, (_, i) => ({
    op: READ,
    target: file,
    buffer: 2 * MiB + i * PIECE,
    length: PIECE,
    offset: i * 8 * PIECE,
  }));
  const more = writes(file, 100).map((entry) => ({ ...entry, offset: entry.offset! + 32 * MiB }));
  const mixed = reads.flatMap((read, i) => (i < more.length ? [read, more[i]!] : [read]));
  t.ok((await reactor.run(...mixed)).every((result) => result === PIECE));
  const wrong = reads.filter(({ buffer }, i) => {
    const expected = i % 2 === 0 ? data.subarray((i / 2) * PIECE, (i / 2 + 1) * PIECE) : Buffer.alloc(PIECE);
    return !reactor.bytes.subarray(buffer!, buffer! + PIECE).equals(expected);
  });
  t.same(wrong, []);
});

t.test('a buffered read of what is not in the page cache is done by a worker', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 4 * MiB, 6);
  const reactor = openReactor(t);
  // Direct reads put nothing into the cache; dropping what the pattern's writing left there is not ours to do, so
  // a hole that was never read stands for it.
  const file = addFile(t, reactor, sparseFile(join(scratch(t), 'hole'), 64 * MiB), false);
  const known = addFile(t, reactor, path, false);
  const entries = (target: number) =>
    Array.from(
      { length: 500 },
      (_, i): Entry => ({ op: READ, target, buffer: i * PIECE, length: PIECE, offset: i * PIECE }),
    );
  reactor.bytes.fill(0xee);
  t.ok((await reactor.run(...entries(file))).every((result) => result === PIECE));
  t.ok(reactor.bytes.subarray(0, 500 * PIECE).equals(Buffer.alloc(500 * PIECE)));
  t.ok((await reactor.run(...entries(known))).every((result) => result === PIECE));
  t.ok(reactor.bytes.subarray(0, 500 * PIECE).equals(pattern(4 * MiB, 6).subarray(0, 500 * PIECE)));
});

t.test('an I/O that is complete at once comes back from the submit that asked for it', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 64 * KiB, 7);
  readFileSync(path);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, false);
  const reader = (r: RawReactor) => {
    r.put({ op: READ, target: file, length: PIECE });
    return r.submit();
  };
  t.equal(reader(reactor), 1);
});

t.test('a queue depth beyond fs.aio-max-nr is refused with the limit and the remedy', async (t) => {
  const limit = Number(readFileSync('/proc/sys/fs/aio-max-nr', 'utf8'));
  const queueDepth = limit + 1;
  fails(
    t,
    () => new Ring({ memoryBytes: MiB, queueDepth }),
    'AIONBD_E_AIO_LIMIT',
    'fs.aio-max-nr',
    String(limit),
    'sysctl -w fs.aio-max-nr=',
    '--queue-depth',
  );
});

t.test('the limit that is asked for is what is in use and what is wanted, no more', async (t) => {
  const queueDepth = Number(readFileSync('/proc/sys/fs/aio-max-nr', 'utf8')) + 1;
  try {
    new Ring({ memoryBytes: MiB, queueDepth });
    t.fail('a ring was made');
  } catch (error) {
    const [, used, needed] = /\((\d+) in use\).* at least (\d+)/.exec((error as Error).message) ?? [];
    t.equal(Number(needed), Number(used) + queueDepth);
  }
});

t.test('memory that cannot be had is refused with the remedy', async (t) => {
  const size = /VmSize:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1];
  const limit = (bytes: number | string) =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--as=${bytes}:`], { stdio: 'inherit' });
  limit(Number(size) * 1024 + 1024 * MiB);
  try {
    fails(
      t,
      () => new Ring({ memoryBytes: 3072 * MiB, queueDepth: 16 }),
      'AIONBD_E_MEMORY',
      '--buffer-memory',
    );
  } finally {
    limit('unlimited');
  }
});

t.test('memory beyond what an ArrayBuffer can be is refused, and does not end the process', async (t) => {
  for (const memoryBytes of [2 ** 32, 5 * 2 ** 30, 2 ** 46]) {
    fails(t, () => new Ring({ memoryBytes, queueDepth: 16 }), 'AIONBD_E_MEMORY', '--buffer-memory');
  }
});

t.test('a write that would block lets those behind it go on as before', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 16 * MiB, 8);
  const counters = new Float64Array(RING_CELLS);
  const reactor = openReactor(t, { counters });
  const file = addFile(t, reactor, path, true);
  await reactor.one({ op: SYNC, target: file });
  execFileSync('dd', [`if=${path}`, 'of=/dev/null', 'iflag=nocache', 'count=0', 'status=none']);
  t.ok((await reactor.run(...writes(file, 100))).every((result) => result === PIECE));
  const before = counters[RING_NOWAIT_FALLBACKS]!;
  t.ok(before < 10, `${before} of 100 would block`);
  // A page that is in the page cache has to be thrown out first. It lies far from the others.
  const offset = 12 * MiB;
  const reader = openSync(path, 'r');
  readSync(reader, Buffer.alloc(PIECE), 0, PIECE, offset);
  closeSync(reader);
  const tags = [reactor.put({ op: WRITE, target: file, buffer: 0, length: PIECE, offset })];
  reactor.submit();
  t.equal(counters[RING_NOWAIT_FALLBACKS], before + 1, 'it would block');
  for (const entry of writes(file, 100)) tags.push(reactor.put(entry));
  reactor.submit();
  for (const tag of tags) t.equal(await reactor.result(tag), PIECE);
  const others = counters[RING_NOWAIT_FALLBACKS]! - before - 1;
  t.ok(others < 10, `${others} of 100 others have gone to a worker`);
});
