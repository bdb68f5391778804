import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { RING_SENT_BYTES } from '../../src/engine/ring-counters.js';
import { lookUpFile } from '../../src/metrics/look-up-file.js';
import type { ObservedConnection, ServerObservation } from '../../src/metrics/observation.js';
import { ThreadRecord } from '../../src/metrics/record.js';
import type { ServerSnapshot } from '../../src/metrics/snapshot.js';
import { SnapshotReader } from '../../src/metrics/snapshot-reader.js';
import { allocatedBytes, MiB, patternFile, scratch } from '../support/files.js';

const READ = 0;
const WRITE = 1;
const TRIM = 4;

const ONE = {
  name: 'one',
  description: 'the first',
  path: '/one',
  readOnly: false,
  blockDevice: false,
  sizeBytes: 4 * MiB,
  direct: true,
  bufferedBecause: '',
};

function made(threads = 1) {
  const memories = Array.from({ length: threads }, () => ThreadRecord.allocate(2, 2));
  const acceptor = threads > 1 ? ThreadRecord.allocate(0, 0) : undefined;
  const observation: ServerObservation = {
    version: '1.2.3',
    pid: 77,
    startedAtMs: 1000,
    state: 'serving',
    listeners: ['unix:/s'],
    exports: [ONE, { ...ONE, name: 'two', direct: false, bufferedBecause: 'it is on tmpfs' }],
    threads: memories,
    acceptor,
    connections: [],
  };
  const records = memories.map((memory) => new ThreadRecord(memory));
  return { observation, records, acceptor: acceptor && new ThreadRecord(acceptor) };
}

function connectionOf(id: number, slot: number, reactor = 0): ObservedConnection {
  const peer = id % 2 === 0 ? 'unix' : '127.0.0.1:4711';
  const terms = { replies: 'structured', metaContexts: ['base:allocation'] } as const;
  return { id, peer, exportName: 'one', startedAtMs: 2000, ...terms, reactor, slot };
}

/** Requests with these lengths and times, µs. */
function facts(...requests: readonly (readonly [length: number, took: number, disk: number])[]) {
  return {
    length: Float64Array.from(requests, ([length]) => length),
    startedAt: Float64Array.from(requests, ([, took]) => 1e6 - took),
    diskTime: Float64Array.from(requests, ([, , disk]) => disk),
  };
}

t.test('a snapshot says what was recorded, in seconds and by name', async (t) => {
  const { observation, records } = made();
  const [record] = records;
  const connection = record!.connect(5);
  const reader = new SnapshotReader(observation);
  reader.began(connectionOf(5, connection.slot));
  record!.ring[0] = 1e6;
  const target = record!.exports[0]!;
  const requests = facts([4096, 10, 8], [100, 5000, 0], [512, 1, 1]);
  target.connected();
  for (const command of [READ, READ, WRITE]) target.began(command, connection);
  target.answered(READ, 0, requests, 0, connection, 100, false);
  target.answered(READ, 22, requests, 1, connection, 100, false);
  const { exports, connections } = reader.snapshot(3000);
  const { read, write } = exports[0]!.operations;
  t.equal(read.requests, 2);
  t.equal(read.bytes, 4096, 'of the one that succeeded');
  t.same(read.errors, { EINVAL: 1 });
  t.equal(read.latency.sumSeconds, 0.00501);
  t.same(
    read.latency.counts.flatMap((count, bucket) => (count > 0 ? [[bucket, count]] : [])),
    [
      [2, 1],
      [11, 1],
    ],
  );
  t.equal(read.diskLatency.sumSeconds, 0.000008, 'the other one had nothing of the disk');
  t.equal(write.requests, 1);
  t.equal(write.bytes, 0);
  t.match(exports[0], { inFlight: 1, inFlightMost: 3, connections: 1, connectionsTotal: 1 });
  t.match(exports[1], { inFlight: 0, inFlightMost: 0, connections: 0, bufferedBecause: 'it is on tmpfs' });
  t.same(connections, [
    {
      id: 5,
      peer: '127.0.0.1:4711',
      transport: 'tcp',
      exportName: 'one',
      startedAtMs: 2000,
      replies: 'structured',
      metaContexts: ['base:allocation'],
      requests: 3,
      readBytes: 4096,
      writtenBytes: 0,
      errors: 1,
      inFlight: 1,
      receivedBytes: 0,
      sentBytes: 200,
      reactor: 0,
    },
  ]);
});

