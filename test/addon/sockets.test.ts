// Listeners and connections: how they come, what arrives on them, and how they end.

import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { KiB, MiB, pattern, scratch } from '../support/files.js';
import { run } from '../support/programs.js';
import {
  ACCEPT,
  CLOSE,
  DISARM,
  EBADF,
  EBUSY,
  ECANCELED,
  ECONNRESET,
  EINVAL,
  openReactor,
  RECV,
  SEND,
} from './reactor.js';
import { connect, connectTo, readExactly } from './socket.js';

const EADDRINUSE = -98;
const ENAMETOOLONG = -36;

const descriptors = () => readdirSync('/proc/self/fd').length;

for (const host of ['127.0.0.1', '::1']) {
  t.test(`a listener on ${host} accepts, and tells its port and its peers`, async (t) => {
    const reactor = openReactor(t);
    const listener = reactor.native.listenTcp(host, 0, 16);
    t.ok(listener >= 0);
    const port = reactor.native.listenerPort(listener);
    t.ok(port > 0);
    const all = await connectTo(t, reactor, listener, 3, () => createConnection({ host, port }));
    for (const { connection, peer } of all) {
      const address = host.includes(':') ? `[${host}]` : host;
      t.equal(reactor.native.peerName(connection), `${address}:${peer.localPort}`);
    }
    t.equal(new Set(all.map(({ connection }) => connection)).size, 3, 'each has its own number');
    t.equal(reactor.native.listenTcp(host, port, 16), EADDRINUSE);
  });
}

for (const host of ['127.0.0.1', '::1']) {
  t.test(`H19: a connection accepted on ${host} sends without delay (TCP_NODELAY)`, async (t) => {
    const reactor = openReactor(t);
    const listener = reactor.native.listenTcp(host, 0, 16);
    const port = reactor.native.listenerPort(listener);
    await connectTo(t, reactor, listener, 2, () => createConnection({ host, port, noDelay: false }));
    const script = fileURLToPath(new URL('nodelay.py', import.meta.url));
    const result = await run('/usr/bin/python3', ['-B', script, `${process.pid}`, `${port}`]);
    t.equal(result.code, 0, 'the kernel can be asked', { output: result.stderr });
    const [first, second, ...more] = JSON.parse(result.stdout || '[]') as number[];
    t.ok(first, 'the first connection does');
    t.ok(second, 'so does the second');
    t.equal(more.length, 0, 'and there are no others');
  });
}

t.test('a listener on a Unix socket accepts', async (t) => {
  const path = join(scratch(t), 's');
  const reactor = openReactor(t);
  const listener = reactor.native.listenUnix(path, 16);
  const [connected] = await connectTo(t, reactor, listener, 1, () => createConnection(path));
  t.equal(reactor.native.peerName(connected!.connection), 'unix');
  t.equal(reactor.native.listenerPort(listener), 0);
  t.equal(reactor.native.listenUnix(path, 16), EADDRINUSE);
});

t.test('addresses that are none are refused, and no descriptor is left open', async (t) => {
  const reactor = openReactor(t);
  const before = descriptors();
  t.equal(reactor.native.listenTcp('localhost', 0, 16), EINVAL, 'a name');
  t.equal(reactor.native.listenTcp('', 0, 16), EINVAL);
  t.equal(reactor.native.listenTcp('127.0.0.1', 65_536 + 10_809, 16), EINVAL, 'a port above 65535');
  t.equal(reactor.native.listenTcp('127.0.0.1', -1, 16), EINVAL);
  t.equal(reactor.native.listenUnix('', 16), ENAMETOOLONG);
  t.equal(reactor.native.listenUnix(`/tmp/${'x'.repeat(200)}`, 16), ENAMETOOLONG);
  t.equal(reactor.native.listenUnix('/nonexistent/s', 16), -2);
  t.equal(descriptors(), before);
});

