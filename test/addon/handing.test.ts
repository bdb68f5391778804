// A connection that is taken out of one reactor and given to another.

import { openSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { KiB, pattern, scratch, sparseFile } from '../support/files.js';
import { ACCEPT, CLOSE, EBADF, EBUSY, openReactor, RECV, SEND } from './reactor.js';
import { connect, readExactly } from './socket.js';

const EPERM = -1;

const sockets = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // the one that the list was read with
    }
  }).length;

for (const tcp of [false, true]) {
  const kind = tcp ? 'TCP' : 'Unix';
  t.test(`a ${kind} connection goes on in the reactor that it is given to`, async (t) => {
    const [first, second] = [openReactor(t), openReactor(t)];
    const { connection, peer } = await connect(t, first, { tcp });
    const name = first.native.peerName(connection);
    const fd = first.native.detach(connection);
    t.ok(fd >= 0);
    const adopted = second.native.adopt(fd);
    t.ok(adopted >= 0);
    t.equal(second.native.peerName(adopted), name);

    const data = pattern(64 * KiB, 7);
    peer.write(data);
    for (let at = 0; at < data.length; ) {
      const entry = { op: RECV, target: adopted, buffer: at, length: data.length - at };
      const count = await second.one(entry);
      t.ok(count > 0);
      at += count;
    }
    t.ok(second.bytes.subarray(0, data.length).equals(data));
    t.equal(await second.one({ op: SEND, target: adopted, length: data.length }), data.length);
    t.ok((await readExactly(peer, data.length)).equals(data));
    t.equal(await second.one({ op: CLOSE, target: adopted }), 0);
  });
}

t.test('what arrived before, between and after is received by the new one', async (t) => {
  const [first, second] = [openReactor(t), openReactor(t)];
  const { connection, peer } = await connect(t, first);
  const write = (text: string) => new Promise((resolve) => peer.write(text, resolve));
  await write('before ');
  // The first reactor has been told that there is something to read.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const fd = first.native.detach(connection);
  await write('between ');
  const adopted = second.native.adopt(fd);
  t.equal(await second.one({ op: RECV, target: adopted, length: 100 }), 15);
  t.equal(second.bytes.toString('latin1', 0, 15), 'before between ');
  const pending = second.put({ op: RECV, target: adopted, length: 100 });
  second.submit();
  await write('after');
  t.equal(await second.result(pending), 5);
});

t.test('a peer that has left meanwhile is found out', async (t) => {
  const [first, second] = [openReactor(t), openReactor(t)];
  const { connection, peer } = await connect(t, first);
  const fd = first.native.detach(connection);
  peer.destroy();
  const adopted = second.native.adopt(fd);
  t.equal(await second.one({ op: RECV, target: adopted, length: 100 }), 0);
});

t.test('a connection with something queued on it stays where it is', async (t) => {
  const reactor = openReactor(t);
  const { connection } = await connect(t, reactor);
  const armed = reactor.put({ op: RECV, target: connection, length: 100 });
  reactor.submit();
  t.equal(reactor.native.detach(connection), EBUSY);
  t.equal(await reactor.one({ op: CLOSE, target: connection }), 0);
  await reactor.result(armed);
  t.equal(reactor.native.detach(connection), EBADF);

  const full = await connect(t, reactor);
  const sends = Array.from({ length: 10 }, () =>
    reactor.put({ op: SEND, target: full.connection, length: 4 << 20 }),
  );
  reactor.submit();
  t.equal(reactor.native.detach(full.connection), EBUSY);
  t.equal(await reactor.one({ op: CLOSE, target: full.connection }), 0);
  for (const tag of sends) await reactor.result(tag);
});

t.test('the number of a connection that is gone is free for another', async (t) => {
  const [first, second] = [openReactor(t), openReactor(t)];
  const { connection } = await connect(t, first);
  second.native.adopt(first.native.detach(connection));
  const next = await connect(t, first);
  t.equal(next.connection, connection);
  t.equal(await first.one({ op: SEND, target: next.connection, length: 5 }), 5);
  t.equal((await readExactly(next.peer, 5)).length, 5);
});

t.test('what is no socket is refused, and closed', async (t) => {
  const reactor = openReactor(t);
  const path = sparseFile(join(scratch(t), 'f'), KiB);
  const fd = openSync(path, 'r');
  t.equal(reactor.native.adopt(fd), EPERM);
  t.throws(() => readlinkSync(`/proc/self/fd/${fd}`), { code: 'ENOENT' });
  t.equal(reactor.native.adopt(1_000_000), EBADF);
});

t.test('a reactor that ends closes what it was given, and no more than that', async (t) => {
  const [first, second] = [openReactor(t), openReactor(t)];
  const { connection, peer, listener } = await connect(t, first);
  const kept = await connect(t, first);
  const before = sockets();
  second.native.adopt(first.native.detach(connection));
  t.equal(sockets(), before);
  const left = new Promise((resolve) => peer.once('end', resolve).resume());
  await second.close();
  await left;
  t.equal(sockets(), before - 1);
  t.equal(await first.one({ op: SEND, target: kept.connection, length: 5 }), 5, 'others go on');
  first.put({ op: ACCEPT, target: listener });
  first.submit();
});
