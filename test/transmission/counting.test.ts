// Counters, compared with what a client did: on the simulated reactor, where time and the disk are the test's.

import t from 'tap';
import { OP_READ, OP_WRITE } from '../../src/engine/ring.js';
import { RING_CLOCK } from '../../src/engine/ring-counters.js';
import { LATENCY_BOUNDS_SECONDS } from '../../src/metrics/latency.js';
import type { LatencySnapshot } from '../../src/metrics/snapshot.js';
import { KiB, MiB } from '../support/files.js';
import { type SimulatedPeer, Simulation, type SimulationOptions } from './simulation.js';
import { CACHE, DF, FAST_ZERO, FLUSH, MODES, READ, type Request, TRIM, WRITE, WRITE_ZEROES } from './wire.js';

const LINUX_EIO = 5;
const UNKNOWN_COMMAND = 77;

function made(options: Partial<SimulationOptions> = {}, mode: SimulatedPeer['mode'] = 'simple') {
  const simulation = new Simulation({ sizeBytes: 4 * MiB, unitBytes: 4096, ...options });
  const peer = simulation.connect({ replies: mode });
  let cookie = 0n;
  return {
    simulation,
    peer,
    send: (...requests: readonly Omit<Request, 'cookie'>[]) =>
      peer.send(...requests.map((request) => ({ ...request, cookie: cookie++ }))),
    ask: (...requests: readonly Omit<Request, 'cookie'>[]) => {
      peer.send(...requests.map((request) => ({ ...request, cookie: cookie++ })));
      simulation.run();
    },
    target: () => simulation.snapshot().exports[0]!,
  };
}

const write = (offset: number, length: number) => ({
  type: WRITE,
  offset,
  length,
  payload: Buffer.alloc(length, 7),
});

t.test(
  'a request is in flight from its header to its answer, and the most there were is remembered',
  async (t) => {
    const { simulation, ask, target } = made();
    simulation.heldBack = (op) => op === OP_READ;
    for (let i = 0; i < 5; i++) ask({ type: READ, offset: i * 4096, length: 4096 });
    t.match(target(), { inFlight: 5, inFlightMost: 5 });
    simulation.heldBack = undefined;
    simulation.run();
    t.match(target(), { inFlight: 0, inFlightMost: 5 });
    ask({ type: READ, offset: 0, length: 4096 });
    t.match(target(), { inFlight: 0, inFlightMost: 5 });
  },
);

t.test('a request that has to wait for memory is counted once, and the wait as a stop', async (t) => {
  const { simulation, ask, target } = made({ requests: 16 });
  simulation.heldBack = (op) => op === OP_READ;
  const asked = Array.from({ length: 40 }, (_, i) => ({ type: READ, offset: i * 4096, length: 4096 }));
  ask(...asked);
  t.ok(target().inFlight < 40, 'not all have been taken');
  const stops = simulation.snapshot().reactors[0]!.backpressureStops;
  t.ok(stops > 0);
  simulation.heldBack = undefined;
  simulation.run();
  t.match(target(), { inFlight: 0, operations: { read: { requests: 40, bytes: 40 * 4096 } } });
  t.same(simulation.miscounted(), []);
});

t.test('requests of a client that dies are given up, and no longer in flight', async (t) => {
  for (const leaves of [false, true]) {
    const { simulation, peer, ask, target } = made();
    simulation.heldBack = (op) => op === OP_READ || op === OP_WRITE;
    ask({ type: READ, offset: 0, length: 4096 }, write(4096, 8192), { type: READ, offset: 1, length: 1 });
    t.equal(target().inFlight, 3);
    if (leaves) peer.push(peer.bytesOf({ type: 2, cookie: 9n }));
    peer.hasLeft = true;
    simulation.run();
    if (leaves) simulation.transmission.drop(peer.client, 'the server stops');
    simulation.heldBack = undefined;
    simulation.run();
    t.match(target(), { inFlight: 0, requestsGivenUp: 3, connections: 0, connectionsTotal: 1 });
    t.match(target().operations, { read: { requests: 2, bytes: 0 }, write: { requests: 1, bytes: 0 } });
    t.same(simulation.miscounted(), []);
  }
});

/** The only bucket in which there is something, by its bound. */
function boundOf({ counts }: LatencySnapshot): number {
  const buckets = counts.flatMap((count, bucket) => (count > 0 ? [bucket] : []));
  return buckets.length === 1 ? LATENCY_BOUNDS_SECONDS[buckets[0]!]! : Number.NaN;
}

t.test(
  'the time of a request is from its header to its answer, and the share of the disk what it was at work',
  async (t) => {
    const { simulation, peer, send, target } = made();
    // The payload takes its time, then the disk, and nothing else does.
    const bytes = peer.bytesOf({ ...write(0, 8192), cookie: 1n });
    peer.reader.expect({ ...write(0, 8192), cookie: 1n });
    peer.push(bytes.subarray(0, 5000));
    simulation.run();
    simulation.record.ring[RING_CLOCK]! += 3e6;
    simulation.heldBack = (op) => op === OP_WRITE;
    peer.push(bytes.subarray(5000));
    simulation.run();
    simulation.record.ring[RING_CLOCK]! += 50_000;
    simulation.heldBack = undefined;
    simulation.run();
    const { latency, diskLatency } = target().operations.write;
    t.ok(Math.abs(latency.sumSeconds - 3.05) < 0.001, `${latency.sumSeconds} s`);
    t.ok(Math.abs(diskLatency.sumSeconds - 0.05) < 0.001, `${diskLatency.sumSeconds} s of the disk`);
    t.equal(boundOf(latency), 4.194304);
    t.equal(boundOf(diskLatency), 0.065536);

    send({ type: UNKNOWN_COMMAND, length: 0 });
    simulation.run();
    t.equal(boundOf(target().operations.unknown.latency), LATENCY_BOUNDS_SECONDS[0]);
    t.equal(target().operations.unknown.diskLatency.counts.indexOf(1), -1, 'refused, without any I/O');
  },
);