t.test('connections that came before ACCEPT are accepted one by one', async (t) => {
  const path = join(scratch(t), 's');
  const reactor = openReactor(t);
  const listener = reactor.native.listenUnix(path, 64);
  const peers = Array.from({ length: 20 }, () => createConnection(path));
  t.teardown(() => {
    for (const peer of peers) peer.destroy();
  });
  await Promise.all(peers.map((peer) => once(peer, 'connect')));
  const numbers = new Set<number>();
  for (let i = 0; i < 20; i++) numbers.add(await reactor.one({ op: ACCEPT, target: listener }));
  t.equal(numbers.size, 20);
  const pending = reactor.put({ op: ACCEPT, target: listener });
  reactor.submit();
  await sleep(20);
  t.notOk(
    reactor.done.some(({ tag }) => tag === pending),
    'and then ACCEPT waits',
  );
});

t.test('a second ACCEPT or RECV while one waits answers EBUSY, and the first goes on', async (t) => {
  const reactor = openReactor(t);
  const { connection, peer, listener } = await connect(t, reactor);
  const receive = { op: RECV, target: connection, length: 100 };
  const [first, second] = [reactor.put(receive), reactor.put(receive)];
  const [accept, again] = [
    reactor.put({ op: ACCEPT, target: listener }),
    reactor.put({ op: ACCEPT, target: listener }),
  ];
  reactor.submit();
  t.equal(await reactor.result(second), EBUSY);
  t.equal(await reactor.result(again), EBUSY);
  peer.write('x');
  t.equal(await reactor.result(first), 1);
  reactor.native.removeListener(listener);
  t.equal(await reactor.result(accept), ECANCELED);
});

t.test('removing a listener completes its ACCEPT without anything else having to happen', async (t) => {
  const reactor = openReactor(t);
  const listener = reactor.native.listenTcp('127.0.0.1', 0, 16);
  const port = reactor.native.listenerPort(listener);
  const accept = reactor.put({ op: ACCEPT, target: listener });
  reactor.submit();
  t.equal(reactor.native.removeListener(listener), 0);
  t.equal(await reactor.result(accept), ECANCELED);
  t.equal(await reactor.one({ op: ACCEPT, target: listener }), EBADF);
  const refused = createConnection(port, '127.0.0.1');
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ECONNREFUSED');
});

for (const tcp of [false, true]) {
  const over = tcp ? 'over TCP' : 'over a Unix socket';

  t.test(`RECV takes what is there, up to its length, ${over}`, async (t) => {
    const reactor = openReactor(t);
    const { connection, peer } = await connect(t, reactor, { tcp });
    const data = pattern(100_000, 1);
    peer.write(data);
    const got: Buffer[] = [];
    for (let bytes = 0; bytes < data.length; ) {
      const n = await reactor.one({ op: RECV, target: connection, buffer: 7, length: 3000 });
      t.ok(n > 0 && n <= 3000);
      got.push(Buffer.from(reactor.bytes.subarray(7, 7 + n)));
      bytes += n;
    }
    t.ok(Buffer.concat(got).equals(data));
  });

  t.test(`RECV puts the bytes past its length into the second buffer, ${over}`, async (t) => {
    const reactor = openReactor(t);
    const { connection, peer } = await connect(t, reactor, { tcp });
    const data = pattern(1000, 2);
    peer.write(data);
    await sleep(20);
    const entry = { op: RECV, target: connection, buffer: 0, length: 600, auxBuffer: 8192, auxLength: 300 };
    t.equal(await reactor.one(entry), 900);
    t.ok(reactor.bytes.subarray(0, 600).equals(data.subarray(0, 600)));
    t.ok(reactor.bytes.subarray(8192, 8492).equals(data.subarray(600, 900)));
    t.equal(reactor.bytes[600], 0, 'nothing past the first');
    t.equal(reactor.bytes[8492], 0, 'nor past the second');
    t.equal(await reactor.one(entry), 100, 'and the rest comes with the next');
  });

  t.test(`what was sent before the end arrives before the end, ${over}`, async (t) => {
    const reactor = openReactor(t);
    const { connection, peer } = await connect(t, reactor, { tcp });
    peer.end('last words');
    await sleep(20);
    const receive = { op: RECV, target: connection, length: 4 };
    const large = { op: RECV, target: connection, length: 4096 };
    t.equal(await reactor.one(receive), 4);
    t.equal(await reactor.one(large), 6, 'a short read');
    t.equal(await reactor.one(large), 0, 'and then the end');
    t.equal(await reactor.one(large), 0, 'as often as one asks');
    t.equal(await reactor.one({ op: SEND, target: connection, length: 5 }), 5, 'the other way is still open');
    t.equal((await readExactly(peer, 5)).length, 5);
  });

  t.test(`an end that comes while RECV waits completes it with 0, ${over}`, async (t) => {
    const reactor = openReactor(t);
    const { connection, peer } = await connect(t, reactor, { tcp });
    const tag = reactor.put({ op: RECV, target: connection, length: 4096 });
    reactor.submit();
    await sleep(10);
    peer.end();
    t.equal(await reactor.result(tag), 0);
  });

  t.test(`a thousand small pieces, each received as it comes, are all there, ${over}`, async (t) => {
    const reactor = openReactor(t);
    const { connection, peer } = await connect(t, reactor, { tcp });
    const data = pattern(50_000, 3);
    let sent = 0;
    const sender = setInterval(() => {
      for (let i = 0; i < 10 && sent < data.length; i++) {
        peer.write(data.subarray(sent, sent + 50));
        sent += 50;
      }
      if (sent === data.length) clearInterval(sender);
    }, 0);
    const got: Buffer[] = [];
    for (let bytes = 0; bytes < data.length; ) {
      const n = await reactor.one({ op: RECV, target: connection, length: 64 * KiB });
      got.push(Buffer.from(reactor.bytes.subarray(0, n)));
      bytes += n;
    }
    t.ok(Buffer.concat(got).equals(data));
  });
}

