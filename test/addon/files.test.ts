// I/O on files: what each operation does to the file, and what it answers.

import { closeSync, constants, openSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { makeBacking } from '../support/backing.js';
import { allocatedBytes, KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { must } from '../support/programs.js';
import { addFile } from './open.js';
import {
  ADVISE,
  DURABLE,
  type Entry,
  MAY_PUNCH,
  openReactor,
  READ,
  SYNC,
  TRIM,
  WRITE,
  ZERO,
} from './reactor.js';

for (const direct of [true, false]) {
  const kind = direct ? 'direct' : 'buffered';

  t.test(`${kind} reads bring what the file holds`, async (t) => {
    const path = patternFile(join(scratch(t), 'f'), MiB, 1);
    const reactor = openReactor(t);
    const file = addFile(t, reactor, path, direct);
    const entries: Entry[] = [];
    for (let at = 0; at < MiB; at += 64 * KiB) {
      entries.push({ op: READ, target: file, buffer: MiB - 64 * KiB - at, length: 64 * KiB, offset: at });
    }
    const results = await reactor.run(...entries);
    t.ok(results.every((result) => result === 64 * KiB));
    const expected = readFileSync(path);
    for (let at = 0; at < MiB; at += 64 * KiB) {
      const got = reactor.bytes.subarray(MiB - 64 * KiB - at, MiB - at);
      if (!got.equals(expected.subarray(at, at + 64 * KiB))) t.fail(`the piece at ${at} is another`);
    }
  });

  t.test(`${kind} writes, durable or not, are in the file when they are complete`, async (t) => {
    const path = sparseFile(join(scratch(t), 'f'), MiB);
    const reactor = openReactor(t);
    const file = addFile(t, reactor, path, direct);
    const data = pattern(MiB, 2);
    data.copy(reactor.bytes);
    const entries: Entry[] = [];
    for (let at = 0; at < MiB; at += 32 * KiB) {
      const flags = at % (64 * KiB) === 0 ? DURABLE : 0;
      entries.push({ op: WRITE, target: file, buffer: at, length: 32 * KiB, offset: at, flags });
    }
    const results = await reactor.run(...entries);
    t.ok(results.every((result) => result === 32 * KiB));
    t.ok(readFileSync(path).equals(data));
  });

  t.test(`a ${kind} read that passes the end of the file brings fewer bytes`, async (t) => {
    const path = patternFile(join(scratch(t), 'f'), 10_000, 3);
    const reactor = openReactor(t);
    const file = addFile(t, reactor, path, direct);
    const results = await reactor.run(
      { op: READ, target: file, buffer: 0, length: 16 * KiB, offset: 0 },
      { op: READ, target: file, buffer: 32 * KiB, length: 4 * KiB, offset: 8 * KiB },
      { op: READ, target: file, buffer: 64 * KiB, length: 4 * KiB, offset: 12 * KiB },
    );
    t.same(results, [10_000, 10_000 - 8 * KiB, 0]);
    t.ok(reactor.bytes.subarray(0, 10_000).equals(pattern(10_000, 3)));
  });

  t.test(`SYNC on a ${kind} file answers 0, as many at once as one likes`, async (t) => {
    const reactor = openReactor(t, { queueDepth: 4 });
    const file = addFile(t, reactor, sparseFile(join(scratch(t), 'f'), MiB), direct);
    const results = await reactor.run(...Array.from({ length: 20 }, () => ({ op: SYNC, target: file })));
    t.same(results, new Array(20).fill(0));
  });

  t.test(`TRIM on a ${kind} file gives the blocks back, and the file keeps its size`, async (t) => {
    const path = patternFile(join(scratch(t), 'f'), MiB, 4);
    const reactor = openReactor(t);
    const file = addFile(t, reactor, path, direct);
    const before = allocatedBytes(path);
    const trim = { op: TRIM, target: file, offset: 256 * KiB, length: 512 * KiB };
    t.equal(await reactor.one({ ...trim, flags: DURABLE }), 0);
    t.equal(before - allocatedBytes(path), 512 * KiB);
    t.equal(statSync(path).size, MiB);
    const after = readFileSync(path);
    t.ok(after.subarray(0, 256 * KiB).equals(pattern(256 * KiB, 4)), 'what lies in front of it is untouched');
  });

  t.test(`ZERO on a ${kind} file keeps its blocks unless it may punch`, async (t) => {
    const path = patternFile(join(scratch(t), 'f'), MiB, 5);
    const reactor = openReactor(t);
    const file = addFile(t, reactor, path, direct);
    const before = allocatedBytes(path);
    t.equal(await reactor.one({ op: ZERO, target: file, offset: 0, length: 256 * KiB }), 0);
    t.equal(allocatedBytes(path), before, 'blocks stay');
    const punch = {
      op: ZERO,
      target: file,
      offset: 512 * KiB,
      length: 256 * KiB,
      flags: MAY_PUNCH | DURABLE,
    };
    t.equal(await reactor.one(punch), 0);
    t.equal(before - allocatedBytes(path), 256 * KiB, 'blocks go');
    const expected = pattern(MiB, 5);
    expected.fill(0, 0, 256 * KiB).fill(0, 512 * KiB, 768 * KiB);
    t.ok(readFileSync(path).equals(expected));
    t.equal(statSync(path).size, MiB);
  });
}

t.test('ZERO past the end does not lengthen the file', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 64 * KiB, 6);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, false);
  for (const flags of [0, MAY_PUNCH]) {
    t.equal(await reactor.one({ op: ZERO, target: file, offset: 60 * KiB, length: 64 * KiB, flags }), 0);
    t.equal(statSync(path).size, 64 * KiB);
  }
});

