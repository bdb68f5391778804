import { LATENCY_BOUNDS_SECONDS } from '../metrics/latency.js';
import type {
  ConnectionSnapshot,
  ExportSnapshot,
  Operation,
  OperationSnapshot,
  ReactorSnapshot,
  ServerSnapshot,
} from '../metrics/snapshot.js';
import { addHistogram, histogramSince, percentile } from './percentile.js';

/** What went on between two snapshots. Rates are per second; latencies in seconds, undefined where nothing was answered. */
export interface Activity {
  readonly readIops: number;
  readonly writeIops: number;
  /** All but reads and writes. */
  readonly otherIops: number;
  readonly iops: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly errors: number;
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  /** The disk's share. */
  readonly diskP50: number | undefined;
  readonly diskP99: number | undefined;
}

export interface ExportActivity extends Activity {
  readonly of: ExportSnapshot;
  /** Since the start of the server. */
  readonly requestsTotal: number;
  readonly errorsTotal: number;
}

export interface ConnectionActivity {
  readonly of: ConnectionSnapshot;
  readonly iops: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly errors: number;
}

/** A thread; what it did is per second. */
export interface ThreadActivity {
  readonly of: ReactorSnapshot;
  readonly turns: number;
  readonly ioSubmitCalls: number;
  readonly ioSubmitted: number;
  readonly nowaitFallbacks: number;
  readonly backpressureStops: number;
}

/** A server as it is shown: how it is, and what it has done lately. */
export interface Picture {
  readonly snapshot: ServerSnapshot;
  /** Over what time the rates are, seconds; 0 before there are two snapshots. */
  readonly seconds: number;
  readonly total: Activity;
  readonly exports: readonly ExportActivity[];
  readonly connections: readonly ConnectionActivity[];
  readonly threads: readonly ThreadActivity[];
  readonly inFlight: number;
  readonly errorsTotal: number;
}

/**
 * What has happened between two snapshots of a server. Where `before` is missing, or is of a server that has ended since,
 * rates are 0 and latencies those of the whole time.
 */
export function compare(before: ServerSnapshot | undefined, after: ServerSnapshot): Picture {
  const older = before !== undefined && isOlder(before, after) ? before : undefined;
  const seconds = older === undefined ? 0 : (after.takenAtMs - older.takenAtMs) / 1000;
  const exportsBefore = new Map(older?.exports.map((target) => [target.name, target]));
  const connectionsBefore = new Map(older?.connections.map((connection) => [connection.id, connection]));
  const total = new Sums();
  const exports = after.exports.map((target) => {
    const sums = new Sums();
    sums.addExport(exportsBefore.get(target.name), target);
    total.addExport(exportsBefore.get(target.name), target);
    return { of: target, ...sums.activity(seconds), ...totalsOf(target) };
  });
  return {
    snapshot: after,
    seconds,
    total: total.activity(seconds),
    exports,
    connections: after.connections.map((connection) =>
      connectionActivity(connectionsBefore.get(connection.id), connection, seconds),
    ),
    threads: after.reactors.map((reactor, i) => threadActivity(older?.reactors[i], reactor, seconds)),
    inFlight: after.exports.reduce((sum, { inFlight }) => sum + inFlight, 0),
    errorsTotal: exports.reduce((sum, { errorsTotal }) => sum + errorsTotal, 0),
  };
}

/** Of the same server, and earlier. */
function isOlder(before: ServerSnapshot, after: ServerSnapshot): boolean {
  return (
    before.pid === after.pid && before.startedAtMs === after.startedAtMs && before.takenAtMs < after.takenAtMs
  );
}

/** Sums over operations, of one export or of all. */
class Sums {
  #reads = 0;
  #writes = 0;
  #others = 0;
  #readBytes = 0;
  #writtenBytes = 0;
  #errors = 0;
  readonly #latency: number[] = [];
  readonly #diskLatency: number[] = [];