t.test('threads are added up, and their handshakes with those of the thread that accepts', async (t) => {
  const { observation, records, acceptor } = made(3);
  for (const [i, record] of records.entries()) {
    const connection = record.connect(i + 1);
    for (let n = 0; n <= i; n++) record.exports[1]!.began(TRIM, connection);
    record.handshakeFailed('timeout');
    record.ring[RING_SENT_BYTES] = 10 ** i;
  }
  acceptor!.handshakeFailed('too_many_connections');
  acceptor!.handshakeFailed('timeout');
  const { exports, reactors, handshakeFailures } = new SnapshotReader(observation).snapshot();
  t.equal(exports[1]!.operations.trim.requests, 6);
  t.equal(exports[1]!.inFlight, 6);
  t.same(
    reactors.map(({ index, sentBytes }) => [index, sentBytes]),
    [
      [0, 1],
      [1, 10],
      [2, 100],
    ],
  );
  t.match(handshakeFailures, { timeout: 4, too_many_connections: 1, closed: 0 });
});

t.test('a slot that has gone to another connection is not taken for the one before', async (t) => {
  const { observation, records } = made();
  const record = records[0]!;
  const reader = new SnapshotReader(observation);
  const first = record.connect(1);
  reader.began(connectionOf(1, first.slot));
  first.received(100);
  record.disconnect(first);
  t.same(reader.snapshot().connections, [], 'its end is not told of yet, but it has ended');
  const second = record.connect(2);
  t.equal(second.slot, first.slot, 'the slot is used again');
  t.same(reader.snapshot().connections, []);
  reader.began(connectionOf(2, second.slot));
  reader.ended(1);
  t.match(reader.snapshot().connections, [{ id: 2, receivedBytes: 0, transport: 'unix' }]);
});

t.test('there are as many slots as connections, and no more', async (t) => {
  const record = new ThreadRecord(ThreadRecord.allocate(2, 0));
  const slots = [record.connect(1), record.connect(2)].map(({ slot }) => slot);
  t.not(slots[0], slots[1]);
  t.throws(() => record.connect(3), /slots/);
});

t.test('what is in flight is never below 0, whatever is seen of a change first', async (t) => {
  const { observation, records } = made();
  const connection = records[0]!.connect(1);
  const target = records[0]!.exports[0]!;
  const reader = new SnapshotReader(observation);
  reader.began(connectionOf(1, connection.slot));
  // An answer that comes while its request is still being taken in.
  target.answered(READ, 22, facts([1, 1, 0]), 0, connection, 100, false);
  const { exports, connections } = reader.snapshot();
  t.equal(exports[0]!.inFlight, 0);
  t.equal(connections[0]!.inFlight, 0);
  target.began(READ, connection);
  t.equal(reader.snapshot().exports[0]!.inFlight, 0);
});

t.test('a reader is told of what it can not see', async (t) => {
  const { observation, records } = made();
  records[0]!.alive(123_456, 0.25);
  const warn = ({ state }: ServerSnapshot) => [{ kind: state, exportName: undefined, text: 'look' }];
  const reader = new SnapshotReader(observation, { warn });
  t.match(reader.snapshot(9), { state: 'serving', takenAtMs: 9, warnings: [{ kind: 'serving' }] });
  reader.draining();
  reader.health(1, { healthy: false, reason: 'it hangs', probeSeconds: 3 });
  reader.fileFacts(0, { allocatedBytes: 1, filesystemFreeBytes: 2, filesystemSizeBytes: 3 });
  const snapshot = reader.snapshot();
  t.match(snapshot, { state: 'draining', warnings: [{ kind: 'draining' }] });
  t.match(snapshot.reactors, [{ loopLagSeconds: 0.25, aliveAtMs: 123_456 }]);
  t.match(snapshot.exports, [
    { allocatedBytes: 1, filesystemFreeBytes: 2, filesystemSizeBytes: 3, health: { healthy: true } },
    { health: { healthy: false, reason: 'it hangs' } },
  ]);
  t.equal(snapshot.exports[1]!.allocatedBytes, undefined);
});

t.test('an observation can be sent to another thread, which sees what is counted here', async (t) => {
  const { observation, records } = made();
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const cells = new Float64Array(workerData.threads[0].memory);
    parentPort.on('message', (at) => { parentPort.postMessage(cells[at]); parentPort.close(); });`;
  const worker = new Worker(code, { eval: true, workerData: observation, execArgv: [] });
  records[0]!.ring[RING_SENT_BYTES] = 4711;
  const seen = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.postMessage(RING_SENT_BYTES);
  });
  t.equal(seen, 4711);
});

t.test('the filesystem is asked for a file, and not for a device or what is gone', async (t) => {
  const path = patternFile(join(scratch(t), 'disk'), MiB, 1);
  const found = await lookUpFile({ ...ONE, path });
  t.equal(found.allocatedBytes, allocatedBytes(path));
  t.ok(found.filesystemSizeBytes! >= found.filesystemFreeBytes!);
  t.ok(found.filesystemFreeBytes! > 0);
  for (const other of [
    { ...ONE, path, blockDevice: true },
    { ...ONE, path: `${path}.gone` },
  ]) {
    t.equal((await lookUpFile(other)).allocatedBytes, undefined);
    t.equal((await lookUpFile(other)).filesystemFreeBytes, undefined);
  }
});
