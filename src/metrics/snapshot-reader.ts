import {
  RING_IO_SUBMIT_CALLS,
  RING_IO_SUBMITTED,
  RING_NOWAIT_FALLBACKS,
  RING_READER_WAITS,
  RING_RECEIVE_CALLS,
  RING_RECEIVED_BYTES,
  RING_SEND_CALLS,
  RING_SENT_BYTES,
  RING_TURNS,
} from '../engine/ring-counters.js';
import { LATENCY_BUCKETS } from './latency.js';
import {
  CONNECTION,
  ERROR_NAMES,
  EXPORT,
  OPERATION,
  OPERATIONS_BY_PLACE,
  THREAD,
  type ThreadLayout,
  threadLayout,
} from './layout.js';
import type { ObservedConnection, ObservedThread, ServerObservation } from './observation.js';
import { connectionTotals } from './record.js';
import {
  type ConnectionSnapshot,
  type ExportHealth,
  type ExportSnapshot,
  HANDSHAKE_FAILURES,
  type HandshakeFailure,
  type LatencySnapshot,
  OPERATIONS,
  type Operation,
  type OperationSnapshot,
  type ReactorSnapshot,
  type ServerSnapshot,
  type Warning,
} from './snapshot.js';

/** What the filesystem says of an export's file; undefined where it says nothing (block devices), or was not asked yet. */
export interface FileFacts {
  /** That the file takes, holes left out. */
  readonly allocatedBytes: number | undefined;
  /** Free for whoever is not root. */
  readonly filesystemFreeBytes: number | undefined;
  /** The whole filesystem. */
  readonly filesystemSizeBytes: number | undefined;
}

/** What a {@link SnapshotReader} can be given besides. */
export interface SnapshotReaderOptions {
  /** What an operator should look at, found in a snapshot that has no warnings yet. Default: nothing. */
  readonly warn?: (snapshot: ServerSnapshot) => readonly Warning[];
}

const NO_FACTS: FileFacts = Object.freeze({
  allocatedBytes: undefined,
  filesystemFreeBytes: undefined,
  filesystemSizeBytes: undefined,
});
const HEALTHY: ExportHealth = Object.freeze({ healthy: true, reason: '', probeSeconds: undefined });

const NO_LATENCY: LatencySnapshot = Object.freeze({
  counts: Object.freeze(new Array<number>(LATENCY_BUCKETS).fill(0)),
  sumSeconds: 0,
});
/** An operation that nobody has asked for yet, as are most of them. */
const UNUSED: OperationSnapshot = Object.freeze({
  requests: 0,
  bytes: 0,
  errors: Object.freeze({}),
  latency: NO_LATENCY,
  diskLatency: NO_LATENCY,
});

/** A thread's memory, to be read. */
interface View {
  readonly cells: Float64Array;
  readonly layout: ThreadLayout;
}

/**
 * Makes snapshots of a server out of the memory that its threads count in: on any thread, and without keeping them waiting.
 * It is told when connections begin and end, and what the filesystem and probes say; it asks nobody anything.
 */
export class SnapshotReader {
  readonly #observation: ServerObservation;
  readonly #warn: (snapshot: ServerSnapshot) => readonly Warning[];
  readonly #threads: readonly View[];
  readonly #acceptor: View | undefined;
  readonly #connections = new Map<number, ObservedConnection>();
  readonly #facts: FileFacts[];
  readonly #health: ExportHealth[];
  #state: ServerSnapshot['state'];

  /**
   * @param observation of {@link Server.observation}, which may come from another thread
   * @param options what to do besides
   */
  constructor(observation: ServerObservation, { warn = () => [] }: SnapshotReaderOptions = {}) {
    this.#observation = observation;
    this.#warn = warn;
    this.#threads = observation.threads.map(viewOf);
    this.#acceptor = observation.acceptor && viewOf(observation.acceptor);
    this.#facts = observation.exports.map(() => NO_FACTS);
    this.#health = observation.exports.map(() => HEALTHY);
    this.#state = observation.state;
    for (const connection of observation.connections) this.began(connection);
  }

  /** What does not change, by the number of the export; {@link SnapshotReader.fileFacts} and {@link SnapshotReader.health} take that number. */
  get exports(): ServerObservation['exports'] {
    return this.#observation.exports;
  }

  /** A connection has begun: `session` of the event `connection`. */
  began(connection: ObservedConnection): void {
    this.#connections.set(connection.id, connection);
  }

  /** A connection has ended, by its id. One that never began is let pass. */
  ended(id: number): void {
    this.#connections.delete(id);
  }

  /** The server has begun to stop. */
  draining(): void {
    this.#state = 'draining';
  }

  /** From now on this is what the filesystem says of the export with this number. */
  fileFacts(index: number, facts: FileFacts): void {
    this.#facts[index] = facts;
  }

  /** What {@link SnapshotReader.fileFacts} was told last of the export with this number. */
  factsOf(index: number): FileFacts {
    return this.#facts[index] ?? NO_FACTS;
  }

  /** From now on this is how healthy the export with this number is. Healthy, as long as nothing is said. */
  health(index: number, health: ExportHealth): void {
    this.#health[index] = health;
  }