t.test('a reset completes RECV with ECONNRESET', async (t) => {
  const reactor = openReactor(t);
  const { connection, peer } = await connect(t, reactor, { tcp: true });
  const tag = reactor.put({ op: RECV, target: connection, length: 4096 });
  reactor.submit();
  peer.resetAndDestroy();
  t.equal(await reactor.result(tag), ECONNRESET);
});

t.test('nothing is read from a connection on which no RECV waits', async (t) => {
  const reactor = openReactor(t);
  const { connection, peer } = await connect(t, reactor);
  peer.write(pattern(16 * MiB, 4));
  await sleep(50);
  t.ok(peer.writableLength > 8 * MiB, 'the rest stays with the sender');
  t.equal(reactor.done.filter(({ op }) => op === RECV).length, 0);
  t.equal(await reactor.one({ op: CLOSE, target: connection }), 0);
});

t.test('DISARM completes a waiting RECV with ECANCELED, and the next RECV gets every byte', async (t) => {
  const reactor = openReactor(t);
  const { connection, peer } = await connect(t, reactor);
  const first = reactor.put({ op: RECV, target: connection, buffer: 0, length: 100 });
  reactor.submit();
  // The bytes are in the socket, and the reactor has had no turn to receive them.
  peer.write('abcdef');
  reactor.put({ op: DISARM, target: connection });
  reactor.submit();
  t.equal(await reactor.result(first), ECANCELED);
  t.equal(await reactor.one({ op: RECV, target: connection, buffer: 4096, length: 100 }), 6);
  t.equal(reactor.bytes.toString('latin1', 4096, 4102), 'abcdef');
  t.ok(
    reactor.bytes.subarray(0, 100).every((byte) => byte === 0),
    'nothing went to the first buffer',
  );
});

t.test('DISARM leaves a RECV alone that has just completed, and one that is not there', async (t) => {
  const reactor = openReactor(t);
  const { connection, peer } = await connect(t, reactor);
  reactor.put({ op: DISARM, target: connection });
  reactor.put({ op: DISARM, target: 77 });
  t.equal(reactor.submit(), 0, 'and completes nothing itself');
  peer.write('abcdef');
  // Takes one byte, so that the reactor knows of the others.
  t.equal(await reactor.one({ op: RECV, target: connection, length: 1 }), 1);
  const second = reactor.put({ op: RECV, target: connection, length: 100 });
  reactor.push();
  reactor.put({ op: DISARM, target: connection });
  reactor.submit();
  t.equal(await reactor.result(second), 5);
  t.equal(reactor.done.filter(({ tag }) => tag === second).length, 1, 'once');
});

