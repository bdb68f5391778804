// What addon/ring.h lays out and what TypeScript writes are the same: seen by what the operations do.

import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { loadAddon } from '../../src/engine/addon.js';
import {
  type CompletionSink,
  OP_ACCEPT,
  OP_READ,
  OP_RECV,
  OP_SEND,
  OP_WRITE,
  Ring,
} from '../../src/engine/ring.js';
import { KiB, MiB, pattern, scratch, sparseFile } from '../support/files.js';
import { EBADF, openReactor, READ, WRITE } from './reactor.js';

t.test('the addon names the sizes that the arrays are divided by', async (t) => {
  const { submissionBytes, completionBytes } = loadAddon();
  t.equal(submissionBytes, 64);
  t.equal(completionBytes, 16);
});

t.test('the arrays have room for exactly as many entries as was asked for', async (t) => {
  const { native } = openReactor(t, {
    memoryBytes: 3 * MiB + 4096,
    submissionCapacity: 100,
    completionCapacity: 300,
  });
  t.equal(native.memory.byteLength, 3 * MiB + 4096);
  t.equal(native.submissions.byteLength, 100 * 64);
  t.equal(native.completions.byteLength, 300 * 16);
});

t.test('memory begins at a page, and at a huge page when it has the size of one', async (t) => {
  // Seen from outside: direct I/O of one sector works at every multiple of 512 in memory.
  const reactor = openReactor(t);
  const fd = openSync(sparseFile(join(scratch(t), 'f'), 64 * KiB), constants.O_RDWR | constants.O_DIRECT);
  t.teardown(() => closeSync(fd));
  const file = reactor.native.addFile(fd, true, false);
  const results = await reactor.run(
    ...[0, 512, 1024, 4096, 4 * MiB - 512].map((buffer) => ({ op: READ, target: file, buffer, length: 512 })),
  );
  t.same(results, [512, 512, 512, 512, 512]);
});

t.test('a file entry carries target, tag, buffer, length and offset to where they belong', async (t) => {
  const directory = scratch(t);
  const reactor = openReactor(t);
  const names = ['a', 'b', 'c'];
  const fds = names.map((name) => openSync(sparseFile(join(directory, name), 64 * KiB), constants.O_RDWR));
  t.teardown(() => {
    for (const fd of fds) closeSync(fd);
  });
  const files = fds.map((fd) => reactor.native.addFile(fd, false, false));
  const data = pattern(100, 1);
  data.copy(reactor.bytes, 12_345);
  const tag = 0xfedcba98;
  reactor.put({ op: WRITE, target: files[1]!, tag, buffer: 12_345, length: 100, offset: 54_321 });
  reactor.submit();
  t.equal(await reactor.result(tag), 100);
  t.same(reactor.done, [{ op: WRITE, tag, result: 100 }]);
  const expected = Buffer.alloc(64 * KiB);
  data.copy(expected, 54_321);
  t.ok(readFileSync(join(directory, 'b')).equals(expected), 'the bytes are where they were to go');
  t.ok(readFileSync(join(directory, 'a')).equals(Buffer.alloc(64 * KiB)), 'and no other file has them');
});

t.test('an offset past 4 GiB is that offset', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 2 ** 40);
  const fd = openSync(path, constants.O_RDWR);
  t.teardown(() => closeSync(fd));
  const reactor = openReactor(t);
  const file = reactor.native.addFile(fd, false, false);
  const offset = 2 ** 39 + 4096 + 3;
  reactor.bytes.write('far away', 0);
  const [written, read] = [
    await reactor.one({ op: WRITE, target: file, length: 8, offset }),
    await reactor.one({ op: READ, target: file, buffer: 100, length: 8, offset }),
  ];
  t.same([written, read], [8, 8]);
  t.equal(reactor.bytes.toString('latin1', 100, 108), 'far away');
});

t.test('the Ring writes entries that the addon reads as they were meant', async (t) => {
  const directory = scratch(t);
  const ring = new Ring({ memoryBytes: MiB, queueDepth: 16 });
  t.teardown(() => ring.shutdown());
  const seen: { op: number; tag: number; result: number }[] = [];
  let wake = () => {};
  const sink: CompletionSink = {
    complete: (op, tag, result) => seen.push({ op, tag, result }),
    batchEnd: () => wake(),
  };
  ring.attach(sink);
  const next = async (count: number) => {
    ring.kick();
    while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
    return seen.splice(0);
  };

  const path = join(directory, 'f');
  writeFileSync(path, Buffer.alloc(8 * KiB, 0x55));
  const fd = openSync(path, constants.O_RDWR);
  t.teardown(() => closeSync(fd));
  const file = ring.native.addFile(fd, false, false);
  ring.bytes.set(Buffer.from('hello'), 1000);
  ring.file(OP_WRITE, file, 1000, 5, 3, 0, 0xffffffff);
  t.same(await next(1), [{ op: OP_WRITE, tag: 0xffffffff, result: 5 }]);
  ring.file(OP_READ, file, 2000, 7, 2, 0, 8);
  t.same(await next(1), [{ op: OP_READ, tag: 8, result: 7 }]);
  t.equal(Buffer.from(ring.bytes.subarray(2000, 2007)).toString('latin1'), 'UhelloU');
  ring.file(OP_READ, file + 1, 0, 1, 0, 0, 9);
  t.same(await next(1), [{ op: OP_READ, tag: 9, result: EBADF }]);

  const socketPath = join(directory, 's');
  const listener = ring.native.listenUnix(socketPath, 5);
  ring.accept(listener, 10);
  ring.kick();
  const client = createConnection(socketPath);
  t.teardown(() => client.destroy());
  const [accepted] = await next(1);
  t.match(accepted, { op: OP_ACCEPT, tag: 10 });
  const connection = accepted!.result;
  const received = new Promise<Buffer>((resolve) => client.once('data', resolve));
  ring.bytes.set(Buffer.from('header'), 3000);
  ring.bytes.set(Buffer.from('data'), 4000);
  ring.send(connection, 3000, 6, 4000, 4, 11);
  t.same(await next(1), [{ op: OP_SEND, tag: 11, result: 10 }]);
  t.equal((await received).toString(), 'headerdata');
  ring.receive(connection, 5000, 4, 6000, 100, 12);
  client.write('1234567');
  t.same(await next(1), [{ op: OP_RECV, tag: 12, result: 7 }]);
  t.equal(Buffer.from(ring.bytes.subarray(5000, 5005)).toString('latin1'), '1234\0');
  t.equal(Buffer.from(ring.bytes.subarray(6000, 6003)).toString('latin1'), '567');
});
