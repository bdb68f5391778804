/**
 * All there is to know of a running server at one moment, as plain JSON: the status page, `aionbd top`, `aionbd status`
 * and the metrics page show nothing else. Counters count from the start of the server and never fall; rates are for
 * whoever compares two snapshots.
 */
export interface ServerSnapshot {
  /** 1; another number where a field has changed its meaning. */
  readonly schema: 1;
  /** Of aionbd. */
  readonly version: string;
  /** Of the process. */
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Milliseconds since 1970. */
  readonly takenAtMs: number;
  /** `draining` from the moment in which a stop begins. */
  readonly state: 'serving' | 'draining';
  /** As in `--listen`. */
  readonly listeners: readonly string[];
  /** In the order in which they were given. */
  readonly exports: readonly ExportSnapshot[];
  /** Those that have chosen an export. */
  readonly connections: readonly ConnectionSnapshot[];
  /** One for each thread that serves connections. */
  readonly reactors: readonly ReactorSnapshot[];
  /** Handshakes that led to nothing, by reason; all reasons are there. */
  readonly handshakeFailures: Readonly<Record<HandshakeFailure, number>>;
  /** What an operator should look at, in plain words. */
  readonly warnings: readonly Warning[];
}

/** The commands that metrics tell apart; `unknown` are those that we do not know. */
export const OPERATIONS = Object.freeze([
  'read',
  'write',
  'flush',
  'trim',
  'cache',
  'write_zeroes',
  'block_status',
  'unknown',
] as const);

/** A kind of request. */
export type Operation = (typeof OPERATIONS)[number];

/** Why a handshake led to nothing. */
export const HANDSHAKE_FAILURES = Object.freeze([
  /** The client closed the connection, or it broke. */
  'closed',
  /** The client ended it as the protocol has it, by ABORT: a list of exports may be all that it wanted. */
  'abort',
  /** It took too long. */
  'timeout',
  /** The client broke a rule of the protocol. */
  'protocol_error',
  /** The client asked for an export that is not there, and for no other afterwards. */
  'unknown_export',
  /** There was no buffer memory for it. */
  'no_memory',
  'too_many_connections',
  /** No thread could take it. */
  'no_thread',
  'server_stopping',
] as const);

/** Why a handshake led to nothing; docs/metrics.md explains each. */
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number];

/** How long things took: `counts[i]` are those of at most `LATENCY_BOUNDS_SECONDS[i]`, the last those beyond all bounds. Not cumulative. */
export interface LatencySnapshot {
  /** One for each bucket. */
  readonly counts: readonly number[];
  /** Of all of them together. */
  readonly sumSeconds: number;
}

/** What was asked of one kind of request, of one export. */
export interface OperationSnapshot {
  /** Requests received; those in flight are among them. */
  readonly requests: number;
  /** Of requests that succeeded. */
  readonly bytes: number;
  /** Answered with an error, by NBD's name of it: `EIO`, `ENOSPC`, …; only those that have occurred. */
  readonly errors: Readonly<Record<string, number>>;
  /** From having parsed the request to having its answer on the way to the socket. */
  readonly latency: LatencySnapshot;
  /**
   * The disk's share of it: the time in which I/O of it was at work, or stood in line. Requests that led to no I/O are not
   * among its counts.
   */
  readonly diskLatency: LatencySnapshot;
}