t.test('CLOSE completes what waits on the connection with ECANCELED, and then itself', async (t) => {
  const reactor = openReactor(t);
  const { connection, peer } = await connect(t, reactor);
  // More than the socket takes, so that some must stay.
  const sends = Array.from({ length: 20 }, () =>
    reactor.put({ op: SEND, target: connection, buffer: 0, length: 2 * MiB }),
  );
  const receive = reactor.put({ op: RECV, target: connection, length: 4096 });
  reactor.submit();
  await sleep(20);
  const sentBefore = reactor.done.filter(({ op }) => op === SEND).length;
  t.ok(sentBefore < 20, 'the socket is full');
  const close = reactor.put({ op: CLOSE, target: connection });
  const late = reactor.put({ op: SEND, target: connection, length: 10 });
  reactor.submit();
  t.equal(await reactor.result(close), 0);
  t.equal(await reactor.result(late), EBADF, 'what comes after CLOSE finds no connection');
  t.equal(await reactor.result(receive), ECANCELED);
  const results = await Promise.all(sends.map((tag) => reactor.result(tag)));
  t.same(results.slice(sentBefore), new Array(20 - sentBefore).fill(ECANCELED));
  const order = reactor.done.map(({ tag }) => tag);
  const closedAt = order.indexOf(close);
  t.ok(
    [receive, ...sends].every((tag) => order.indexOf(tag) < closedAt),
    'CLOSE completes last',
  );
  peer.destroy();
});

t.test('what was queued in the same batch as CLOSE still leaves', async (t) => {
  const reactor = openReactor(t);
  const { connection, peer } = await connect(t, reactor);
  reactor.bytes.write('goodbye', 0);
  const results = await reactor.run(
    { op: SEND, target: connection, buffer: 0, length: 7 },
    { op: CLOSE, target: connection },
  );
  t.same(results, [7, 0]);
  t.equal((await readExactly(peer, 7)).toString(), 'goodbye');
});

t.test("a closed connection's number is given to a later one, which has nothing of the first", async (t) => {
  const path = join(scratch(t), 's');
  const reactor = openReactor(t);
  const listener = reactor.native.listenUnix(path, 64);
  const before = descriptors();
  const all = await connectTo(t, reactor, listener, 8, () => createConnection(path));
  const numbers = all.map(({ connection }) => connection);
  for (const i of [6, 1, 3]) {
    all[i]!.peer.write('left over');
    await reactor.one({ op: CLOSE, target: numbers[i]! });
  }
  const later = await connectTo(t, reactor, listener, 3, () => createConnection(path));
  t.same(later.map(({ connection }) => connection).sort(), [1, 3, 6].map((i) => numbers[i]!).sort());
  for (const { connection, peer } of later) {
    peer.write('new');
    t.equal(await reactor.one({ op: RECV, target: connection, length: 100 }), 3);
  }
  for (const { peer } of [...all, ...later]) peer.destroy();
  for (const { connection } of [all[0]!, all[2]!, all[4]!, all[5]!, all[7]!, ...later]) {
    t.equal(await reactor.one({ op: CLOSE, target: connection }), 0);
  }
  await sleep(20);
  t.equal(descriptors(), before, 'no descriptor is left open');
});

t.test('five hundred connections at once each get their own bytes', async (t) => {
  const path = join(scratch(t), 's');
  const reactor = openReactor(t);
  const listener = reactor.native.listenUnix(path, 512);
  const all = await connectTo(t, reactor, listener, 500, () => createConnection(path));
  for (const [i, { peer }] of all.entries()) peer.write(`to ${i}`);
  const results = await reactor.run(
    ...all.map(({ connection }, i) => ({ op: RECV, target: connection, buffer: i * 16, length: 16 })),
  );
  const wrong = results.filter((n, i) => reactor.bytes.toString('latin1', i * 16, i * 16 + n) !== `to ${i}`);
  t.same(wrong, []);
});
