// SEND: many pieces, full sockets, slow readers and readers that have gone.

import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { KiB, MiB, pattern, scratch } from '../support/files.js';
import { ECANCELED, ECONNRESET, EPIPE, openReactor, RECV, SEND } from './reactor.js';
import { connect, connectTo, readExactly } from './socket.js';

for (const tcp of [false, true]) {
  const over = tcp ? 'over TCP' : 'over a Unix socket';

  t.test(`a SEND's header leaves in front of its data, ${over}`, async (t) => {
    const reactor = openReactor(t);
    const { connection, peer } = await connect(t, reactor, { tcp });
    reactor.bytes.write('abc', 100);
    reactor.bytes.write('defgh', 50);
    const results = await reactor.run(
      { op: SEND, target: connection, auxBuffer: 100, auxLength: 3, buffer: 50, length: 5 },
      { op: SEND, target: connection, auxBuffer: 100, auxLength: 3 },
      { op: SEND, target: connection, buffer: 50, length: 5 },
    );
    t.same(results, [8, 3, 5]);
    t.equal((await readExactly(peer, 16)).toString(), 'abcdefghabcdefgh');
  });

  t.test(`thousands of SENDs in one batch leave in their order, ${over}`, async (t) => {
    const reactor = openReactor(t, { submissionCapacity: 4096 });
    const { connection, peer } = await connect(t, reactor, { tcp });
    const data = pattern(MiB, 1);
    data.copy(reactor.bytes);
    const parts: Buffer[] = [];
    const tags: number[] = [];
    for (let i = 0; i < 4000; i++) {
      const header = (i * 37) % 5000;
      const body = (i * 211) % 500_000;
      const auxLength = i % 33;
      const length = i % 3 === 0 ? 1 + (i % 700) : i % 41 || 1;
      tags.push(
        reactor.put({ op: SEND, target: connection, auxBuffer: header, auxLength, buffer: body, length }),
      );
      parts.push(data.subarray(header, header + auxLength), data.subarray(body, body + length));
    }
    reactor.submit();
    const expected = Buffer.concat(parts);
    const got = await readExactly(peer, expected.length);
    t.ok(got.equals(expected));
    await reactor.result(tags.at(-1)!);
    const order = reactor.done.filter(({ op }) => op === SEND).map(({ tag }) => tag);
    t.same(order, tags, 'and complete in it');
  });

  t.test(`a full socket takes the rest when its reader goes on, in order, ${over}`, async (t) => {
    const reactor = openReactor(t);
    const { connection, peer } = await connect(t, reactor, { tcp });
    const data = pattern(4 * MiB, 2);
    data.copy(reactor.bytes);
    const lengths = Array.from({ length: 64 }, (_, i) => 64 * KiB - i * 13);
    // In several batches, some of them onto a socket that is full already.
    for (let round = 0; round < 8; round++) {
      for (const [i, length] of lengths.entries()) {
        reactor.put({
          op: SEND,
          target: connection,
          buffer: i * 64 * KiB,
          length,
          auxBuffer: round,
          auxLength: 16,
        });
      }
      reactor.submit();
    }
    await sleep(20);
    t.ok(reactor.done.filter(({ op }) => op === SEND).length < 8 * 64, 'the socket is full');
    for (let round = 0; round < 8; round++) {
      for (const [i, length] of lengths.entries()) {
        const got = await readExactly(peer, length + 16);
        const header = data.subarray(round, round + 16);
        const body = data.subarray(i * 64 * KiB, i * 64 * KiB + length);
        if (!got.equals(Buffer.concat([header, body]))) t.fail(`piece ${i} of round ${round} is another`);
        if (i % 16 === 0) await sleep(1);
      }
    }
    await reactor.until(() => reactor.done.filter(({ op }) => op === SEND).length === 8 * 64);
    t.ok(reactor.done.every(({ op, result }) => op !== SEND || result > 0));
  });

  t.test(
    `when the reader is gone, what is queued and what comes later completes with an error, ${over}`,
    async (t) => {
      const reactor = openReactor(t);
      const { connection, peer } = await connect(t, reactor, { tcp });
      const send = { op: SEND, target: connection, buffer: 0, length: 2 * MiB };
      const tags = Array.from({ length: 20 }, () => reactor.put(send));
      reactor.submit();
      await sleep(20);
      if (tcp) peer.resetAndDestroy();
      else peer.destroy();
      const results = await Promise.all(tags.map((tag) => reactor.result(tag)));
      const errors = results.filter((result) => result < 0);
      t.ok(errors.length > 0);
      t.ok(
        errors.every((error) => error === EPIPE || error === ECONNRESET),
        `errors ${[...new Set(errors)]}`,
      );
      t.ok(results.slice(results.findIndex((result) => result < 0)).every((result) => result < 0));
      const late = await reactor.one(send);
      t.ok(late === EPIPE || late === ECONNRESET, `a later one: ${late}`);
      const end = await reactor.one({ op: RECV, target: connection, length: 10 });
      t.ok(end === 0 || end === ECONNRESET, `and RECV: ${end}`);
    },
  );
}

t.test('a reader that is always a little behind does not make the queue grow without end', async (t) => {
  // The queue never runs empty here, so what has been sent must leave it in between. The pieces are small: it is what
  // the queue keeps about each of them that would add up.
  const reactor = openReactor(t, { submissionCapacity: 4096, completionCapacity: 4096 });
  const path = join(scratch(t), 's');
  const listener = reactor.native.listenUnix(path, 16);
  // A reader that uses one buffer all the time, since its garbage would be measured as well.
  let wanted = 0;
  let enough = () => {};
  const callback = (bytes: number) => {
    wanted -= bytes;
    if (wanted <= 0) enough();
    return wanted > 0;
  };
  const onread = { buffer: Buffer.alloc(MiB), callback };
  const [connected] = await connectTo(t, reactor, listener, 1, () => createConnection({ path, onread }));
  const { connection, peer } = connected!;
  const read = (bytes: number) => {
    wanted += bytes;
    const done = new Promise<void>((resolve) => {
      enough = resolve;
    });
    peer.resume();
    return wanted > 0 ? done : undefined;
  };
  const filler = { op: SEND, target: connection, buffer: 0, length: 4 * MiB };
  for (let i = 0; i < 4; i++) reactor.put(filler);
  reactor.submit();
  let sampled = 0;
  for (let round = 0; round < 150; round++) {
    for (let i = 0; i < 4000; i++) reactor.put({ op: SEND, target: connection, buffer: i, length: 64 });
    reactor.put(filler);
    reactor.submit();
    await read(4000 * 64 + 4 * MiB);
    reactor.done.length = 0;
    if (round === 30) sampled = residentOutsideOfHeap();
  }
  const grown = residentOutsideOfHeap() - sampled;
  t.ok(grown < 16 * MiB, `grown by ${Math.round(grown / 1024)} KiB`);
});

t.test(
  'closing the reactor with a full socket loses the rest and does not wait for the reader',
  async (t) => {
    const reactor = openReactor(t);
    const { connection } = await connect(t, reactor);
    for (let i = 0; i < 20; i++) reactor.put({ op: SEND, target: connection, buffer: 0, length: 4 * MiB });
    reactor.submit();
    await reactor.close();
    t.notOk(reactor.done.some(({ result }) => result === ECANCELED));
  },
);

/** What the collector of garbage does, and when, is not the queue's business. */
function residentOutsideOfHeap(): number {
  const { rss, heapTotal } = process.memoryUsage();
  return rss - heapTotal;
}
