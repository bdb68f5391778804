import { RING_CELLS, RING_CLOCK } from '../engine/ring-counters.js';
import { latencyBucket } from './latency.js';
import {
  BYTES_PER_CELL,
  CONNECTION,
  ERROR_NAMES,
  EXPORT,
  LAST_COMMAND,
  OPERATION,
  PROBE,
  THREAD,
  type ThreadLayout,
  threadLayout,
  UNKNOWN_COMMAND,
} from './layout.js';
import type { ConnectionTotals, ObservedThread } from './observation.js';
import { monotonicMs, ProbeRecord } from './probe-record.js';
import { HANDSHAKE_FAILURES, type HandshakeFailure } from './snapshot.js';

// Constants of the module: V8 puts their values into the code, which it does not for an object's properties.
const OPERATIONS_AT = EXPORT.operations;
const OPERATION_CELLS = OPERATION.cells;
const REQUESTS_AT = OPERATION.requests;
const BYTES_AT = OPERATION.bytes;
const LATENCY_AT = OPERATION.latencyMicroseconds;
const DISK_AT = OPERATION.diskMicroseconds;
const ERRORS_AT = OPERATION.errors;
const LATENCY_COUNTS_AT = OPERATION.latencyCounts;
const DISK_COUNTS_AT = OPERATION.diskCounts;
const IN_FLIGHT = EXPORT.inFlight;
const IN_FLIGHT_MOST = EXPORT.inFlightMost;
const GIVEN_UP = EXPORT.givenUp;
const ALIGNMENT_FIXES = EXPORT.alignmentFixes;
const CONNECTION_REQUESTS = CONNECTION.requests;
const CONNECTION_ERRORS = CONNECTION.errors;
const CONNECTION_ANSWERED = CONNECTION.answered;
const CONNECTION_READ = CONNECTION.readBytes;
const CONNECTION_WRITTEN = CONNECTION.writtenBytes;
const CONNECTION_RECEIVED = CONNECTION.receivedBytes;
const CONNECTION_SENT = CONNECTION.sentBytes;

const COMMAND_READ = 0;
const COMMAND_WRITE = 1;

/** Names of the errors of the wire, by their place; their numbers are Linux's. */
const ERROR_PLACES: ReadonlyMap<number, number> = new Map(
  [1, 5, 12, 22, 28, 75, 95, 108].map((error, place) => [error, place]),
);
const UNKNOWN_ERROR_PLACE = ERROR_NAMES.indexOf('EIO');

/** What is known of requests, by their number. Times are µs of the ring's clock. */
export interface RequestFacts {
  /** Of what they are about, bytes. */
  readonly length: Float64Array;
  /** When they had been parsed. */
  readonly startedAt: Float64Array;
  /** How long I/O of theirs was at work; 0 if there was none. */
  readonly diskTime: Float64Array;
}

/**
 * What one thread counts of one export. All methods are for the data path: they allocate nothing, and times go from table to
 * table, since V8 allocates a double that is an argument. Everything lies in one array, of which V8 then looks up the address
 * and the length once.
 */
export class ExportRecord {
  /** What the thread tells of its probes of it, if it is the one that makes them. */
  readonly probe: ProbeRecord;
  /** Of the whole thread, the ring's clock among them. */
  readonly #cells: Float64Array;
  /** Where those of this export begin. */
  readonly #at: number;

  constructor(cells: Float64Array, at: number) {
    this.#cells = cells;
    this.#at = at;
    this.probe = new ProbeRecord(cells.subarray(at + EXPORT.probe, at + EXPORT.probe + PROBE.cells));
  }

  /** A request has been taken in. */
  began(command: number, connection: ConnectionRecord): void {
    const cells = this.#cells;
    const at = this.#at;
    cells[at + operationAt(command) + REQUESTS_AT]!++;
    const inFlight = cells[at + IN_FLIGHT]! + 1;
    cells[at + IN_FLIGHT] = inFlight;
    if (inFlight > cells[at + IN_FLIGHT_MOST]!) cells[at + IN_FLIGHT_MOST] = inFlight;
    cells[connection.at + CONNECTION_REQUESTS]!++;
  }

