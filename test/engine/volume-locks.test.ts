// Who may change what at the same time as whom. Two VolumeLocks over one memory are two threads.

import t from 'tap';
import {
  HOLD_ABANDONED,
  HOLD_EXCLUSIVE,
  HOLD_NONE,
  HOLD_SHARED,
  HOLD_WIDE,
  HOLD_WIDE_ABANDONED,
  LOCK_MEMORY_BYTES,
  VolumeLocks,
} from '../../src/engine/volume-locks.js';

const UNIT = 4096;
const WIDE = 1024 * 1024;
/** This far apart, places have one word in common. */
const TABLE_BYTES = 65_536 * UNIT;

function pair(unitBytes = UNIT) {
  const memory = new SharedArrayBuffer(LOCK_MEMORY_BYTES);
  return {
    one: new VolumeLocks(memory, unitBytes),
    other: new VolumeLocks(memory, unitBytes),
    /** Words that are not 0; whose turn it is stays behind. */
    left: () => new Int32Array(memory).filter((word, i) => i !== 18 && word !== 0).length,
  };
}

t.test('aligned writes go on side by side on different stripes', async (t) => {
  const { one, other, left } = pair();
  t.equal(one.tryTake(0, 4 * UNIT, false), HOLD_SHARED);
  t.equal(other.tryTake(4 * UNIT, UNIT, false), HOLD_SHARED);
  t.equal(one.tryTake(5 * UNIT, 512, false), HOLD_SHARED);
  one.release(0, 4 * UNIT, HOLD_SHARED);
  other.release(4 * UNIT, UNIT, HOLD_SHARED);
  one.release(5 * UNIT, 512, HOLD_SHARED);
  t.equal(left(), 0);
});

t.test('aligned writes go on one after the other on a stripe, whichever threads they are of', async (t) => {
  const { one, other, left } = pair();
  t.equal(one.tryTake(2 * UNIT, 2 * UNIT, false), HOLD_SHARED);
  for (const [offset, length] of [
    [2 * UNIT, 2 * UNIT],
    [0, 3 * UNIT],
    [3 * UNIT, 4 * UNIT],
    [3 * UNIT + 512, 512],
    [TABLE_BYTES + 2 * UNIT, UNIT],
  ] as const) {
    t.equal(other.tryTake(offset, length, false), HOLD_NONE, `one of ${length} bytes at ${offset}`);
    t.equal(one.tryTake(offset, length, false), HOLD_NONE, 'nor on the same thread');
  }
  one.release(2 * UNIT, 2 * UNIT, HOLD_SHARED);
  t.equal(left(), 0, 'what was refused has left nothing behind');
  t.equal(other.tryTake(0, 8 * UNIT, false), HOLD_SHARED, 'then comes the next');
  t.equal(one.tryTake(7 * UNIT, UNIT, false), HOLD_NONE);
});

t.test('an unaligned write is alone on its stripes', async (t) => {
  const { one, other, left } = pair();
  t.equal(one.tryTake(UNIT + 512, UNIT, true), HOLD_EXCLUSIVE);
  for (const [offset, expected] of [
    [0, HOLD_SHARED],
    [UNIT, HOLD_NONE],
    [2 * UNIT, HOLD_NONE],
    [3 * UNIT, HOLD_SHARED],
    [TABLE_BYTES + UNIT, HOLD_NONE],
  ] as const) {
    const hold = other.tryTake(offset, UNIT, false);
    t.equal(hold, expected, `a write at ${offset}`);
    other.release(offset, UNIT, hold);
  }
  t.equal(other.tryTake(512, UNIT, true), HOLD_NONE, 'nor another one that touches them');
  t.equal(other.tryTake(512, 512, true), HOLD_EXCLUSIVE, 'but one beside');
  other.release(512, 512, HOLD_EXCLUSIVE);
  one.release(UNIT + 512, UNIT, HOLD_EXCLUSIVE);
  t.equal(left(), 0, 'what was refused has left nothing behind');
  t.equal(other.tryTake(UNIT, UNIT, false), HOLD_SHARED, 'afterwards they may');
  t.equal(one.tryTake(UNIT + 512, 512, true), HOLD_NONE, 'and then it may not');
});

t.test('units larger than a stripe are held whole', async (t) => {
  const { one, other } = pair(65_536);
  t.equal(one.tryTake(512, 512, true), HOLD_EXCLUSIVE);
  t.equal(other.tryTake(60_000, 512, true), HOLD_NONE);
  t.equal(other.tryTake(65_536, 512, true), HOLD_EXCLUSIVE);
});

t.test('places far behind 2^32 are told apart', async (t) => {
  const { one, other } = pair();
  const far = 2 ** 52;
  t.equal(one.tryTake(far + 512, 512, true), HOLD_EXCLUSIVE);
  t.equal(other.tryTake(far, UNIT, false), HOLD_NONE);
  t.equal(other.tryTake(far + UNIT, UNIT, false), HOLD_SHARED);
});

