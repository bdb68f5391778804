// Snapshots of servers that never were.

import { LATENCY_BOUNDS_SECONDS } from '../../src/metrics/latency.js';
import {
  type ConnectionSnapshot,
  type ExportSnapshot,
  HANDSHAKE_FAILURES,
  type HandshakeFailure,
  type LatencySnapshot,
  OPERATIONS,
  type Operation,
  type OperationSnapshot,
  type ReactorSnapshot,
  type ServerSnapshot,
} from '../../src/metrics/snapshot.js';
import { connectionOf, reactorOf } from '../metrics/snapshots.js';

export const GiB = 1024 ** 3;

/** So many requests in the bucket that ends at the first bound which is not below `seconds`. */
export function latencyOf(requests: number, seconds: number): LatencySnapshot {
  const found = LATENCY_BOUNDS_SECONDS.findIndex((bound) => bound >= seconds);
  const bucket = found < 0 ? LATENCY_BOUNDS_SECONDS.length : found;
  const counts = new Array<number>(LATENCY_BOUNDS_SECONDS.length + 1).fill(0);
  counts[bucket] = requests;
  return { counts, sumSeconds: requests * seconds };
}

export function operation(requests = 0, bytes = 0, more: Partial<OperationSnapshot> = {}): OperationSnapshot {
  return {
    requests,
    bytes,
    errors: {},
    latency: latencyOf(requests, 100e-6),
    diskLatency: latencyOf(requests, 50e-6),
    ...more,
  };
}

export function target(
  name: string,
  more: Partial<ExportSnapshot> = {},
  done: Partial<Record<Operation, OperationSnapshot>> = {},
): ExportSnapshot {
  const operations = Object.fromEntries(OPERATIONS.map((key) => [key, done[key] ?? operation()]));
  return {
    name,
    description: '',
    path: `/srv/${name}.img`,
    readOnly: false,
    sizeBytes: 10 * GiB,
    allocatedBytes: 4 * GiB,
    filesystemFreeBytes: 200 * GiB,
    filesystemSizeBytes: 500 * GiB,
    direct: true,
    bufferedBecause: '',
    operations: operations as Record<Operation, OperationSnapshot>,
    inFlight: 0,
    inFlightMost: 0,
    requestsGivenUp: 0,
    alignmentFixes: 0,
    connections: 0,
    connectionsTotal: 0,
    health: { healthy: true, reason: '', probeSeconds: 0.001 },
    ...more,
  };
}

export function connection(id: number, exportName: string, more: Partial<ConnectionSnapshot> = {}) {
  return connectionOf({
    id,
    peer: `127.0.0.1:${40_000 + id}`,
    transport: 'tcp',
    exportName,
    startedAtMs: 1_700_000_000_000,
    metaContexts: ['base:allocation'],
    ...more,
  });
}

export function reactor(index: number, more: Partial<ReactorSnapshot> = {}) {
  return reactorOf({
    index,
    bufferBytes: 64 * 1024 * 1024,
    bufferUsedBytes: 4 * 1024 * 1024,
    loopLagSeconds: 0.001,
    aliveAtMs: 1_700_000_000_000,
    ...more,
  });
}

export function failures(more: Partial<Record<HandshakeFailure, number>> = {}) {
  const none = Object.fromEntries(HANDSHAKE_FAILURES.map((reason) => [reason, 0]));
  return { ...none, ...more } as Record<HandshakeFailure, number>;
}

export function snapshot(more: Partial<ServerSnapshot> = {}): ServerSnapshot {
  return {
    schema: 1,
    version: '0.1.0',
    pid: 4711,
    startedAtMs: 1_700_000_000_000,
    takenAtMs: 1_700_000_000_000 + 3 * 3_600_000 + 12 * 60_000,
    state: 'serving',
    listeners: ['localhost:10809', 'unix:/run/aionbd.sock'],
    exports: [],
    connections: [],
    reactors: [reactor(0)],
    handshakeFailures: failures(),
    warnings: [],
    ...more,
  };
}

/** A server at work, `seconds` after its start: a busy export, a slow one, and some that rest. */
export function busy(seconds: number): ServerSnapshot {
  const startedAtMs = 1_700_000_000_000;
  const reads = 120_000 * seconds;
  const writes = 23_000 * seconds;
  const slow = 40 * seconds;
  return snapshot({
    startedAtMs,
    takenAtMs: startedAtMs + seconds * 1000,
    exports: [
      target(
        'vm1.img',
        { inFlight: 32, connections: 2 },
        { read: operation(reads, reads * 4096), write: operation(writes, writes * 4096) },
      ),
      target(
        'archive',
        {
          inFlight: 3,
          connections: 1,
          direct: false,
          bufferedBecause: 'the filesystem has no direct I/O',
          readOnly: true,
        },
        {
          read: operation(slow, slow * 256 * 1024, {
            latency: latencyOf(slow, 0.02),
            errors: { EIO: Math.floor(seconds / 2) },
          }),
        },
      ),
      target('データベース-主', { connections: 1 }),
      target('ends\nwith \x1b[31mtrouble\u202e', {
        health: { healthy: false, reason: 'no answer within 5 s', probeSeconds: 5 },
      }),
      target('a-very-long-name-of-an-export-that-somebody-has-made-up-for-a-reason'),
    ],
    connections: [
      connection(1, 'vm1.img', { requests: reads, readBytes: reads * 4096, inFlight: 20, startedAtMs }),
      connection(2, 'vm1.img', { requests: writes, writtenBytes: writes * 4096, inFlight: 12, startedAtMs }),
      connection(3, 'archive', {
        requests: slow,
        readBytes: slow * 256 * 1024,
        inFlight: 3,
        peer: '[fe80::1234:5678:9abc:def0%eth0]:51234',
        errors: Math.floor(seconds / 2),
        startedAtMs,
      }),
      connection(4, 'データベース-主', { peer: 'unix', transport: 'unix', replies: 'extended', startedAtMs }),
    ],
    reactors: [
      reactor(0, { turns: 9000 * seconds, ioSubmitCalls: 9000 * seconds, ioSubmitted: 143_000 * seconds }),
    ],
    handshakeFailures: failures({ unknown_export: 3 }),
    warnings: [
      {
        kind: 'buffered-fallback',
        exportName: 'archive',
        text: 'goes through the page cache: the filesystem has no direct I/O',
      },
      {
        kind: 'export-unhealthy',
        exportName: 'ends\nwith \x1b[31mtrouble\u202e',
        text: 'does not answer: no answer within 5 s',
      },
      {
        kind: 'single-connection',
        exportName: undefined,
        text: 'a client uses one connection where four would be faster',
      },
    ],
  });
}