  /**
   * The server as it is now.
   *
   * @param takenAtMs the time, ms since 1970
   */
  snapshot(takenAtMs = Date.now()): ServerSnapshot {
    const { version, pid, startedAtMs, listeners, exports } = this.#observation;
    const snapshot: ServerSnapshot = {
      schema: 1,
      version,
      pid,
      startedAtMs,
      takenAtMs,
      state: this.#state,
      listeners,
      exports: exports.map((_, index) => this.#export(index)),
      connections: [...this.#connections.values()].flatMap((connection) => this.#connection(connection)),
      reactors: this.#threads.map(reactorOf),
      handshakeFailures: this.#handshakeFailures(),
      warnings: [],
    };
    return { ...snapshot, warnings: this.#warn(snapshot) };
  }

  #export(index: number): ExportSnapshot {
    const { blockDevice, ...facts } = this.#observation.exports[index]!;
    const cells = this.#threads.map(({ cells, layout }) => {
      const at = layout.exports + index * EXPORT.cells;
      return cells.subarray(at, at + EXPORT.cells);
    });
    const sum = (at: number) => sumOf(cells, at);
    const operations = {} as Record<Operation, OperationSnapshot>;
    for (const operation of OPERATIONS) {
      const place = OPERATIONS_BY_PLACE.indexOf(operation);
      operations[operation] = operationOf(cells, EXPORT.operations + place * OPERATION.cells);
    }
    return {
      ...facts,
      ...this.#facts[index]!,
      operations,
      inFlight: Math.max(0, sum(EXPORT.inFlight)),
      inFlightMost: sum(EXPORT.inFlightMost),
      requestsGivenUp: sum(EXPORT.givenUp),
      alignmentFixes: sum(EXPORT.alignmentFixes),
      connections: sum(EXPORT.connections),
      connectionsTotal: sum(EXPORT.connectionsTotal),
      health: this.#health[index]!,
    };
  }

  /** Nothing if its slot is somebody else's by now: then its end has not yet been told. */
  #connection(connection: ObservedConnection): ConnectionSnapshot[] {
    const { slot, ...facts } = connection;
    const view = this.#threads[connection.reactor];
    if (view === undefined) return [];
    const at = view.layout.connections + slot * CONNECTION.cells;
    // A copy, so that it is of the same connection before and after.
    const cells = view.cells.slice(at, at + CONNECTION.cells);
    if (cells[CONNECTION.id] !== connection.id || view.cells[at + CONNECTION.id] !== connection.id) return [];
    return [
      {
        ...facts,
        transport: connection.peer === 'unix' ? 'unix' : 'tcp',
        ...connectionTotals(cells),
        inFlight: Math.max(0, cells[CONNECTION.requests]! - cells[CONNECTION.answered]!),
      },
    ];
  }

  #handshakeFailures(): Record<HandshakeFailure, number> {
    const views = this.#acceptor ? [...this.#threads, this.#acceptor] : this.#threads;
    const failures = {} as Record<HandshakeFailure, number>;
    for (const [place, reason] of HANDSHAKE_FAILURES.entries()) {
      failures[reason] = views.reduce(
        (total, { cells, layout }) => total + cells[layout.thread + THREAD.handshakeFailures + place]!,
        0,
      );
    }
    return failures;
  }
}

function viewOf({ memory, connections, exports }: ObservedThread): View {
  return { cells: new Float64Array(memory), layout: threadLayout(connections, exports) };
}

function sumOf(parts: readonly Float64Array[], cell: number): number {
  let total = 0;
  for (const part of parts) total += part[cell]!;
  return total;
}

// A thousand exports have eight operations each, so this is written for speed.
function operationOf(parts: readonly Float64Array[], at: number): OperationSnapshot {
  const requests = sumOf(parts, at + OPERATION.requests);
  if (requests === 0) return UNUSED;
  const errors: Record<string, number> = {};
  for (let place = 0; place < ERROR_NAMES.length; place++) {
    const count = sumOf(parts, at + OPERATION.errors + place);
    if (count > 0) errors[ERROR_NAMES[place]!] = count;
  }
  return {
    requests,
    bytes: sumOf(parts, at + OPERATION.bytes),
    errors,
    latency: latencyOf(parts, at + OPERATION.latencyMicroseconds, at + OPERATION.latencyCounts),
    diskLatency: latencyOf(parts, at + OPERATION.diskMicroseconds, at + OPERATION.diskCounts),
  };
}

function latencyOf(parts: readonly Float64Array[], microseconds: number, first: number): LatencySnapshot {
  const counts: number[] = [];
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) counts.push(sumOf(parts, first + bucket));
  return { counts, sumSeconds: sumOf(parts, microseconds) / 1e6 };
}

function reactorOf({ cells, layout }: View, index: number): ReactorSnapshot {
  const thread = (place: number) => cells[layout.thread + place]!;
  return {
    index,
    turns: cells[RING_TURNS]!,
    ioSubmitCalls: cells[RING_IO_SUBMIT_CALLS]!,
    ioSubmitted: cells[RING_IO_SUBMITTED]!,
    nowaitFallbacks: cells[RING_NOWAIT_FALLBACKS]!,
    receivedBytes: cells[RING_RECEIVED_BYTES]!,
    sentBytes: cells[RING_SENT_BYTES]!,
    receiveCalls: cells[RING_RECEIVE_CALLS]!,
    sendCalls: cells[RING_SEND_CALLS]!,
    readerWaits: cells[RING_READER_WAITS]!,
    bufferBytes: thread(THREAD.bufferBytes),
    bufferUsedBytes: thread(THREAD.bufferUsedBytes),
    backpressureStops: thread(THREAD.backpressureStops),
    loopLagSeconds: thread(THREAD.loopLagSeconds),
    aliveAtMs: thread(THREAD.aliveAtMs),
  };
}
