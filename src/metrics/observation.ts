import type { HandshakeFailure, ServerSnapshot } from './snapshot.js';

/** Why an export with `direct=off` is buffered. Alerts and warnings leave it alone by these words. */
export const DIRECT_IS_OFF = 'direct I/O is switched off for it (direct=off)';

/**
 * What a {@link SnapshotReader} needs to know of a server, to be sent to whatever thread it is on. What changes later is told to
 * the reader by `began`, `ended` and `draining`, from the server's events of the same meaning.
 */
export interface ServerObservation {
  /** Of aionbd. */
  readonly version: string;
  /** Of the process. */
  readonly pid: number;
  /** Ms since 1970. */
  readonly startedAtMs: number;
  /** `draining` from the moment in which a stop begins. */
  readonly state: ServerSnapshot['state'];
  /** As in `--listen`. */
  readonly listeners: readonly string[];
  /** In the order in which they were given. */
  readonly exports: readonly ObservedExport[];
  /** One for each thread that serves connections, by its number. */
  readonly threads: readonly ObservedThread[];
  /** Counters of the thread that accepts, if that serves no connections itself; only its handshake failures count. */
  readonly acceptor: ObservedThread | undefined;
  /** Connections that had begun when this was made. */
  readonly connections: readonly ObservedConnection[];
}

/** What stays as it is of an export. */
export interface ObservedExport {
  /** What clients ask for. */
  readonly name: string;
  /** Empty if it has none. */
  readonly description: string;
  /** As it was given. */
  readonly path: string;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** Whether it is a block device, and no regular file. */
  readonly blockDevice: boolean;
  /** When it was opened. */
  readonly sizeBytes: number;
  /** Whether I/O is direct. */
  readonly direct: boolean;
  /** In plain words; empty where I/O is direct. */
  readonly bufferedBecause: string;
}

/** The memory in which a thread counts; see layout.ts. */
export interface ObservedThread {
  /** One writer, any number of readers. */
  readonly memory: SharedArrayBuffer;
  /** Connections and exports that it has room for. */
  readonly connections: number;
  /** The same of exports. */
  readonly exports: number;
}

/** A connection in the transmission phase, as it is from its beginning on. */
export interface ObservedConnection {
  /** Counts up from 1 over the life of the server. */
  readonly id: number;
  /** `127.0.0.1:45678`, `[::1]:45678` or `unix`. */
  readonly peer: string;
  /** The export that it has chosen. */
  readonly exportName: string;
  /** Ms since 1970. */
  readonly startedAtMs: number;
  /** The kind that was agreed on. */
  readonly replies: 'simple' | 'structured' | 'extended';
  /** By name. */
  readonly metaContexts: readonly string[];
  /** Thread that serves it, from 0. */
  readonly reactor: number;
  /** Where in its thread's memory it is counted. */
  readonly slot: number;
}

/** All that a connection has done, when it has ended. */
export interface ConnectionTotals {
  /** Requests received. */
  readonly requests: number;
  /** Read by the client; only of requests that succeeded. */
  readonly readBytes: number;
  /** Written by the client; only of requests that succeeded. */
  readonly writtenBytes: number;
  /** Requests that were answered with an error. */
  readonly errors: number;
  /** On the wire since the handshake. */
  readonly receivedBytes: number;
  /** On the wire since the handshake. */
  readonly sentBytes: number;
}

/** How a connection has ended. */
export interface ConnectionEnd {
  readonly id: number;
  /** Set if it ended before its handshake had. */
  readonly failure: HandshakeFailure | undefined;
}
