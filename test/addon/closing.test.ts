// The end of a reactor: what it waits for, what it leaves behind, and what its methods say afterwards.

import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadAddon } from '../../src/engine/addon.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { addFile } from './open.js';
import { inProcess } from './processes.js';
import { EBUSY, openReactor, RawReactor, READ, SMALL, SYNC, WRITE, ZERO } from './reactor.js';
import { connect } from './socket.js';

t.test('close waits for I/O in flight, calls back once, and reports no more completions', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 256 * MiB);
  const reactor = new RawReactor({ workerThreads: 2 });
  const fd = openSync(path, constants.O_RDWR | constants.O_DIRECT);
  const file = reactor.native.addFile(fd, true, false);
  for (let i = 0; i < 60; i++) {
    reactor.put({ op: WRITE, target: file, buffer: 0, length: MiB, offset: i * 4 * MiB });
    reactor.put({ op: ZERO, target: file, offset: i * 4 * MiB + MiB, length: MiB });
  }
  reactor.put({ op: SYNC, target: file });
  reactor.submit();
  const before = reactor.done.length;
  t.ok(before < 121, 'some of it is in flight');
  let calls = 0;
  await new Promise<void>((resolve) => {
    reactor.native.close(() => {
      calls++;
      resolve();
    });
  });
  // Nothing uses the descriptor any more: were it closed with writes under way, they would show up in what opens next.
  closeSync(fd);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(calls, 1);
  t.equal(reactor.done.length, before);
  t.equal(reactor.turns, 0);
});

t.test('close does not hold up the event loop', async (t) => {
  // io_destroy takes tens of milliseconds, whatever the machine does; the best of several tells that from other delays.
  let heldMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const reactor = new RawReactor();
    const start = process.hrtime.bigint();
    const closed = reactor.close();
    heldMs = Math.min(heldMs, Number(process.hrtime.bigint() - start) / 1e6);
    await closed;
  }
  t.ok(heldMs < 5, `${heldMs.toFixed(1)} ms`);
});

t.test('close may be called from within onTurn', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, false);
  reactor.put({ op: ZERO, target: file, length: MiB });
  reactor.submit();
  await reactor.until(() => reactor.turns > 0);
  const turns = reactor.turns;
  await reactor.close();
  t.equal(reactor.turns, turns);
});

t.test('after close every method throws an error that says so', async (t) => {
  const reactor = new RawReactor();
  const { native } = reactor;
  const closed = reactor.close();
  const calls: Record<string, () => unknown> = {
    submit: () => native.submit(0),
    push: () => native.push(0),
    wake: () => native.wake(),
    close: () => native.close(),
    addFile: () => native.addFile(0, false, false),
    removeFile: () => native.removeFile(0),
    listenTcp: () => native.listenTcp('127.0.0.1', 0, 1),
    listenUnix: () => native.listenUnix('/tmp/never', 1),
    listenerPort: () => native.listenerPort(0),
    removeListener: () => native.removeListener(0),
    peerName: () => native.peerName(0),
    detach: () => native.detach(0),
    adopt: () => native.adopt(-1),
  };
  for (const when of ['while it closes', 'when it is closed']) {
    for (const [name, call] of Object.entries(calls)) {
      t.throws(call, { message: 'the reactor is closed' }, `${name} ${when}`);
    }
    await closed;
  }
});

t.test("memory can still be read after close; it is the views' as much as the reactor's", async (t) => {
  const reactor = new RawReactor();
  reactor.bytes.fill(0x5a);
  await reactor.close();
  t.ok(reactor.bytes.every((byte) => byte === 0x5a));
});

t.test('sizes that are none are refused by name', async (t) => {
  const { Reactor } = loadAddon();
  for (const name of [
    'memoryBytes',
    'queueDepth',
    'submissionCapacity',
    'completionCapacity',
    'workerThreads',
  ]) {
    for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, undefined, '64']) {
      const options = { ...SMALL, [name]: value };
      t.throws(
        () => new Reactor(options, () => {}),
        { name: 'RangeError', message: new RegExp(`^${name} `) },
        `${value}`,
      );
    }
  }
});

t.test('a file whose I/O is in flight keeps its number', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 16 * MiB);
  const reactor = openReactor(t);
  const file = addFile(t, reactor, path, true);
  const tags = [
    reactor.put({ op: ZERO, target: file, length: 16 * MiB }),
    reactor.put({ op: WRITE, target: file, length: MiB }),
    reactor.put({ op: READ, target: file, length: MiB }),
    reactor.put({ op: SYNC, target: file }),
  ];
  reactor.submit();
  t.equal(reactor.native.removeFile(file), EBUSY);
  for (const tag of tags) await reactor.result(tag);
  t.equal(reactor.native.removeFile(file), 0);
  t.equal(reactor.native.addFile(0, false, false), file, 'and gives it to the next file then');
});

