/**
 * The library: what the command `aionbd serve` uses, and nothing besides. It begins with {@link createServer}.
 *
 * Names end in their unit (`sizeBytes`, `deadlineMs`). What can be expected to fail throws an {@link AionbdError}; a value that
 * is out of its range has the code AIONBD_E_USAGE.
 *
 * @packageDocumentation
 */
export { AionbdError, ERRORS, type ErrorCode } from './errors.js';
export type { ExportCounters } from './metrics/counters.js';
export { LATENCY_BOUNDS_SECONDS } from './metrics/latency.js';
export type {
  ConnectionTotals,
  ObservedConnection,
  ObservedExport,
  ObservedThread,
  ServerObservation,
} from './metrics/observation.js';
export type {
  ConnectionSnapshot,
  ExportHealth,
  ExportSnapshot,
  HandshakeFailure,
  LatencySnapshot,
  Operation,
  OperationSnapshot,
  ReactorSnapshot,
  ServerSnapshot,
  Warning,
} from './metrics/snapshot.js';
export { HANDSHAKE_FAILURES, OPERATIONS } from './metrics/snapshot.js';
export { type FileFacts, SnapshotReader, type SnapshotReaderOptions } from './metrics/snapshot-reader.js';
export type {
  ConnectionInfo,
  DirectMode,
  ExportOptions,
  InheritedSocket,
  ListenAddress,
  Logger,
  OnStop,
  ServedExport,
  Server,
  ServerOptions,
} from './server/api.js';
export { createServer } from './server/server.js';
