/** The library: what the command `aionbd serve` uses, and nothing besides. */
export { AionbdError, ERRORS, type ErrorCode } from './errors.js';
export type {
  ConnectionInfo,
  DirectMode,
  ExportOptions,
  InheritedSocket,
  ListenAddress,
  Logger,
  ServedExport,
  Server,
  ServerOptions,
} from './server/api.js';
export { createServer } from './server/server.js';
