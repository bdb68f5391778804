// Turns of the ring: batches larger than the arrays, fairness to the event loop, and its end.

import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { OP_READ, OP_SYNC, OP_ZERO, Ring } from '../../src/engine/ring.js';
import { KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';

interface Bench {
  readonly ring: Ring;
  /** A cached file: reads of it are complete at once. */
  readonly file: number;
  readonly completed: { op: number; tag: number; result: number }[];
  batches: number;
  onBatch: () => void;
  onComplete: (tag: number) => void;
  /** Resolves when so many have completed. */
  all(count: number): Promise<void>;
}

function bench(t: Test): Bench {
  const fd = openSync(patternFile(join(scratch(t), 'f'), MiB, 1), 'r+');
  const ring = new Ring({ memoryBytes: 4 * MiB, queueDepth: 64 });
  t.teardown(async () => {
    await ring.shutdown();
    closeSync(fd);
  });
  let wake = () => {};
  const self: Bench = {
    ring,
    file: ring.native.addFile(fd, false, false),
    completed: [],
    batches: 0,
    onBatch: () => {},
    onComplete: () => {},
    async all(count) {
      while (self.completed.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
  ring.attach({
    complete(op, tag, result) {
      self.completed.push({ op, tag, result });
      self.onComplete(tag);
    },
    batchEnd() {
      self.batches++;
      self.onBatch();
      wake();
    },
  });
  return self;
}

t.test('more submissions in one turn than the array holds all arrive, and complete once each', async (t) => {
  const b = bench(t);
  const count = 20_000;
  for (let i = 0; i < count; i++) b.ring.file(OP_READ, b.file, (i % 1024) * 512, 512, (i % 2048) * 512, 0, i);
  b.ring.kick();
  await b.all(count);
  t.equal(new Set(b.completed.map(({ tag }) => tag)).size, count);
  t.ok(b.completed.every(({ op, result }) => op === OP_READ && result === 512));
  const expected = pattern(MiB, 1);
  const last = (count - 1) % 2048;
  const at = ((count - 1) % 1024) * 512;
  t.ok(
    Buffer.from(b.ring.bytes.subarray(at, at + 512)).equals(expected.subarray(last * 512, last * 512 + 512)),
  );
});

t.test('more submissions from within completions than the array holds all arrive', async (t) => {
  const b = bench(t);
  let submitted = 1;
  b.onComplete = () => {
    for (let i = 0; i < 9000 && submitted < 30_000; i++)
      b.ring.file(OP_READ, b.file, 0, 512, 0, 0, submitted++);
  };
  b.ring.file(OP_READ, b.file, 0, 512, 0, 0, 0);
  b.ring.kick();
  await b.all(30_000);
  t.equal(new Set(b.completed.map(({ tag }) => tag)).size, 30_000);
});

t.test('more completions by the workers than the array holds are all delivered', async (t) => {
  const b = bench(t);
  const fd = openSync(sparseFile(join(scratch(t), 'g'), 64 * KiB), 'r+');
  const file = b.ring.native.addFile(fd, false, false);
  for (let i = 0; i < 10_000; i++) b.ring.file(OP_ZERO, file, 0, 1, 0, 0, i);
  b.ring.kick();
  // Nothing is taken until they are all there.
  const until = Date.now() + 300;
  while (Date.now() < until);
  await b.all(10_000);
  t.equal(b.completed.length, 10_000);
  await b.ring.shutdown();
  closeSync(fd);
});

t.test('the event loop goes on while completions lead to submissions without end', async (t) => {
  const b = bench(t);
  let going = true;
  let tag = 0;
  b.onComplete = () => {
    if (going) b.ring.file(OP_READ, b.file, 0, 512, 0, 0, tag++);
  };
  let immediates = 0;
  let timers = 0;
  const timer = setInterval(() => timers++, 1);
  for (let i = 0; i < 8; i++) b.ring.file(OP_READ, b.file, 0, 512, 0, 0, tag++);
  b.ring.kick();
  const end = Date.now() + 200;
  while (Date.now() < end) {
    await new Promise((resolve) => setImmediate(resolve));
    immediates++;
  }
  going = false;
  clearInterval(timer);
  t.ok(b.completed.length > 1000, `${b.completed.length} completions`);
  t.ok(immediates > 10, `${immediates} immediates`);
  t.ok(timers > 10, `${timers} timers`);
  await b.all(tag);
  t.equal(b.completed.length, tag);
});

t.test(
  'batchEnd comes once after each batch of completions, and kick without any brings one as well',
  async (t) => {
    const b = bench(t);
    b.ring.kick();
    t.equal(b.batches, 1);
    let order = '';
    b.onComplete = () => {
      order += 'c';
    };
    b.onBatch = () => {
      order += 'b';
    };
    for (let i = 0; i < 3; i++) b.ring.file(OP_READ, b.file, 0, 512, 0, 0, i);
    b.ring.kick();
    await b.all(3);
    t.match(order, /^b(c+b)+$/);
  },
);

t.test('kick from within a completion is nothing: the turn goes on anyway', async (t) => {
  const b = bench(t);
  let more = 5;
  b.onComplete = () => {
    if (more-- > 0) b.ring.file(OP_READ, b.file, 0, 512, 0, 0, 0);
    b.ring.kick();
  };
  b.ring.file(OP_READ, b.file, 0, 512, 0, 0, 0);
  b.ring.kick();
  await b.all(6);
  t.equal(b.completed.length, 6);
});

t.test('an exception out of the sink leaves the ring usable', async (t) => {
  const b = bench(t);
  b.onComplete = () => {
    throw new Error('on purpose');
  };
  b.ring.file(OP_READ, b.file, 0, 512, 0, 0, 0);
  t.throws(() => b.ring.kick(), /on purpose/);
  b.onComplete = () => {};
  b.ring.file(OP_READ, b.file, 0, 512, 0, 0, 1);
  b.ring.kick();
  await b.all(2);
  t.equal(b.completed[1]!.tag, 1);
});

t.test('shutdown resolves for everybody who asked when nothing is in flight any more', async (t) => {
  const b = bench(t);
  for (let i = 0; i < 100; i++) b.ring.file(OP_ZERO, b.file, 0, MiB, 0, 0, i);
  b.ring.file(OP_SYNC, b.file, 0, 0, 0, 0, 100);
  b.ring.kick();
  let first = false;
  let second = false;
  const both = Promise.all([
    b.ring.shutdown().then(() => {
      first = true;
    }),
    b.ring.shutdown().then(() => {
      second = true;
    }),
  ]);
  await Promise.resolve();
  await Promise.resolve();
  t.same([first, second], [false, false]);
  t.ok(b.ring.closed);
  await both;
  t.same([first, second], [true, true]);
});

t.test('what is submitted after shutdown, even a whole array of it, goes nowhere', async (t) => {
  const b = bench(t);
  let closed: Promise<void> | undefined;
  b.onComplete = () => {
    closed = b.ring.shutdown();
    for (let i = 0; i < 10_000; i++) b.ring.file(OP_READ, b.file, 0, 512, 0, 0, i);
  };
  b.ring.file(OP_READ, b.file, 0, 512, 0, 0, 0);
  b.ring.kick();
  await b.all(1);
  b.ring.kick();
  await closed;
  b.ring.kick();
  t.equal(b.completed.length, 1);
});