t.test('a thousand reactors, opened, used and closed, leave nothing behind', async (t) => {
  const directory = scratch(t);
  const path = sparseFile(join(directory, 'f'), MiB);
  const body = `
    const fd = fs.openSync(${JSON.stringify(path)}, fs.constants.O_RDWR | fs.constants.O_DIRECT);
    const directory = ${JSON.stringify(directory)};
    const net = require('node:net');
    const once = async (i) => {
      const reactor = new Small({ reapInUserSpace: i % 2 === 0 });
      const file = reactor.native.addFile(fd, true, false);
      reactor.put({ op: READ, target: file, length: 4096 });
      reactor.put({ op: WRITE, target: file, length: 4096, offset: 65536 });
      reactor.put({ op: ZERO, target: file, length: 4096, offset: 131072 });
      reactor.native.listenTcp('127.0.0.1', 0, 1);
      reactor.submit();
      if (i % 3 > 0) await reactor.all(3);
      await reactor.close();
    };
    const round = (from) => Promise.all(Array.from({ length: 100 }, (_, i) => once(from + i)));
    const settle = async () => {
      for (let i = 0; i < 4; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 10)); }
    };
    const measure = () => ({
      descriptors: fs.readdirSync('/proc/self/fd').length,
      mappings: fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').length,
      threads: fs.readdirSync('/proc/self/task').length,
      aioMappings: fs.readFileSync('/proc/self/maps', 'utf8').split('/[aio]').length - 1,
      rss: process.memoryUsage().rss,
      size: /VmSize:\\s*(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1] * 1024,
    });
    await round(0);
    await settle();
    const before = measure();
    const start = Date.now();
    for (let i = 0; i < 1000; i += 100) await round(i);
    const ms = Date.now() - start;
    await settle();
    return { before, after: measure(), ms };
  `;
  interface Measure {
    descriptors: number;
    mappings: number;
    threads: number;
    aioMappings: number;
    rss: number;
    size: number;
  }
  const result = (await inProcess(body, ['--expose-gc'])) as { before: Measure; after: Measure; ms: number };
  const { before, after, ms } = result;
  t.comment(`1,000 rounds, 100 at a time, in ${ms} ms`);
  t.equal(after.descriptors, before.descriptors, 'descriptors');
  t.equal(after.threads, before.threads, 'threads');
  t.equal(after.aioMappings, 0, 'AIO contexts');
  t.ok(after.mappings < before.mappings + 200, `mappings: ${before.mappings}, then ${after.mappings}`);
  // Each had 1 MiB of buffers.
  t.ok(
    after.size < before.size + 512 * MiB,
    `address space: ${Math.round(before.size / MiB)} MiB, then ${Math.round(after.size / MiB)} MiB`,
  );
  t.ok(
    after.rss < before.rss + 64 * MiB,
    `memory: ${Math.round(before.rss / MiB)} MiB, then ${Math.round(after.rss / MiB)} MiB`,
  );
});

t.test('a reactor that could not be made leaves no descriptor open', async (t) => {
  const { Reactor } = loadAddon();
  const limit = Number(readFileSync('/proc/sys/fs/aio-max-nr', 'utf8'));
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 20; i++) {
    t.throws(() => new Reactor({ ...SMALL, queueDepth: limit + 1 }, () => {}), /^io_setup: /);
  }
  t.equal(readdirSync('/proc/self/fd').length, before);
});

t.test('close drops listeners and connections', async (t) => {
  const before = readdirSync('/proc/self/fd').length;
  const reactor = openReactor(t);
  const { peer } = await connect(t, reactor, { tcp: true });
  const ended = new Promise((resolve) => peer.once('end', resolve));
  peer.resume();
  await reactor.close();
  await ended;
  peer.destroy();
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(readdirSync('/proc/self/fd').length, before);
});

t.test('completions that do not fit into the array come with the next', async (t) => {
  const reactor = openReactor(t, { completionCapacity: 10, submissionCapacity: 64 });
  const { native } = reactor;
  for (let i = 0; i < 35; i++) reactor.put({ op: READ, target: 99, tag: i });
  t.equal(native.submit(35), 10);
  const view = new DataView(native.completions);
  t.equal(view.getUint32(9 * 16 + 4, true), 9);
  t.equal(native.submit(0), 10);
  t.equal(view.getUint32(4, true), 10);
  t.equal(native.submit(0), 10);
  // The last five come by themselves, if someone asks for a turn.
  native.wake();
  await reactor.until(() => reactor.done.length === 5);
  t.same(
    reactor.done.map(({ tag }) => tag),
    [30, 31, 32, 33, 34],
  );
});

t.test('push keeps completions for the next submit or turn', async (t) => {
  const reactor = openReactor(t);
  reactor.put({ op: READ, target: 99, tag: 7 });
  reactor.native.push(1);
  reactor.native.wake();
  await reactor.until(() => reactor.turns > 0);
  t.match(reactor.done, [{ tag: 7 }]);
});
