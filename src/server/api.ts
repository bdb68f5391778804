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
  /** A regular file or a block device; relative to the working directory, if it is not absolute. */
  readonly path: string;
  /** Refuse writes. Default false. */
  readonly readOnly?: boolean;
  /** Direct I/O or the page cache. Default `auto`. */
  readonly direct?: DirectMode;
  /** Free text shown by LIST and INFO; at most 4096 bytes. */
  readonly description?: string;
}

/**
 * Where to listen: at a host name or an IP address (IPv6 without brackets) and a port, of which 0 takes a free one, or at the path of a Unix
 * socket, at most 107 bytes. {@link Server.listen} resolves to the address as bound.
 */
export type ListenAddress =
  | {
      /** TCP. */
      readonly kind: 'tcp';
      /** A host name, or an IP address. */
      readonly host: string;
      /** 0 to 65535. */
      readonly port: number;
    }
  | {
      /** A Unix socket. */
      readonly kind: 'unix';
      /** Where it is, or is to be. */
      readonly path: string;
    };

/**
 * A socket that another process (a service manager, or a client that starts its own server) has made to listen: a descriptor of
 * this process, which belongs to the server once `listen` has resolved.
 */
export interface InheritedSocket {
  /** Tells it from the addresses of {@link ListenAddress}. */
  readonly kind: 'inherited';
  /** The descriptor's number. */
  readonly fd: number;
}

/** The part of pino's interface that the server uses; a pino logger fits as it is. docs/logs.md lists all messages with their fields. */
export interface Logger {
  /** What is of use to whoever looks for a fault. */
  debug(fields: object, message: string): void;
  /** What is as it should be: clients that come and go. */
  info(fields: object, message: string): void;
  /** What an operator should look at some time: a fallback to the page cache, a slow request. */
  warn(fields: object, message: string): void;
  /** What has failed: I/O, a sync, a thread. */
  error(fields: object, message: string): void;
}

/**
 * What becomes of requests that come while the server stops. `refuse`: they are answered ESHUTDOWN for 100 ms, which the kernel's
 * client and qemu hand on to their users as I/O errors. `disconnect`: they are not read, and the connections are closed as soon as
 * what is in flight is answered; clients that connect again repeat them then.
 */
export type OnStop = 'refuse' | 'disconnect';

/** What {@link createServer} takes. A number outside of its range throws AIONBD_E_USAGE. */
export interface ServerOptions {
  /** What to serve, one at least. Two exports may share a file, but not a name. */
  readonly exports: readonly ExportOptions[];
  /** Name of the export that the empty name stands for. Default: the first export. */
  readonly defaultExport?: string;
  /** Take an advisory lock on each file (exclusive when writable, shared when read-only). Default true. */
  readonly lock?: boolean;
  /** Memory for data in flight, bytes. Default 64 MiB; 8 MiB to 2 GiB. */
  readonly bufferMemoryBytes?: number;
  /** Requests in flight over all connections. Default 1024; 16 to 32768. */
  readonly queueDepth?: number;
  /**
   * How long to look for the next request before sleeping, µs (1 to 1000), which saves the wake-up; `auto` does so only
   * where that finds the next request soon, nobody else wants the processor, and there are more processors than `threads`. Default `auto`.
   */
  readonly busyPoll?: 'auto' | 'off' | number;
  /** Connections at once; one beyond that is closed as soon as it is accepted. Default 1024; 1 to 65536. */
  readonly maxConnections?: number;
  /** Time a client has for the handshake, ms. Default 10 000; 10 at least. */
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
  /** As in {@link ExportOptions}. */
  readonly name: string;
  /** As in {@link ExportOptions}. */
  readonly path: string;
  /** As in {@link ExportOptions}; empty if there was none. */
  readonly description: string;
  /** Of the file, when it was opened. */
  readonly sizeBytes: number;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** Whether I/O is direct; with `auto` this is what was found. */
  readonly direct: boolean;
  /** A few of its counters; look at it anew each time: what it holds is the sums at that moment. All there is has {@link Server.snapshot}. */
  readonly counters: ExportCounters;
}

/**
 * A server, made by {@link createServer}. Events: `connection` when a client has chosen its export and `disconnect` when it has gone
 * (both with a {@link ConnectionInfo}), and `draining` when a stop begins.
 */
export interface Server extends EventEmitter {
  /** In the order in which they were given. */
  readonly exports: readonly ServedExport[];
  /** Name of the export that a client gets which asks for the empty name. */
  readonly defaultExport: string;
  /**
   * Starts to listen; resolves to the address as bound: a real port instead of 0, and of an inherited socket what it is bound
   * to (`@` begins an abstract name). May be called for several addresses.
   *
   * @throws {@link AionbdError} AIONBD_E_LISTEN; `Error` after {@link Server.close}
   */
  listen(address: ListenAddress | InheritedSocket): Promise<ListenAddress>;
  /**
   * Serves one client over a stream socket that is connected already. The descriptor belongs to the server from then on; those of
   * stdin, stdout and stderr stay open.
   *
   * @returns the connection's id; `disconnect` tells of its end
   * @throws {@link AionbdError} AIONBD_E_LISTEN if the descriptor is no such thing; `Error` after {@link Server.close}
   */
  serve(fd: number): number;
  /** Everything that is counted, and what the filesystems say now. Waits for a filesystem as long as that takes, but keeps no client waiting. */
  snapshot(): Promise<ServerSnapshot>;
  /**
   * What a {@link SnapshotReader} on another thread needs: shared memory and plain facts, as of now. The events tell it of
   * what comes later.
   */
  observation(): ServerObservation;
  /**
   * Stops: no new connections, requests in flight are finished, new ones are answered ESHUTDOWN (or as `onStop` says), then
   * everything is synced and closed. A second call waits for the same stop.
   *
   * @param deadlineMs connections that are not done by then are cut, ms. Default 4000
   */
  close(deadlineMs?: number): Promise<void>;
}

/** A client, as the events of {@link Server} tell of it. */
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
