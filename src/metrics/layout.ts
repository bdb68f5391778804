// Where everything that a thread counts lies: doubles in one piece of shared memory, written by that thread alone and
// read by whoever likes, without locks. A reader may see one of two counters that change together before the other; since
// each is a single double, it never sees half a number.
//
//     ring (engine/ring-counters.ts) · thread · connection slots · exports

import { RING_CELLS } from '../engine/ring-counters.js';
import { LATENCY_BUCKETS } from './latency.js';
import { HANDSHAKE_FAILURES, OPERATIONS } from './snapshot.js';

export const BYTES_PER_CELL = Float64Array.BYTES_PER_ELEMENT;

/** Names to consecutive places: each has as many cells as the number beside it says. */
function places<Name extends string>(
  sizes: Readonly<Record<Name, number>>,
): Readonly<Record<Name | 'cells', number>> {
  let cells = 0;
  const at = {} as Record<Name | 'cells', number>;
  for (const [name, size] of Object.entries(sizes) as [Name, number][]) {
    at[name] = cells;
    cells += size;
  }
  at['cells' as Name] = cells;
  return Object.freeze(at);
}

/** Of the whole thread. */
export const THREAD = places({
  /** Memory for data in flight, bytes, and what of it is in use. */
  bufferBytes: 1,
  bufferUsedBytes: 1,
  backpressureStops: 1,
  /** The longest that the event loop was late in the last second, s; and when it said so, ms since 1970. */
  loopLagSeconds: 1,
  aliveAtMs: 1,
  /** The same by `monotonicMs`, which no change of the date moves. */
  aliveMonotonicMs: 1,
  /** When somebody last wanted to know how exports are, by the watching thread, which alone writes it; see probe-record.ts. */
  probesWantedAtMs: 1,
  /** By reason, in the order of HANDSHAKE_FAILURES. */
  handshakeFailures: HANDSHAKE_FAILURES.length,
});

/** Of one connection in the transmission phase. */
export const CONNECTION = places({
  /** The server's number of it; 0 while the slot is free. */
  id: 1,
  requests: 1,
  readBytes: 1,
  writtenBytes: 1,
  errors: 1,
  /** Of the requests: the others are in flight. */
  answered: 1,
  /** On the wire, since the handshake; what is sent counts when it is given to the socket. */
  receivedBytes: 1,
  sentBytes: 1,
});

/** Errors of the wire, in the order in which they are counted. */
export const ERROR_NAMES = Object.freeze([
  'EPERM',
  'EIO',
  'ENOMEM',
  'EINVAL',
  'ENOSPC',
  'EOVERFLOW',
  'ENOTSUP',
  'ESHUTDOWN',
] as const);

/**
 * Of one operation of an export. Operations lie by the number of their command; that of DISC, which is nothing to be counted,
 * stands for all that we do not know.
 */
export const OPERATION = places({
  requests: 1,
  /** Of those that succeeded. */
  bytes: 1,
  latencyMicroseconds: 1,
  diskMicroseconds: 1,
  /** In the order of ERROR_NAMES. */
  errors: ERROR_NAMES.length,
  latencyCounts: LATENCY_BUCKETS,
  diskCounts: LATENCY_BUCKETS,
});

/** The number of the last command that has a place of its own, and whose place is that of the unknown ones. */
export const LAST_COMMAND = 7;
export const UNKNOWN_COMMAND = 2;

/** The operations in the order of their places. */
export const OPERATIONS_BY_PLACE: readonly (typeof OPERATIONS)[number][] = Object.freeze([
  'read',
  'write',
  'unknown',
  'flush',
  'trim',
  'cache',
  'write_zeroes',
  'block_status',
]);

/** Of the probes of one export, by the one thread that makes them; times are those of `monotonicMs`. */
export const PROBE = places({
  /** 0: none is under way. */
  startedAtMs: 1,
  /** Of the last that came back; 0: none has. */
  doneAtMs: 1,
  seconds: 1,
  /** Linux's, positive; 0: it has read what it was to read. */
  errno: 1,
});

/** The number of the thread that probes an export. */
export function probingThread(exportIndex: number, threads: number): number {
  return exportIndex % threads;
}

/** Of one export. */
export const EXPORT = places({
  inFlight: 1,
  inFlightMost: 1,
  /** Requests whose client was gone before they could be answered. */
  givenUp: 1,
  alignmentFixes: 1,
  connections: 1,
  connectionsTotal: 1,
  operations: OPERATIONS.length * OPERATION.cells,
  probe: PROBE.cells,
});

/** Where the parts of a thread's memory begin, for so many connections at once. */
export interface ThreadLayout {
  readonly thread: number;
  readonly connections: number;
  /** A slot for connections that have ended, which nobody reads. */
  readonly nowhere: number;
  readonly exports: number;
  readonly cells: number;
}

export function threadLayout(connections: number, exports: number): ThreadLayout {
  const thread = RING_CELLS;
  const slots = thread + THREAD.cells;
  const nowhere = slots + connections * CONNECTION.cells;
  const first = nowhere + CONNECTION.cells;
  return { thread, connections: slots, nowhere, exports: first, cells: first + exports * EXPORT.cells };
}
