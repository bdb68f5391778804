// How requests gather while their client has replies to read: the policy alone, in C++, and what it must not do to a socket.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { RING_CELLS, RING_READER_WAITS } from '../../src/engine/ring-counters.js';
import { assertWalk } from '../support/cpp.js';
import { patternFile, scratch } from '../support/files.js';
import { addFile } from './open.js';
import { type Entry, KiB, MiB, openReactor, type RawReactor, READ, RECV, SEND, SYNC } from './reactor.js';
import { type Connected, connect, readExactly } from './socket.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

t.test('the mark follows what lies unread, and what comes too late is not waited for', async (t) => {
  const parts = ['gather', 'read_groups', 'busy_poll', 'sockets'].map((part) => `../../addon/${part}.cc`);
  const sources = ['gather.cc', ...parts].map(here);
  assertWalk(t, sources);
});

const REPLY: Omit<Entry, 'target'> = { op: SEND, buffer: 0, length: 4 * KiB };
/** Some 200 KiB as the kernel counts them: more than twice what a client must have unread. */
const REPLIES = 40;

/** A reactor, and how often it has waited for a reader. */
function open(t: Test): { reactor: RawReactor; waits: () => number } {
  const counters = new Float64Array(new SharedArrayBuffer(RING_CELLS * 8));
  return { reactor: openReactor(t, { counters }), waits: () => counters[RING_READER_WAITS]! };
}

/** Lets `act` happen in the turn in which bytes from the peer have come. */
async function inTurn(reactor: RawReactor, { connection, peer }: Connected, act: () => void): Promise<void> {
  const received = reactor.put({ op: RECV, target: connection, buffer: MiB, length: KiB });
  reactor.submit();
  const turn = new Promise<void>((resolve) => {
    reactor.onTurn = () => {
      if (!reactor.done.some(({ tag }) => tag === received)) return;
      reactor.onTurn = undefined;
      act();
      resolve();
    };
  });
  peer.write('request');
  await turn;
  // The turn's end is where the reactor waits for the reader.
  await new Promise((resolve) => setImmediate(resolve));
}

/**
 * The peer gets many replies, which it leaves unread, then asks once more and gets a single one, and `besides`: now the reactor
 * waits for it to read, if it has not done so in vain too often lately.
 */
async function answer(
  reactor: RawReactor,
  connected: Connected,
  besides: readonly Entry[] = [],
  atLast = () => {},
): Promise<number[]> {
  const { connection } = connected;
  let tags: number[] = [];
  await inTurn(reactor, connected, () => {
    for (let i = 0; i < REPLIES - 1; i++) reactor.put({ ...REPLY, target: connection });
    reactor.submit();
  });
  await inTurn(reactor, connected, () => {
    reactor.put({ ...REPLY, target: connection });
    tags = besides.map((entry) => reactor.put(entry));
    reactor.submit();
    atLast();
  });
  return tags;
}

t.test('a socket with a low mark takes as much as one without', async (t) => {
  const { reactor, waits } = open(t);
  const connected = await connect(t, reactor);
  // On a busy machine a turn may take so long that the reactor returns at its end.
  for (let round = 0; round < 20; round++) {
    await answer(reactor, connected);
    if (waits() > 0) break;
    await readExactly(connected.peer, REPLIES * 4 * KiB);
  }
  t.ok(waits() > 0, 'there is a mark');
  const length = 3 * MiB;
  const [sent] = await reactor.run({ op: SEND, target: connected.connection, buffer: 0, length });
  t.equal(sent, length, 'nobody has read a byte of it');
  const all = await readExactly(connected.peer, REPLIES * 4 * KiB + length);
  t.equal(all.length, REPLIES * 4 * KiB + length);
});

t.test('others are served while one client does not read its replies', async (t) => {
  const { reactor, waits } = open(t);
  const stuck = await connect(t, reactor);
  const other = await connect(t, reactor);
  for (let round = 0; round < 20; round++) {
    await answer(reactor, stuck);
    await pingPong(t, reactor, other, round);
    await readExactly(stuck.peer, REPLIES * 4 * KiB);
  }
  t.ok(waits() >= 4, `${waits()} waits`);
});

/** A byte to the reactor and one back. */
async function pingPong(t: Test, reactor: RawReactor, { connection, peer }: Connected, value: number) {
  peer.write(Buffer.of(value));
  t.equal(await reactor.one({ op: RECV, target: connection, buffer: MiB, length: 1 }), 1);
  t.equal(reactor.bytes[MiB], value);
  await reactor.one({ op: SEND, target: connection, buffer: MiB, length: 1 });
  t.equal((await readExactly(peer, 1))[0], value);
}

t.test('requests that lie there when the reactor begins to wait for the reader are received', async (t) => {
  const { reactor, waits } = open(t);
  const connected = await connect(t, reactor);
  const { connection, peer } = connected;
  for (let round = 0; round < 50; round++) {
    const next = { op: RECV, target: connection, buffer: MiB, length: KiB };
    // Written within the turn, and received in none: the socket is known to be empty.
    const [tag] = await answer(reactor, connected, [next], () => peer.write('next'));
    t.equal(await reactor.result(tag!), 'next'.length, 'though nothing is read');
    await readExactly(peer, REPLIES * 4 * KiB);
  }
  t.ok(waits() >= 4, `${waits()} waits`);
});

t.test('I/O that ends while the reactor waits for the reader is not forgotten', async (t) => {
  const { reactor, waits } = open(t);
  const connected = await connect(t, reactor);
  const path = patternFile(join(scratch(t), 'disk'), 16 * MiB, 1);
  const file = addFile(t, reactor, path, true);
  await reactor.one({ op: SYNC, target: file });
  for (let round = 0; round < 50; round++) {
    const read = { op: READ, target: file, buffer: 2 * MiB, length: 64 * KiB, offset: round * 256 * KiB };
    const [tag] = await answer(reactor, connected, [read]);
    t.equal(await reactor.result(tag!), 64 * KiB, 'though nobody reads and nothing else happens');
    await readExactly(connected.peer, REPLIES * 4 * KiB);
  }
  t.ok(waits() >= 4, `${waits()} waits`);
});