  /**
   * A request is being answered; `error` is one of the wire, or 0. The end of its answer has `sentBytes`. All of its time was the
   * disk's if `isWhole`.
   */
  answered(
    command: number,
    error: number,
    facts: RequestFacts,
    request: number,
    connection: ConnectionRecord,
    sentBytes: number,
    isWhole: boolean,
  ): void {
    const cells = this.#cells;
    const at = this.#at;
    const operation = at + operationAt(command);
    const took = cells[RING_CLOCK]! - facts.startedAt[request]!;
    cells[operation + LATENCY_AT]! += took;
    const bucket = latencyBucket(took);
    cells[operation + LATENCY_COUNTS_AT + bucket]!++;
    if (isWhole) {
      cells[operation + DISK_AT]! += took;
      cells[operation + DISK_COUNTS_AT + bucket]!++;
    } else {
      const disk = facts.diskTime[request]!;
      if (disk !== 0) {
        cells[operation + DISK_AT]! += disk;
        cells[operation + DISK_COUNTS_AT + latencyBucket(disk)]!++;
      }
    }
    cells[at + IN_FLIGHT]!--;
    const connectionAt = connection.at;
    cells[connectionAt + CONNECTION_ANSWERED]!++;
    cells[connectionAt + CONNECTION_SENT]! += sentBytes;
    if (error !== 0) {
      cells[operation + ERRORS_AT + (ERROR_PLACES.get(error) ?? UNKNOWN_ERROR_PLACE)]!++;
      cells[connectionAt + CONNECTION_ERRORS]!++;
      return;
    }
    const length = facts.length[request]!;
    cells[operation + BYTES_AT]! += length;
    if (command === COMMAND_READ) cells[connectionAt + CONNECTION_READ]! += length;
    else if (command === COMMAND_WRITE) cells[connectionAt + CONNECTION_WRITTEN]! += length;
  }

  /** A request's client is gone: it will not be answered. */
  gaveUp(connection: ConnectionRecord): void {
    this.#cells[this.#at + GIVEN_UP]!++;
    this.#cells[this.#at + IN_FLIGHT]!--;
    this.#cells[connection.at + CONNECTION_ANSWERED]!++;
  }

  /** A request did not fit the alignment of direct I/O. */
  mended(): void {
    this.#cells[this.#at + ALIGNMENT_FIXES]!++;
  }

  connected(): void {
    this.#cells[this.#at + EXPORT.connections]!++;
    this.#cells[this.#at + EXPORT.connectionsTotal]!++;
  }

  disconnected(): void {
    this.#cells[this.#at + EXPORT.connections]!--;
  }
}

/** Where an operation's counters begin among those of an export. */
function operationAt(command: number): number {
  return OPERATIONS_AT + (command <= LAST_COMMAND ? command : UNKNOWN_COMMAND) * OPERATION_CELLS;
}

/** What is counted of one connection, in a slot that goes to another one when it has ended. */
export class ConnectionRecord {
  /** The server's number of the connection. */
  readonly id: number;
  /** Its place in the thread's memory: which slot it is, and the cell where that begins. */
  readonly slot: number;
  at: number;
  /** Of the whole thread. */
  readonly #cells: Float64Array;

  constructor(cells: Float64Array, slot: number, at: number, id: number) {
    this.#cells = cells;
    this.slot = slot;
    this.at = at;
    cells.fill(0, at, at + CONNECTION.cells);
    cells[at + CONNECTION.id] = id;
    this.id = id;
  }

  received(bytes: number): void {
    this.#cells[this.at + CONNECTION_RECEIVED]! += bytes;
  }

  /** A piece of an answer that is not its end. */
  sent(bytes: number): void {
    this.#cells[this.at + CONNECTION_SENT]! += bytes;
  }