t.test('nobody comes after an abandoned write until it is done', async (t) => {
  const { one, other, left } = pair();
  const held = one.tryTake(0, UNIT, false);
  t.equal(other.tryTake(0, WIDE, false), HOLD_WIDE, 'who is there already is not concerned');
  const abandoned = one.abandon(0, UNIT, held);
  t.equal(abandoned, HOLD_ABANDONED);
  t.equal(other.tryTake(0, UNIT, false), HOLD_NONE);
  t.equal(one.tryTake(0, UNIT, false), HOLD_NONE);
  t.equal(other.tryTake(512, 512, true), HOLD_NONE);
  t.equal(other.tryTake(0, WIDE, false), HOLD_NONE);
  t.equal(other.tryTake(UNIT, UNIT, false), HOLD_SHARED, 'beside it they may');
  other.release(UNIT, UNIT, HOLD_SHARED);
  other.release(0, WIDE, HOLD_WIDE);
  t.equal(other.tryTake(0, UNIT, false), HOLD_NONE);
  one.release(0, UNIT, abandoned);
  t.equal(left(), 0);
  t.equal(other.tryTake(0, UNIT, false), HOLD_SHARED);
});

t.test(
  'the whole width is shared with aligned writes and refused while an unaligned one is at work',
  async (t) => {
    const { one, other, left } = pair();
    t.equal(one.tryTake(0, UNIT, false), HOLD_SHARED);
    t.equal(one.tryTake(0, WIDE, false), HOLD_WIDE);
    t.equal(other.tryTake(UNIT, WIDE, false), HOLD_WIDE);
    t.equal(other.tryTake(UNIT, UNIT, false), HOLD_SHARED);
    t.equal(other.tryTake(5 * WIDE + 512, 512, true), HOLD_NONE, 'an unaligned one waits, even far away');
    one.release(0, WIDE, HOLD_WIDE);
    t.equal(other.tryTake(5 * WIDE + 512, 512, true), HOLD_NONE);
    other.release(UNIT, WIDE, HOLD_WIDE);
    t.equal(other.tryTake(5 * WIDE + 512, 512, true), HOLD_EXCLUSIVE);
    t.equal(one.tryTake(0, WIDE, false), HOLD_NONE);
    other.release(5 * WIDE + 512, 512, HOLD_EXCLUSIVE);
    one.release(0, UNIT, HOLD_SHARED);
    other.release(UNIT, UNIT, HOLD_SHARED);
    t.equal(left(), 0);
  },
);

t.test('an abandoned range of the whole width lets nobody in until it is done', async (t) => {
  const { one, other, left } = pair();
  const abandoned = one.abandon(0, WIDE, one.tryTake(0, WIDE, false));
  t.equal(abandoned, HOLD_WIDE_ABANDONED);
  t.equal(other.tryTake(0, UNIT, false), HOLD_NONE);
  t.equal(other.tryTake(512, 512, true), HOLD_NONE);
  t.equal(other.tryTake(0, WIDE, false), HOLD_NONE);
  one.release(0, WIDE, abandoned);
  t.equal(left(), 0);
  t.equal(other.tryTake(0, WIDE, false), HOLD_WIDE);
});

t.test('an unaligned write that waits gets in although aligned ones keep coming', async (t) => {
  const { one, other, left } = pair();
  t.equal(other.tryTake(0, UNIT, false), HOLD_SHARED);
  t.equal(one.tryTake(512, 512, true), HOLD_NONE);
  const waits = one.beginWait(512, 512, true);
  t.equal(other.tryTake(0, UNIT, false), HOLD_NONE, 'a later one does not get in before it');
  t.equal(other.tryTake(UNIT, UNIT, false), HOLD_SHARED, 'elsewhere it does');
  other.release(0, UNIT, HOLD_SHARED);
  t.equal(one.tryTake(512, 512, true), HOLD_EXCLUSIVE);
  one.endWait(512, 512, waits);
  one.release(512, 512, HOLD_EXCLUSIVE);
  t.equal(other.tryTake(0, UNIT, false), HOLD_SHARED);
  other.release(0, UNIT, HOLD_SHARED);
  other.release(UNIT, UNIT, HOLD_SHARED);
  t.equal(left(), 0);
});

t.test('many may wait for one stripe, and leave it as they found it', async (t) => {
  const { one, left } = pair();
  const waits = Array.from({ length: 300 }, () => one.beginWait(UNIT + 1, 2 * UNIT, true));
  t.equal(one.tryTake(2 * UNIT, UNIT, false), HOLD_NONE);
  t.equal(one.tryTake(UNIT + 1, 2 * UNIT, true), HOLD_EXCLUSIVE);
  one.release(UNIT + 1, 2 * UNIT, HOLD_EXCLUSIVE);
  for (const wait of waits) one.endWait(UNIT + 1, 2 * UNIT, wait);
  t.equal(left(), 0);
});

t.test('unaligned writes and whole widths that all wait take turns', async (t) => {
  const { one, other } = pair();
  const exclusive = () => one.tryTake(512, 512, true);
  const wide = () => other.tryTake(0, WIDE, false);
  t.equal(wide(), HOLD_WIDE);
  one.beginWait(512, 512, true);
  t.equal(exclusive(), HOLD_NONE);
  t.equal(wide(), HOLD_WIDE, 'until the turn changes, more of the same kind may come');
  other.release(0, WIDE, HOLD_WIDE);
  t.equal(wide(), HOLD_NONE, 'then they make room');
  other.beginWait(0, WIDE, false);
  other.release(0, WIDE, HOLD_WIDE);
  t.equal(exclusive(), HOLD_EXCLUSIVE);
  t.equal(one.tryTake(8 * UNIT + 512, 512, true), HOLD_EXCLUSIVE);
  one.release(512, 512, HOLD_EXCLUSIVE);
  t.equal(exclusive(), HOLD_NONE, 'and so do the others');
  t.equal(wide(), HOLD_NONE);
  one.release(8 * UNIT + 512, 512, HOLD_EXCLUSIVE);
  t.equal(wide(), HOLD_WIDE);
});
