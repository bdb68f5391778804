// ZERO with FAST does what takes no writing of data, and leaves alone what would.

import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeBacking } from '../support/backing.js';
import { KiB, MiB, pattern, patternFile, scratch } from '../support/files.js';
import { addFile } from './open.js';
import { EOPNOTSUPP, FAST, MAY_PUNCH, openReactor, WRITE, ZERO } from './reactor.js';

t.test('on ext4 zeroing is fast with and without a hole', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), MiB, 1);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, true);
  const entry = { op: ZERO, target: file, length: 256 * KiB };
  t.equal(await reactor.one({ ...entry, offset: 0, flags: FAST }), 0);
  t.equal(await reactor.one({ ...entry, offset: 512 * KiB, flags: FAST | MAY_PUNCH }), 0);
  const expected = pattern(MiB, 1);
  expected.fill(0, 0, 256 * KiB).fill(0, 512 * KiB, 768 * KiB);
  t.ok(readFileSync(path).equals(expected));
});

t.test('tmpfs can punch fast; keeping the blocks would mean to write, so nothing happens', async (t) => {
  const backing = await makeBacking(t, 'tmpfs', MiB);
  writeFileSync(backing.path, pattern(MiB, 2));
  const reactor = openReactor(t);
  const file = addFile(t, reactor, backing.path, false);
  const entry = { op: ZERO, target: file, length: 256 * KiB };
  t.equal(await reactor.one({ ...entry, offset: 0, flags: FAST }), EOPNOTSUPP);
  t.ok(readFileSync(backing.path).equals(pattern(MiB, 2)), 'the contents are what they were');
  t.equal(await reactor.one({ ...entry, offset: 0, flags: FAST | MAY_PUNCH }), 0);
  t.ok(
    readFileSync(backing.path)
      .subarray(0, 256 * KiB)
      .equals(Buffer.alloc(256 * KiB)),
  );
  await reactor.close();
});

t.test('a block device is not told to write zeroes itself', async (t) => {
  const backing = await makeBacking(t, 'device', MiB);
  const reactor = openReactor(t);
  const fd = openSync(backing.path, constants.O_RDWR | constants.O_DIRECT);
  const file = reactor.native.addFile(fd, true, true);
  pattern(MiB, 3).copy(reactor.bytes);
  t.equal(await reactor.one({ op: WRITE, target: file, length: MiB, offset: 0 }), MiB);
  t.equal(await reactor.one({ op: ZERO, target: file, length: 256 * KiB, flags: FAST }), EOPNOTSUPP);
  t.equal(backing.allocatedBytes(), MiB);
  t.equal(await reactor.one({ op: ZERO, target: file, length: 256 * KiB, flags: FAST | MAY_PUNCH }), 0);
  t.equal(backing.allocatedBytes(), MiB - 256 * KiB, 'a hole is fast');
  await reactor.close();
  closeSync(fd);
});