  addExport(before: ExportSnapshot | undefined, after: ExportSnapshot): void {
    for (const [operation, now] of operationsOf(after))
      this.#add(operation, before?.operations[operation], now);
  }

  #add(operation: Operation, before: OperationSnapshot | undefined, after: OperationSnapshot): void {
    const requests = rise(before?.requests, after.requests);
    const bytes = rise(before?.bytes, after.bytes);
    if (operation === 'read') {
      this.#reads += requests;
      this.#readBytes += bytes;
    } else if (operation === 'write') {
      this.#writes += requests;
      this.#writtenBytes += bytes;
    } else this.#others += requests;
    this.#errors += rise(before && errorsOf(before), errorsOf(after));
    addHistogram(this.#latency, histogramSince(before?.latency, after.latency));
    addHistogram(this.#diskLatency, histogramSince(before?.diskLatency, after.diskLatency));
  }

  activity(seconds: number): Activity {
    const perSecond = (value: number) => (seconds > 0 ? value / seconds : 0);
    const at = (counts: readonly number[], fraction: number) =>
      percentile(counts, fraction, LATENCY_BOUNDS_SECONDS);
    return {
      readIops: perSecond(this.#reads),
      writeIops: perSecond(this.#writes),
      otherIops: perSecond(this.#others),
      iops: perSecond(this.#reads + this.#writes + this.#others),
      readBytes: perSecond(this.#readBytes),
      writtenBytes: perSecond(this.#writtenBytes),
      errors: perSecond(this.#errors),
      p50: at(this.#latency, 0.5),
      p99: at(this.#latency, 0.99),
      diskP50: at(this.#diskLatency, 0.5),
      diskP99: at(this.#diskLatency, 0.99),
    };
  }
}

function connectionActivity(
  before: ConnectionSnapshot | undefined,
  after: ConnectionSnapshot,
  seconds: number,
): ConnectionActivity {
  const perSecond = (was: number | undefined, is: number) => (seconds > 0 ? rise(was, is) / seconds : 0);
  return {
    of: after,
    iops: perSecond(before?.requests, after.requests),
    readBytes: perSecond(before?.readBytes, after.readBytes),
    writtenBytes: perSecond(before?.writtenBytes, after.writtenBytes),
    errors: perSecond(before?.errors, after.errors),
  };
}

function threadActivity(
  before: ReactorSnapshot | undefined,
  after: ReactorSnapshot,
  seconds: number,
): ThreadActivity {
  const perSecond = (
    counter: 'turns' | 'ioSubmitCalls' | 'ioSubmitted' | 'nowaitFallbacks' | 'backpressureStops',
  ) => (seconds > 0 ? rise(before?.[counter], after[counter]) / seconds : 0);
  return {
    of: after,
    turns: perSecond('turns'),
    ioSubmitCalls: perSecond('ioSubmitCalls'),
    ioSubmitted: perSecond('ioSubmitted'),
    nowaitFallbacks: perSecond('nowaitFallbacks'),
    backpressureStops: perSecond('backpressureStops'),
  };
}

function totalsOf(target: ExportSnapshot) {
  let requestsTotal = 0;
  let errorsTotal = 0;
  for (const [, operation] of operationsOf(target)) {
    requestsTotal += operation.requests;
    errorsTotal += errorsOf(operation);
  }
  return { requestsTotal, errorsTotal };
}

/** Bytes of one operation since the start of the server. */
export function bytesTotal(target: ExportSnapshot, operation: Operation): number {
  return target.operations[operation]?.bytes ?? 0;
}

/** Those that are in the snapshot: a server may leave out what was never used. */
function operationsOf(target: ExportSnapshot): [Operation, OperationSnapshot][] {
  return Object.entries(target.operations) as [Operation, OperationSnapshot][];
}

function errorsOf(operation: OperationSnapshot): number {
  return Object.values(operation.errors).reduce((sum, count) => sum + count, 0);
}

/** Counters never fall; what does so is a torn read, or another server. */
function rise(before: number | undefined, after: number): number {
  return Math.max(after - (before ?? 0), 0);
}
