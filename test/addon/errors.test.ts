// Entries that cannot be carried out: each is answered with its own error, and its neighbours do not notice.

import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { KiB, MiB, patternFile, scratch, sparseFile } from '../support/files.js';
import { addFile } from './open.js';
import {
  ACCEPT,
  CLOSE,
  EBADF,
  EFAULT,
  EINVAL,
  type Entry,
  EOPNOTSUPP,
  openReactor,
  READ,
  RECV,
  SEND,
  SYNC,
  TRIM,
  WRITE,
  ZERO,
} from './reactor.js';
import { connect } from './socket.js';

t.test('operations on a number that is no file answer EBADF', async (t) => {
  const reactor = openReactor(t);
  const file = addFile(t, reactor, sparseFile(join(scratch(t), 'f'), MiB), false);
  t.equal(reactor.native.removeFile(file), 0);
  for (const target of [file, file + 1, -1, 2 ** 31 - 1, -(2 ** 31)]) {
    const entries = [READ, WRITE, SYNC, TRIM, ZERO].map((op) => ({ op, target, length: 512 }));
    t.same(await reactor.run(...entries), new Array(5).fill(EBADF), `file ${target}`);
  }
  t.equal(reactor.native.removeFile(file), EBADF, 'removing it again');
});

t.test('operations on a number that is no connection or listener answer EBADF', async (t) => {
  const reactor = openReactor(t);
  for (const target of [0, -1, 7, 2 ** 31 - 1]) {
    const entries = [RECV, SEND, ACCEPT, CLOSE].map((op) => ({ op, target, length: 512 }));
    t.same(await reactor.run(...entries), new Array(4).fill(EBADF), `number ${target}`);
  }
  t.equal(reactor.native.removeListener(0), EBADF);
  t.equal(reactor.native.listenerPort(0), 0);
  t.equal(reactor.native.peerName(-1), '');
  t.equal(reactor.native.detach(0), EBADF);
  t.equal(reactor.native.adopt(-1), EBADF);
});

t.test('an operation that does not exist answers EINVAL', async (t) => {
  const reactor = openReactor(t);
  t.same(await reactor.run({ op: 0 }, { op: 1000 }, { op: 0xffffffff }), [EINVAL, EINVAL, EINVAL]);
});

t.test('a buffer that is not wholly in memory answers EFAULT', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 64 * KiB, 1);
  const reactor = openReactor(t, { memoryBytes: MiB });
  const file = addFile(t, reactor, path, false);
  const outside: [number, number][] = [
    [MiB, 1],
    [MiB - 511, 512],
    [-1, 512],
    [0, MiB + 1],
    [2 ** 52, 512],
    [Number.POSITIVE_INFINITY, 512],
    [Number.NaN, 512],
    [512, Number.POSITIVE_INFINITY],
  ];
  for (const [buffer, length] of outside) {
    const entries = [READ, WRITE].map((op) => ({ op, target: file, buffer, length }));
    const results = await reactor.run(...entries);
    t.ok(
      results.every((result) => result === EFAULT || (result === EINVAL && !Number.isFinite(length))),
      `[${buffer}, +${length}) answers ${results}`,
    );
  }
  t.ok(readFileSync(path).equals(readFileSync(patternFile(join(scratch(t), 'g'), 64 * KiB, 1))));
});

t.test('offsets and lengths that are no position in a file answer EINVAL', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 64 * KiB, 1);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, false);
  const wrong = [
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    1e300,
    2 ** 63,
    2 ** 64,
    2 ** 53 + 2,
  ];
  for (const value of wrong) {
    const entries: Entry[] = [READ, WRITE, TRIM, ZERO].map((op) => ({
      op,
      target: file,
      length: 512,
      offset: value,
    }));
    entries.push(...[TRIM, ZERO].map((op) => ({ op, target: file, length: value })));
    t.same(await reactor.run(...entries), new Array(entries.length).fill(EINVAL), `${value}`);
  }
});

t.test('direct I/O that is not aligned answers EINVAL', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 64 * KiB, 1);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, true);
  const results = await reactor.run(
    { op: READ, target: file, length: 100 },
    { op: READ, target: file, length: 512, offset: 1 },
    { op: WRITE, target: file, length: 511 },
  );
  t.same(results, [EINVAL, EINVAL, EINVAL]);
});

t.test(
  'an entry that the kernel refuses does not disturb its neighbours, wherever in the batch it stands',
  async (t) => {
    const path = patternFile(join(scratch(t), 'f'), MiB, 2);
    const reactor = openReactor(t);
    const file = addFile(t, reactor, path, true);
    // No descriptor has this number: io_submit itself answers EBADF, at that entry.
    const closed = reactor.native.addFile(1_000_000, true, false);
    for (const bad of [[0], [31], [15], [0, 1, 2, 30, 31], Array.from({ length: 32 }, (_, i) => i)]) {
      const entries = Array.from({ length: 32 }, (_, i): Entry => {
        const at = i * 4096;
        if (!bad.includes(i)) return { op: READ, target: file, buffer: at, length: 4096, offset: at };
        return i % 2 === 0
          ? { op: READ, target: closed, buffer: at, length: 4096, offset: at }
          : { op: READ, target: file, buffer: at, length: 4096, offset: 1 };
      });
      reactor.bytes.fill(0xee);
      const results = await reactor.run(...entries);
      const expected = entries.map((_, i) => (!bad.includes(i) ? 4096 : i % 2 === 0 ? EBADF : EINVAL));
      t.same(results, expected, `bad entries at ${bad.join(' ')}`);
      const content = readFileSync(path);
      const wrong = entries.findIndex(
        (_, i) =>
          !bad.includes(i) &&
          !reactor.bytes
            .subarray(i * 4096, i * 4096 + 4096)
            .equals(content.subarray(i * 4096, i * 4096 + 4096)),
      );
      t.equal(wrong, -1, 'the others brought their bytes');
    }
  },
);

t.test('RECV and SEND outside of memory or of nothing answer EFAULT', async (t) => {
  const reactor = openReactor(t, { memoryBytes: MiB });
  const { connection } = await connect(t, reactor);
  const entries: Entry[] = [];
  for (const op of [RECV, SEND]) {
    entries.push(
      { op, target: connection, buffer: MiB - 1, length: 2 },
      { op, target: connection, buffer: 0, length: 0 },
      { op, target: connection, buffer: 0, length: Number.NaN },
      { op, target: connection, buffer: -5, length: 2 },
      { op, target: connection, buffer: 0, length: 2, auxBuffer: MiB, auxLength: 1 },
      { op, target: connection, buffer: 0, length: 2, auxBuffer: 0, auxLength: -1 },
    );
  }
  // Fractions are nobody's intention; what matters is that nothing hangs on a piece of zero bytes.
  entries.push({ op: SEND, target: connection, length: 0.6, auxLength: 0.6 });
  t.same(await reactor.run(...entries), new Array(entries.length).fill(EFAULT));
});

t.test('what has no fallocate answers EOPNOTSUPP, whatever the kernel calls it', async (t) => {
  const fd = openSync('/dev/null', 'r+');
  const reactor = openReactor(t);
  const file = reactor.native.addFile(fd, false, false);
  t.same(
    await reactor.run({ op: TRIM, target: file, length: 4096 }, { op: ZERO, target: file, length: 4096 }),
    [EOPNOTSUPP, EOPNOTSUPP],
  );
  await reactor.close();
  closeSync(fd);
});
