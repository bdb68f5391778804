// Snapshots that no server has taken.

import { LATENCY_BUCKETS } from '../../src/metrics/latency.js';
import type { ProcessSource } from '../../src/metrics/process-families.js';
import {
  type ConnectionSnapshot,
  type ExportSnapshot,
  HANDSHAKE_FAILURES,
  type HandshakeFailure,
  OPERATIONS,
  type Operation,
  type OperationSnapshot,
  type ReactorSnapshot,
  type ServerSnapshot,
} from '../../src/metrics/snapshot.js';

const noLatency = () => ({ counts: new Array<number>(LATENCY_BUCKETS).fill(0), sumSeconds: 0 });

export const operationOf = (rest: Partial<OperationSnapshot> = {}): OperationSnapshot => ({
  requests: 0,
  bytes: 0,
  errors: {},
  latency: noLatency(),
  diskLatency: noLatency(),
  ...rest,
});

/** `counts[bucket]` is set for each of the given, the others are 0. */
export const latencyOf = (buckets: Readonly<Record<number, number>>, sumSeconds: number) => {
  const latency = noLatency();
  for (const [bucket, count] of Object.entries(buckets)) latency.counts[Number(bucket)] = count;
  return { ...latency, sumSeconds };
};

export function exportOf(
  name: string,
  {
    operations = {},
    ...rest
  }: Partial<Omit<ExportSnapshot, 'operations'>> & {
    readonly operations?: Partial<Record<Operation, OperationSnapshot>>;
  } = {},
): ExportSnapshot {
  const all = Object.fromEntries(OPERATIONS.map((operation) => [operation, operationOf()]));
  return {
    name,
    description: '',
    path: `/srv/${name}`,
    readOnly: false,
    sizeBytes: 1_000_003,
    allocatedBytes: 8192,
    filesystemFreeBytes: 300,
    filesystemSizeBytes: 1000,
    direct: true,
    bufferedBecause: '',
    operations: { ...all, ...operations } as Record<Operation, OperationSnapshot>,
    inFlight: 0,
    inFlightMost: 0,
    requestsGivenUp: 0,
    alignmentFixes: 0,
    connections: 0,
    connectionsTotal: 0,
    health: { healthy: true, reason: '', probeSeconds: undefined },
    ...rest,
  };
}

export const connectionOf = (rest: Partial<ConnectionSnapshot>): ConnectionSnapshot => ({
  id: 1,
  peer: 'unix',
  transport: 'unix',
  exportName: 'disk',
  startedAtMs: 0,
  replies: 'structured',
  metaContexts: [],
  requests: 0,
  readBytes: 0,
  writtenBytes: 0,
  errors: 0,
  inFlight: 0,
  receivedBytes: 0,
  sentBytes: 0,
  reactor: 0,
  ...rest,
});

export const reactorOf = (rest: Partial<ReactorSnapshot> = {}): ReactorSnapshot => ({
  index: 0,
  turns: 0,
  readerWaits: 0,
  ioSubmitCalls: 0,
  ioSubmitted: 0,
  nowaitFallbacks: 0,
  receivedBytes: 0,
  sentBytes: 0,
  receiveCalls: 0,
  sendCalls: 0,
  bufferBytes: 0,
  bufferUsedBytes: 0,
  backpressureStops: 0,
  loopLagSeconds: 0,
  aliveAtMs: 0,
  ...rest,
});

export const snapshotOf = (rest: Partial<ServerSnapshot> = {}): ServerSnapshot => ({
  schema: 1,
  version: '1.2.3',
  pid: 1,
  startedAtMs: 0,
  takenAtMs: 0,
  state: 'serving',
  listeners: [],
  exports: [],
  connections: [],
  reactors: [],
  handshakeFailures: Object.fromEntries(HANDSHAKE_FAILURES.map((reason) => [reason, 0])) as Record<
    HandshakeFailure,
    number
  >,
  warnings: [],
  ...rest,
});

/** As from a main thread that has answered. */
export const PROCESS: ProcessSource = {
  main: {
    heapTotalBytes: 10,
    heapUsedBytes: 5,
    externalBytes: 7,
    collections: {
      minor: { count: 3, seconds: 0.25 },
      major: { count: 1, seconds: 0.5 },
      incremental: { count: 0, seconds: 0 },
      weakcb: { count: 0, seconds: 0 },
    },
  },
  mainAnswerSeconds: 0.001,
};
