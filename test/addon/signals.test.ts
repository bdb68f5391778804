// Direct I/O of a file that was complete at once often enough is submitted without a signal for its end; what takes longer after
// all is noticed nevertheless.

import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { assertWalk } from '../support/cpp.js';
import { pattern, scratch } from '../support/files.js';
import { addFile } from './open.js';
import { KiB, MiB, openReactor, type RawReactor, READ, SYNC } from './reactor.js';

const PIECE = 4 * KiB;
/** More than it takes at first until there are no signals; twice as many each time that one was missed. */
const AT_ONCE = 300;
const ROUNDS = 5;
const DATA_OFFSET = 64 * MiB;

/** A hole, which is read at once, and behind it data on a disk, which is not. */
function holeAndData(t: Test, reactor: RawReactor): number {
  const path = join(scratch(t), 'disk');
  const fd = openSync(path, 'w');
  ftruncateSync(fd, DATA_OFFSET);
  writeSync(fd, pattern(ROUNDS * MiB, 1), 0, ROUNDS * MiB, DATA_OFFSET);
  fsyncSync(fd);
  closeSync(fd);
  return addFile(t, reactor, path, true);
}

function readHole(t: Test, reactor: RawReactor, file: number, times: number): void {
  for (let i = 0; i < times; i++) {
    const tag = reactor.put({ op: READ, target: file, buffer: 0, length: PIECE, offset: i * PIECE });
    reactor.submit();
    if (reactor.done.at(-1)?.tag !== tag) t.fail('the hole has kept a read waiting');
  }
}

const readData = (file: number, round: number) => ({
  op: READ,
  target: file,
  buffer: 0,
  length: MiB,
  offset: DATA_OFFSET + round * MiB,
});

t.test('what is learned of a file is learned and forgotten in time', async (t) => {
  const source = new URL('habits.cc', import.meta.url);
  assertWalk(t, [fileURLToPath(source)]);
});

for (const reapInUserSpace of [true, false]) {
  const reaping = reapInUserSpace ? 'with completions taken from the mapped ring' : 'with io_getevents';

  t.test(`a read that takes a disk is noticed after many that took none, ${reaping}`, async (t) => {
    const reactor = openReactor(t, { reapInUserSpace });
    const file = holeAndData(t, reactor);
    let late = 0;
    for (let round = 0; round < ROUNDS; round++) {
      readHole(t, reactor, file, AT_ONCE << round);
      const tag = reactor.put(readData(file, round));
      reactor.submit();
      if (!reactor.done.some((done) => done.tag === tag)) late++;
      t.equal(await reactor.result(tag), MiB);
      t.ok(
        reactor.bytes
          .subarray(0, MiB)
          .equals(pattern(ROUNDS * MiB, 1).subarray(round * MiB, (round + 1) * MiB)),
      );
      t.equal(await reactor.one({ op: SYNC, target: file }), 0, 'and so is a sync');
    }
    t.ok(late > 0, `${late} of ${ROUNDS} were under way when the call came back`);
  });
}

t.test('a reactor closes while reads without a signal are under way', async (t) => {
  const reactor = openReactor(t);
  const file = holeAndData(t, reactor);
  readHole(t, reactor, file, AT_ONCE);
  const before = reactor.done.length;
  // As many as the disk can't have read before the call comes back.
  const reads = (ROUNDS * MiB) / (64 * KiB);
  for (let i = 0; i < reads; i++)
    reactor.put({ ...readData(file, 0), length: 64 * KiB, offset: DATA_OFFSET + i * 64 * KiB });
  reactor.submit();
  t.ok(reactor.done.length - before < reads, 'some are under way');
  await reactor.close();
});