/** One export. */
export interface ExportSnapshot {
  /** What clients ask for. */
  readonly name: string;
  /** Empty if it has none. */
  readonly description: string;
  /** As it was given. */
  readonly path: string;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** When it was opened. */
  readonly sizeBytes: number;
  /** Undefined where it can't be told (block devices). */
  readonly allocatedBytes: number | undefined;
  /** Free for whoever is not root, of the filesystem that the file lies on; undefined for block devices. */
  readonly filesystemFreeBytes: number | undefined;
  /** The same filesystem, used or not. */
  readonly filesystemSizeBytes: number | undefined;
  /** Whether I/O is direct. */
  readonly direct: boolean;
  /** Why it is not direct, in plain words; empty where it is. */
  readonly bufferedBecause: string;
  /** All of {@link Operation} are there. */
  readonly operations: Readonly<Record<Operation, OperationSnapshot>>;
  /** Requests being carried out. */
  readonly inFlight: number;
  /** The most there ever were in flight at once (with several threads, the sum of what each had at most). */
  readonly inFlightMost: number;
  /** Requests whose client was gone before they could be answered: requests = answered + given up + in flight. */
  readonly requestsGivenUp: number;
  /** Requests that did not fit the alignment of direct I/O and were mended by reading more, or by read-modify-write. */
  readonly alignmentFixes: number;
  /** Clients now connected. */
  readonly connections: number;
  /** Clients since the start. */
  readonly connectionsTotal: number;
  /** Whether its disk answers. */
  readonly health: ExportHealth;
}

/** What the probes say of an export; see docs/monitoring.md. */
export interface ExportHealth {
  /** False while its disk does not answer in time, or answers with an error. */
  readonly healthy: boolean;
  /** In plain words; empty where it is healthy. */
  readonly reason: string;
  /** How long the last probe took; undefined before the first. */
  readonly probeSeconds: number | undefined;
}

/** One connection in the transmission phase. */
export interface ConnectionSnapshot {
  /** Counts up from 1 over the life of the server. */
  readonly id: number;
  /** `127.0.0.1:45678`, `[::1]:45678` or `unix`. */
  readonly peer: string;
  /** Which kind of socket. */
  readonly transport: 'tcp' | 'unix';
  /** The export that it has chosen. */
  readonly exportName: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** The kind that was agreed on. */
  readonly replies: 'simple' | 'structured' | 'extended';
  /** Meta contexts by name, such as `base:allocation`. */
  readonly metaContexts: readonly string[];
  /** Requests received. */
  readonly requests: number;
  /** Read by the client; only of requests that succeeded. */
  readonly readBytes: number;
  /** Written by the client; only of requests that succeeded. */
  readonly writtenBytes: number;
  /** Requests that were answered with an error. */
  readonly errors: number;
  /** Requests being carried out. */
  readonly inFlight: number;
  /** On the wire since the handshake. */
  readonly receivedBytes: number;
  /** On the wire since the handshake. */
  readonly sentBytes: number;
  /** Thread that serves it, from 0. */
  readonly reactor: number;
}

/** One thread that serves connections. */
export interface ReactorSnapshot {
  /** From 0. */
  readonly index: number;
  /** Turns in which there was something to do. */
  readonly turns: number;
  /** Calls of io_submit. */
  readonly ioSubmitCalls: number;
  /** I/O handed to io_submit; ÷ calls is the batch. */
  readonly ioSubmitted: number;
  /** I/O that would have blocked and was given to a worker thread. */
  readonly nowaitFallbacks: number;
  /** From sockets. */
  readonly receivedBytes: number;
  /** To sockets. */
  readonly sentBytes: number;
  /** System calls that receive. */
  readonly receiveCalls: number;
  /** System calls that send. */
  readonly sendCalls: number;
  /** Times that a client was waited for to read its replies, so that its requests gather. */
  readonly readerWaits: number;
  /** Memory for data in flight. */
  readonly bufferBytes: number;
  /** Of it in use. */
  readonly bufferUsedBytes: number;
  /** How often a connection was not read from because memory or request slots had run out. */
  readonly backpressureStops: number;
  /** The longest that the event loop was late in the last second. */
  readonly loopLagSeconds: number;
  /** When its event loop last wrote that down, which it does once a second: older than that, and it hangs. Ms since 1970. */
  readonly aliveAtMs: number;
}

/** Something that an operator should look at. */
export interface Warning {
  /** Stable, for scripts: `buffered-fallback`, `filesystem-nearly-full`, `single-connection`, `export-unhealthy`, … */
  readonly kind: string;
  /** Export it is about; undefined if it is about all. */
  readonly exportName: string | undefined;
  /** For people: what is the matter, and what to do. */
  readonly text: string;
}
