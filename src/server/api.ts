import type { EventEmitter } from 'node:events';
import type { ExportCounters } from '../metrics/counters.js';
import type { ConnectionTotals, ObservedConnection, ServerObservation } from '../metrics/observation.js';
import type { HandshakeFailure, ServerSnapshot } from '../metrics/snapshot.js';

/** How an export reaches its file: `auto` takes direct I/O where the file can do it, and says so where it can't. */
export type DirectMode = 'auto' | 'on' | 'off';

/** One thing to export. */
export interface ExportOptions {
  /** Name the client asks for; UTF-8, at most 4096 bytes. */
  readonly name: string;
  /** A regular file or a block device. */
  readonly path: string;
  /** Refuse writes. Default false. */
  readonly readOnly?: boolean;
  /** Default `auto`. */
  readonly direct?: DirectMode;
  /** Free text shown by LIST and INFO; at most 4096 bytes. */
  readonly description?: string;
}

/** Where to listen. Port 0 takes a free port; `listen` returns the address as bound. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/**
 * A socket that another process (a service manager, or a client that starts its own server) has made to listen: a descriptor of
 * this process, which belongs to the server once `listen` has resolved.
 */
export interface InheritedSocket {
  readonly kind: 'inherited';
  readonly fd: number;
}

/** The part of pino's interface that the server uses; a pino logger fits as it is. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * What becomes of requests that come while the server stops. `refuse`: they are answered ESHUTDOWN for 100 ms, which the kernel's
 * client and qemu hand on to their users as I/O errors. `disconnect`: they are not read, and the connections are closed as soon as
 * what is in flight is answered; clients that connect again repeat them then.
 */
export type OnStop = 'refuse' | 'disconnect';

export interface ServerOptions {
  readonly exports: readonly ExportOptions[];
  /** Name of the export that the empty name stands for. Default: the first export. */
  readonly defaultExport?: string;
  /** Take an advisory lock on each file (exclusive when writable, shared when read-only). Default true. */
  readonly lock?: boolean;
  /** Memory for data in flight, bytes. Default 64 MiB, at least 8 MiB. */
  readonly bufferMemoryBytes?: number;
  /** Requests in flight over all connections. Default 1024; 16 to 32768. */
  readonly queueDepth?: number;
  /**
   * How long to look for the next request before sleeping, µs (1 to 1000), which saves the wake-up; `auto` does so only
   * where requests come that close together and nobody else wants the processor. Default `off`.
   */
  readonly busyPoll?: 'auto' | 'off' | number;
  /** Connections at once. Default 1024. */
  readonly maxConnections?: number;
  /** Time a client has for the handshake, ms. Default 10 000. */
  readonly handshakeDeadlineMs?: number;
  /**
   * Threads that serve connections, 1 to 64. Default 1: the calling thread. With more, each of them has a thread of its own,
   * and memory and requests in flight are divided among them: at least 8 MiB and 16 for each.
   */
  readonly threads?: number;
  /** Requests that take longer are logged, ms (1 to 3 600 000), or `off`. Default 1000. */
  readonly slowRequestMs?: number | 'off';
  /** What {@link Server.close} does with requests that come after it has begun. Default `refuse`. */
  readonly onStop?: OnStop;
  /** Default: log nothing. */
  readonly logger?: Logger;
}

/** An export as it is being served. */
export interface ServedExport {
  readonly name: string;
  readonly path: string;
  readonly description: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Whether I/O is direct; with `auto` this is what was found. */
  readonly direct: boolean;
  /** A few of its counters; look at it anew each time: what it holds is the sums at that moment. All there is has {@link Server.snapshot}. */
  readonly counters: ExportCounters;
}

/** Events: `connection` and `disconnect` (ConnectionInfo), and `draining` when a stop begins. */
export interface Server extends EventEmitter {
  readonly exports: readonly ServedExport[];
  readonly defaultExport: string;
  /**
   * Starts to listen; resolves to the address as bound: a real port instead of 0, and of an inherited socket what it is bound
   * to (`@` begins an abstract name). Throws AIONBD_E_LISTEN.
   */
  listen(address: ListenAddress | InheritedSocket): Promise<ListenAddress>;
  /**
   * Serves one client over a stream socket that is connected already. The descriptor belongs to the server from then on; those of
   * stdin, stdout and stderr stay open. Returns the connection's id; `disconnect` tells of its end. Throws AIONBD_E_LISTEN if the descriptor is no such thing.
   */
  serve(fd: number): number;
  /** Everything that is counted, and what the filesystems say now. */
  snapshot(): Promise<ServerSnapshot>;
  /**
   * What a SnapshotReader on another thread needs: shared memory and plain facts, as of now. The events tell it of
   * what comes later.
   */
  observation(): ServerObservation;
  /**
   * Stops: no new connections, requests in flight are finished, new ones are answered ESHUTDOWN (or as `onStop` says), then
   * everything is synced and closed. Connections that are not done after `deadlineMs` (default 4000) are cut.
   */
  close(deadlineMs?: number): Promise<void>;
}

export interface ConnectionInfo {
  /** Counts up from 1 over the life of the server. */
  readonly id: number;
  /** `127.0.0.1:45678`, `[::1]:45678` or `unix`. */
  readonly peer: string;
  /** Export chosen, or undefined if the handshake did not get that far. */
  readonly exportName: string | undefined;
  /** What it is, once it has chosen its export. */
  readonly session?: ObservedConnection;
  /** Why it ended; only in `disconnect`, as are the others: */
  readonly reason?: string;
  /** What it has done, if it had come as far as to choose an export; */
  readonly totals?: ConnectionTotals;
  /** and why not, if it had not. */
  readonly failure?: HandshakeFailure;
}
