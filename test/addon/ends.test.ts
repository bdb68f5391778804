// What the addon tells of a stream that has ended and is still to be received; and memory that goes back.

import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { KiB, MiB, pattern } from '../support/files.js';
import { EAGAIN, EBADF, EFAULT, EINVAL, openReactor, RECV } from './reactor.js';
import { connect } from './socket.js';

/** Asks until the answer is another one than that the stream is open. */
async function ended(ask: () => number): Promise<number> {
  for (;;) {
    const answer = ask();
    if (answer !== EAGAIN) return answer;
    await new Promise(setImmediate);
  }
}

for (const tcp of [false, true]) {
  const where = tcp ? 'TCP' : 'a Unix socket';
  for (const length of [0, 1, 31, 32, 33, 5000, 50 * KiB]) {
    t.test(`over ${where}, the end of ${length} unread bytes is seen, and they stay unread`, async (t) => {
      const reactor = openReactor(t);
      const { connection, peer } = await connect(t, reactor, { tcp });
      const tail = Buffer.alloc(32, 0xee);
      t.equal(reactor.native.peekEnd(connection, tail), EAGAIN, 'more may come');
      const bytes = pattern(length, 7);
      for (let at = 0; at < length; at += 30_000) peer.write(bytes.subarray(at, at + 30_000));
      peer.end();
      // Closed from this side too: over a Unix socket that is a hang-up, over TCP a FIN.
      await once(peer, 'finish');
      t.equal(await ended(() => reactor.native.peekEnd(connection, tail)), length);
      const end = bytes.subarray(Math.max(0, length - 32));
      t.ok(tail.subarray(32 - end.length).equals(end), 'the last bytes');
      t.ok(
        tail.subarray(0, 32 - end.length).every((byte) => byte === 0),
        'behind zeroes',
      );
      let got = 0;
      while (got < length) {
        got += await reactor.one({ op: RECV, target: connection, buffer: got, length: MiB });
      }
      t.ok(reactor.bytes.subarray(0, length).equals(bytes));
      t.equal(await reactor.one({ op: RECV, target: connection, length: 10 }), 0);
    });
  }

  t.test(`over ${where}, a client that is gone is seen as one that has closed`, async (t) => {
    const reactor = openReactor(t);
    const { connection, peer } = await connect(t, reactor, { tcp });
    const tail = Buffer.alloc(32);
    if (tcp) peer.resetAndDestroy();
    else peer.destroy();
    t.equal(await ended(() => reactor.native.peekEnd(connection, tail)), 0);
  });
}

t.test('what is no connection and no array is refused', async (t) => {
  const reactor = openReactor(t);
  const { connection } = await connect(t, reactor);
  t.equal(reactor.native.peekEnd(77, Buffer.alloc(32)), EBADF);
  t.equal(reactor.native.peekEnd(-1, Buffer.alloc(32)), EBADF);
  t.equal(reactor.native.peekEnd(connection, {} as Uint8Array), EINVAL);
  t.equal(reactor.native.peekEnd(connection, undefined as unknown as Uint8Array), EINVAL);
});

t.test(
  'memory that is released comes back as zeroes, whole pages of it, and nothing around it',
  async (t) => {
    const { native, bytes } = openReactor(t);
    bytes.fill(1);
    t.equal(native.release(4096 + 1, 8192 + 4095), 0);
    t.equal(bytes[8191], 1);
    t.ok(bytes.subarray(8192, 16_384).every((byte) => byte === 0));
    t.equal(bytes[16_384], 1);
    t.equal(native.release(100, 200), 0, 'less than a page is nothing');
    t.equal(bytes[150], 1);
    for (const [offset, length] of [
      [-4096, 4096],
      [0, 5 * MiB],
      [4 * MiB, 4096],
      [0, -1],
      [Number.NaN, 1],
    ])
      t.equal(native.release(offset!, length!), EFAULT, `${length} bytes at ${offset}`);
  },
);

/** KiB of this process, of what a fork leaves out, in which huge pages are not allowed. */
function withoutHugePagesKiB(): number {
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const flagged = mappings.filter((text) => /^VmFlags:(?=.* dc\b).* nh\b/m.test(text));
  return flagged.reduce((sum, text) => sum + Number(/^Size:\s+(\d+) kB$/m.exec(text)?.[1]), 0);
}

t.test('huge pages are allowed and not, by whole ones', async (t) => {
  const { native, bytes } = openReactor(t);
  t.equal(bytes.length, 4 * MiB);
  if (!existsSync('/sys/kernel/mm/transparent_hugepage')) {
    t.equal(native.allowHugePages(0, 4 * MiB, false), EINVAL, 'this kernel knows none');
    return;
  }
  t.equal(withoutHugePagesKiB(), 0);
  t.equal(native.allowHugePages(2 * MiB, 2 * MiB, false), 0);
  t.equal(withoutHugePagesKiB(), 2 * KiB, 'the second one is not');
  t.equal(native.allowHugePages(1, 4 * MiB - 1, false), 0);
  t.equal(withoutHugePagesKiB(), 2 * KiB, 'nor is the first one touched by a part of it');
  t.equal(native.allowHugePages(0, 4 * MiB, true), 0);
  t.equal(withoutHugePagesKiB(), 0);
  for (const [offset, length] of [
    [-2 * MiB, 2 * MiB],
    [0, 6 * MiB],
    [4 * MiB, 2 * MiB],
    [0, -1],
    [Number.NaN, 1],
  ])
    t.equal(native.allowHugePages(offset!, length!, false), EFAULT, `${length} bytes at ${offset}`);
  const small = openReactor(t, { memoryBytes: MiB });
  t.equal(small.native.allowHugePages(0, 2 * MiB, false), 0, 'there are none in less');
  t.equal(withoutHugePagesKiB(), 0);
});
