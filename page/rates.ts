// What happened between two snapshots, as rates.

import { LATENCY_BOUNDS_SECONDS } from '../src/metrics/latency.js';
import type {
  ConnectionSnapshot,
  ExportSnapshot,
  OperationSnapshot,
  ServerSnapshot,
} from '../src/metrics/snapshot.js';

/** What /api/live sends: a snapshot in which operations that have never been used are left out. */
export type LiveSnapshot = Omit<ServerSnapshot, 'exports'> & { readonly exports: readonly LiveExport[] };
export type LiveExport = Omit<ExportSnapshot, 'operations'> & {
  readonly operations: Readonly<Partial<ExportSnapshot['operations']>>;
};

export interface Rates {
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly readRequests: number;
  readonly writeRequests: number;
  readonly requests: number;
  readonly errors: number;
  /** Of all operations; NaN if there were none. Seconds, an upper bound. */
  readonly p50: number;
  readonly p99: number;
}

export interface ConnectionRates {
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly requests: number;
}

type Counts = number[];

/** All that adds up over exports, between two snapshots. */
interface Sums {
  readBytes: number;
  writeBytes: number;
  readRequests: number;
  writeRequests: number;
  requests: number;
  errors: number;
  latency: Counts;
}

function nothing(): Sums {
  return {
    readBytes: 0,
    writeBytes: 0,
    readRequests: 0,
    writeRequests: 0,
    requests: 0,
    errors: 0,
    latency: [],
  };
}

/** Counters never fall, but a reader may see them torn; a rate below 0 is nobody's. */
const risen = (now: number, then = 0) => Math.max(0, now - then);

const errorsOf = (operation: OperationSnapshot | undefined) =>
  Object.values(operation?.errors ?? {}).reduce((sum, each) => sum + each, 0);

function addExport(sums: Sums, now: LiveExport, then: LiveExport | undefined): void {
  for (const [name, operation] of Object.entries(now.operations)) {
    const before = then?.operations[name as keyof ExportSnapshot['operations']];
    const requests = risen(operation.requests, before?.requests);
    const bytes = risen(operation.bytes, before?.bytes);
    sums.requests += requests;
    sums.errors += risen(errorsOf(operation), errorsOf(before));
    if (name === 'read') {
      sums.readBytes += bytes;
      sums.readRequests += requests;
    } else if (name === 'write') {
      sums.writeBytes += bytes;
      sums.writeRequests += requests;
    }
    operation.latency.counts.forEach((count, bucket) => {
      const more = risen(count, before?.latency.counts[bucket]);
      sums.latency[bucket] = (sums.latency[bucket] ?? 0) + more;
    });
  }
}

function ratesOf(sums: Sums, seconds: number): Rates {
  return {
    readBytes: sums.readBytes / seconds,
    writeBytes: sums.writeBytes / seconds,
    readRequests: sums.readRequests / seconds,
    writeRequests: sums.writeRequests / seconds,
    requests: sums.requests / seconds,
    errors: sums.errors / seconds,
    p50: quantile(sums.latency, 0.5),
    p99: quantile(sums.latency, 0.99),
  };
}

/**
 * The quantile of a histogram, seconds, with even distribution within a bucket taken for granted, as Prometheus does; NaN of
 * nothing, infinity beyond all bounds.
 */
export function quantile(counts: readonly number[], share: number): number {
  const total = counts.reduce((sum, each) => sum + each, 0);
  if (total === 0) return Number.NaN;
  let left = total * share;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && left <= count) {
      const high = LATENCY_BOUNDS_SECONDS[bucket];
      if (high === undefined) return Number.POSITIVE_INFINITY;
      const low = bucket === 0 ? 0 : LATENCY_BOUNDS_SECONDS[bucket - 1]!;
      return low + ((high - low) * left) / count;
    }
    left -= count;
  }
  return Number.POSITIVE_INFINITY;
}

/** Rates of everything between two snapshots of one server. */
export interface Interval {
  readonly all: Rates;
  readonly exports: ReadonlyMap<string, Rates>;
  readonly connections: ReadonlyMap<number, ConnectionRates>;
}

export const IDLE: Rates = Object.freeze({ ...ratesOf(nothing(), 1) });

/** Undefined where the two don't belong together: there is none before, or the server has been started anew. */
export function between(then: LiveSnapshot | undefined, now: LiveSnapshot): Interval | undefined {
  if (then === undefined || then.startedAtMs !== now.startedAtMs || then.pid !== now.pid) return undefined;
  const seconds = (now.takenAtMs - then.takenAtMs) / 1000;
  if (seconds <= 0) return undefined;
  const before = new Map(then.exports.map((each) => [each.name, each]));
  const all = nothing();
  const exports = new Map<string, Rates>();
  for (const each of now.exports) {
    const own = nothing();
    addExport(own, each, before.get(each.name));
    addExport(all, each, before.get(each.name));
    exports.set(each.name, ratesOf(own, seconds));
  }
  const known = new Map(then.connections.map((each) => [each.id, each]));
  const connections = new Map(
    now.connections.map((each) => [each.id, connectionRates(each, known.get(each.id), seconds)]),
  );
  return { all: ratesOf(all, seconds), exports, connections };
}

function connectionRates(
  now: ConnectionSnapshot,
  then: ConnectionSnapshot | undefined,
  seconds: number,
): ConnectionRates {
  return {
    readBytes: risen(now.readBytes, then?.readBytes) / seconds,
    writeBytes: risen(now.writtenBytes, then?.writtenBytes) / seconds,
    requests: risen(now.requests, then?.requests) / seconds,
  };
}