  /** What it has come to. */
  totals(): ConnectionTotals {
    return connectionTotals(this.#cells.subarray(this.at, this.at + CONNECTION.cells));
  }

  /**
   * From now on readers find nothing in the slot. What is still counted of the connection, such as requests that end when it is
   * gone, goes to a place that nobody reads: its own may be another's by then.
   */
  end(nowhere: number): void {
    this.#cells[this.at + CONNECTION.id] = 0;
    this.at = nowhere;
  }
}

/** What the cells of a connection say. */
export function connectionTotals(cells: Float64Array): ConnectionTotals {
  return {
    requests: cells[CONNECTION.requests]!,
    readBytes: cells[CONNECTION.readBytes]!,
    writtenBytes: cells[CONNECTION.writtenBytes]!,
    errors: cells[CONNECTION.errors]!,
    receivedBytes: cells[CONNECTION.receivedBytes]!,
    sentBytes: cells[CONNECTION.sentBytes]!,
  };
}

/** Everything that one thread counts. */
export class ThreadRecord {
  /** What the addon counts, and its clock: for the ring of the same thread. */
  readonly ring: Float64Array;
  /** By the number of the export. */
  readonly exports: readonly ExportRecord[];
  readonly #thread: Float64Array;
  readonly #cells: Float64Array;
  readonly #layout: ThreadLayout;
  readonly #freeSlots: Int32Array;
  #freeCount: number;

  /** Memory for so many connections at once and so many exports. */
  static allocate(connections: number, exports: number): ObservedThread {
    const { cells } = threadLayout(connections, exports);
    return { memory: new SharedArrayBuffer(cells * BYTES_PER_CELL), connections, exports };
  }

  /** Each memory has one thread that makes this of it. */
  constructor({ memory, connections, exports }: ObservedThread) {
    const layout = threadLayout(connections, exports);
    const cells = new Float64Array(memory);
    this.#layout = layout;
    this.#cells = cells;
    this.ring = cells.subarray(0, RING_CELLS);
    this.#thread = cells.subarray(layout.thread, layout.thread + THREAD.cells);
    this.exports = Array.from(
      { length: exports },
      (_, i) => new ExportRecord(cells, layout.exports + i * EXPORT.cells),
    );
    this.#freeSlots = Int32Array.from({ length: connections }, (_, i) => connections - 1 - i);
    this.#freeCount = connections;
  }

  /** A slot for a connection; there is one for each that a server lets in. */
  connect(id: number): ConnectionRecord {
    if (this.#freeCount === 0) throw new Error('more connections than there are slots to count them in');
    const slot = this.#freeSlots[--this.#freeCount]!;
    const at = this.#layout.connections + slot * CONNECTION.cells;
    return new ConnectionRecord(this.#cells, slot, at, id);
  }

  disconnect(connection: ConnectionRecord): void {
    connection.end(this.#layout.nowhere);
    this.#freeSlots[this.#freeCount++] = connection.slot;
  }

  handshakeFailed(reason: HandshakeFailure): void {
    this.#thread[THREAD.handshakeFailures + HANDSHAKE_FAILURES.indexOf(reason)]!++;
  }

  /** A connection will not be read from until memory or a request is free. */
  stopped(): void {
    this.#thread[THREAD.backpressureStops]!++;
  }

  bufferMemory(bytes: number): void {
    this.#thread[THREAD.bufferBytes] = bytes;
  }

  bufferUsed(bytes: number): void {
    this.#thread[THREAD.bufferUsedBytes] = bytes;
  }

  /** When somebody last wanted to know how exports are, ms of `monotonicMs`; 0: nobody has. */
  get probesWantedAtMs(): number {
    return this.#thread[THREAD.probesWantedAtMs]!;
  }

  /** To be called about once a second: the event loop turns, and was late by at most so much since the last call. */
  alive(nowMs: number, loopLagSeconds: number, nowMonotonicMs = monotonicMs()): void {
    this.#thread[THREAD.loopLagSeconds] = loopLagSeconds;
    this.#thread[THREAD.aliveAtMs] = nowMs;
    this.#thread[THREAD.aliveMonotonicMs] = nowMonotonicMs;
  }
}