t.test('what does not fit the alignment of direct I/O is counted once for each request', async (t) => {
  const cases: readonly (readonly [what: string, request: Omit<Request, 'cookie'>, fixes: number])[] = [
    ['an aligned READ', { type: READ, offset: 4096, length: 8192 }, 0],
    ['an aligned READ of several pieces', { type: READ, offset: 4096, length: MiB }, 0],
    ['a READ that begins within a unit', { type: READ, offset: 1, length: 4095 }, 1],
    ['a READ that ends within a unit', { type: READ, offset: 0, length: 512 }, 1],
    [
      'a READ of several pieces, of which only the ends do not fit',
      { type: READ, offset: 7, length: MiB },
      1,
    ],
    ['an aligned WRITE', write(4096, 4096), 0],
    ['an aligned WRITE of several pieces', write(4096, MiB), 0],
    ['a WRITE of a part of a unit', write(4097, 10), 1],
    ['a WRITE of several pieces', write(100, MiB), 1],
    ['an aligned WRITE_ZEROES', { type: WRITE_ZEROES, offset: 4096, length: 8192 }, 0],
    ['a WRITE_ZEROES that begins and ends within units', { type: WRITE_ZEROES, offset: 1, length: 9000 }, 1],
    ['a TRIM, which is rounded inwards', { type: TRIM, offset: 1, length: 9000 }, 0],
    ['a CACHE', { type: CACHE, offset: 1, length: 9000 }, 0],
    ['a FLUSH', { type: FLUSH, offset: 0, length: 0 }, 0],
    ['a READ past the end, which is refused', { type: READ, offset: 4 * MiB, length: 1 }, 0],
  ];
  for (const mode of MODES) {
    const { ask, target } = made({}, mode);
    let expected = 0;
    for (const [what, request, fixes] of cases) {
      ask(request);
      expected += fixes;
      t.equal(target().alignmentFixes, expected, `${mode}: ${what}`);
    }
  }
  const { ask, target } = made({ unitBytes: 0 });
  for (const [, request] of cases) ask(request);
  t.equal(target().alignmentFixes, 0, 'buffered, everything fits');
});

t.test('errors are counted by operation and by what the client was told', async (t) => {
  const failing = made(
    { fault: (op) => (op === OP_READ || op === OP_WRITE ? LINUX_EIO : 0), zeroing: 'slow' },
    'structured',
  );
  failing.ask(
    { type: READ, offset: 0, length: 4096 },
    { type: READ, offset: 1, length: 300 * KiB },
    write(0, 4096),
    write(1, 10),
    write(4 * MiB, 10),
    { type: READ, offset: 4 * MiB, length: 10 },
    { type: READ, flags: DF, offset: 0, length: 4096 },
    { type: TRIM, offset: 4 * MiB, length: 10 },
    { type: WRITE_ZEROES, offset: 4 * MiB, length: 10 },
    { type: WRITE_ZEROES, flags: FAST_ZERO, offset: 0, length: 8192 },
    { type: UNKNOWN_COMMAND, length: 0 },
    { type: 300, length: 0 },
  );
  const { operations } = failing.target();
  t.same(operations.read.errors, { EIO: 3, EINVAL: 1 });
  t.same(operations.write.errors, { EIO: 2, ENOSPC: 1 });
  t.same(operations.trim.errors, { EINVAL: 1 });
  t.same(operations.write_zeroes.errors, { ENOSPC: 1, ENOTSUP: 1 });
  t.same(operations.unknown.errors, { EINVAL: 2 });
  t.equal(operations.unknown.requests, 2);
  t.equal(operations.read.bytes + operations.write.bytes, 0, 'and no bytes');
  failing.simulation.transmission.refuseNew(failing.peer.client);
  failing.ask({ type: FLUSH, length: 0 });
  t.same(failing.target().operations.flush.errors, { ESHUTDOWN: 1 });

  const readOnly = made({ readOnly: true });
  readOnly.ask(write(0, 4096), { type: TRIM, offset: 0, length: 4096 });
  t.same(readOnly.target().operations.write.errors, { EPERM: 1 });
  t.same(readOnly.target().operations.trim.errors, { EPERM: 1 });
  t.same(failing.simulation.miscounted(), []);
  t.same(readOnly.simulation.miscounted(), []);
});

t.test(
  'a READ that has been read, and waits behind the reply of another one, keeps the disk no longer',
  async (t) => {
    const { simulation, ask, target } = made({ sizeBytes: 8 * MiB, memoryBytes: 16 * MiB });
    simulation.heldBack = (op, offset) => op === OP_READ && offset >= 5 * MiB;
    ask({ type: READ, offset: 0, length: 6 * MiB });
    ask({ type: READ, offset: 4096, length: 4096 });
    simulation.record.ring[RING_CLOCK]! += 20e6;
    simulation.heldBack = undefined;
    simulation.run();
    const { latency, diskLatency } = target().operations.read;
    const long = ({ counts }: LatencySnapshot) =>
      counts.reduce((sum, count, i) => sum + (i >= 22 ? count : 0), 0);
    t.equal(long(latency), 2);
    t.equal(long(diskLatency), 1);
    t.same(simulation.miscounted(), []);
  },
);