t.test('ADVISE brings all of a long range into the page cache', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 16 * MiB, 7);
  await must('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']);
  const cached = async () =>
    Number(await must('fincore', ['--bytes', '--noheadings', '--output', 'RES', path]));
  t.ok((await cached()) < MiB, 'nothing of it is there before');
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, false);
  t.equal(await reactor.one({ op: ADVISE, target: file, offset: MiB, length: 14 * MiB }), 0);
  const deadline = Date.now() + 10_000;
  while ((await cached()) < 14 * MiB && Date.now() < deadline) await sleep(20);
  t.ok((await cached()) >= 14 * MiB, 'all of it is there soon after');
});

t.test('on tmpfs, which has no zero-range, ZERO zeroes, and keeps blocks unless it may punch', async (t) => {
  const backing = await makeBacking(t, 'tmpfs', MiB);
  writeFileSync(backing.path, pattern(MiB, 8));
  const reactor = openReactor(t);
  const file = addFile(t, reactor, backing.path, false);
  const before = backing.allocatedBytes();
  t.equal(await reactor.one({ op: ZERO, target: file, offset: 0, length: 256 * KiB }), 0);
  t.equal(backing.allocatedBytes(), before);
  t.equal(
    await reactor.one({ op: ZERO, target: file, offset: 512 * KiB, length: 256 * KiB, flags: MAY_PUNCH }),
    0,
  );
  t.equal(before - backing.allocatedBytes(), 256 * KiB);
  const expected = pattern(MiB, 8);
  expected.fill(0, 0, 256 * KiB).fill(0, 512 * KiB, 768 * KiB);
  t.ok(readFileSync(backing.path).equals(expected));
  await reactor.close();
});

t.test('a file with 4 KiB sectors that ends within a sector is read short, not refused', async (t) => {
  const backing = await makeBacking(t, 'file4k', MiB);
  writeFileSync(backing.path, pattern(8 * KiB, 9));
  truncateSync(backing.path, 4 * KiB + 1536);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, backing.path, true);
  const results = await reactor.run(
    { op: READ, target: file, buffer: 0, length: 8 * KiB, offset: 0 },
    { op: READ, target: file, buffer: 8 * KiB, length: 4 * KiB, offset: 4 * KiB },
  );
  t.same(results, [4 * KiB + 1536, 1536]);
  t.ok(reactor.bytes.subarray(0, 4 * KiB + 1536).equals(pattern(8 * KiB, 9).subarray(0, 4 * KiB + 1536)));
  await reactor.close();
});

t.test('a block device is read, written, trimmed and zeroed', async (t) => {
  const backing = await makeBacking(t, 'device4k', 4 * MiB);
  const reactor = openReactor(t);
  const fd = openSync(backing.path, constants.O_RDWR | constants.O_DIRECT);
  const file = reactor.native.addFile(fd, true, true);
  const data = pattern(MiB, 10);
  data.copy(reactor.bytes);
  t.equal(await reactor.one({ op: WRITE, target: file, length: MiB, offset: MiB, flags: DURABLE }), MiB);
  t.equal(await reactor.one({ op: READ, target: file, buffer: 2 * MiB, length: MiB, offset: MiB }), MiB);
  t.ok(reactor.bytes.subarray(2 * MiB, 3 * MiB).equals(data));
  t.equal(backing.allocatedBytes(), MiB);
  t.equal(await reactor.one({ op: ZERO, target: file, length: 256 * KiB, offset: MiB }), 0);
  t.equal(await reactor.one({ op: TRIM, target: file, length: 512 * KiB, offset: MiB + 512 * KiB }), 0);
  t.equal(await reactor.one({ op: SYNC, target: file }), 0);
  t.equal(await reactor.one({ op: READ, target: file, buffer: 2 * MiB, length: MiB, offset: MiB }), MiB);
  t.ok(reactor.bytes.subarray(2 * MiB, 2 * MiB + 256 * KiB).equals(Buffer.alloc(256 * KiB)), 'zeroed');
  t.ok(
    reactor.bytes
      .subarray(2 * MiB + 256 * KiB, 2 * MiB + 512 * KiB)
      .equals(data.subarray(256 * KiB, 512 * KiB)),
  );
  t.ok(backing.allocatedBytes() <= 512 * KiB, 'trimmed');
  await reactor.close();
  closeSync(fd);
});
