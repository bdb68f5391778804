/** The library: what the command `aionbd serve` uses, and nothing besides. */
export { AionbdError, ERRORS, type ErrorCode } from './errors.js';
export { LATENCY_BOUNDS_SECONDS } from './metrics/latency.js';
export type { ServerObservation } from './metrics/observation.js';
export type { ServerSnapshot } from './metrics/snapshot.js';
export { type FileFacts, SnapshotReader } from './metrics/snapshot-reader.js';
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
