import type {
  ExportSnapshot,
  LatencySnapshot,
  Operation,
  OperationSnapshot,
  ServerSnapshot,
} from './snapshot.js';
import { OPERATIONS } from './snapshot.js';

/**
 * Label of the sum of all exports that have no series of their own. No export has this name; to Prometheus a label without
 * a value is one that is not there.
 */
export const THE_OTHERS = '';

/** A snapshot whose exports are bounded in number. */
export interface BoundedSnapshot extends ServerSnapshot {
  /** How many exports there are in truth. */
  readonly exportCount: number;
}

/**
 * The snapshot with at most `most` exports by name, which are the first ones; all others are one export called
 * {@link THE_OTHERS}, if there are any. Numbers that can be added are; of states it has the worst.
 */
export function boundedSnapshot(snapshot: ServerSnapshot, most: number): BoundedSnapshot {
  const { exports, connections } = snapshot;
  const exportCount = exports.length;
  if (exportCount <= most) return { ...snapshot, exportCount };
  const shown = exports.slice(0, most);
  const names = new Set(shown.map(({ name }) => name));
  return {
    ...snapshot,
    exportCount,
    exports: [...shown, sumOfExports(exports.slice(most))],
    connections: connections.map((connection) =>
      names.has(connection.exportName) ? connection : { ...connection, exportName: THE_OTHERS },
    ),
  };
}

function sumOfExports(exports: readonly ExportSnapshot[]): ExportSnapshot {
  const sum = (of: (export_: ExportSnapshot) => number) => exports.reduce((total, one) => total + of(one), 0);
  const known = exports.flatMap(({ allocatedBytes }) => allocatedBytes ?? []);
  const fullest = exports
    .filter(({ filesystemSizeBytes }) => filesystemSizeBytes !== undefined && filesystemSizeBytes > 0)
    .sort((a, b) => freeShare(a) - freeShare(b))[0];
  const sick = exports.find(({ health }) => !health.healthy);
  const probes = exports.flatMap(({ health }) => health.probeSeconds ?? []);
  const buffered = exports.find(({ direct }) => !direct);
  return {
    name: THE_OTHERS,
    description: '',
    path: '',
    readOnly: exports.every(({ readOnly }) => readOnly),
    sizeBytes: sum(({ sizeBytes }) => sizeBytes),
    allocatedBytes: known.length > 0 ? known.reduce((total, bytes) => total + bytes, 0) : undefined,
    // Exports share filesystems, so these can't be added: of the fullest one.
    filesystemFreeBytes: fullest?.filesystemFreeBytes,
    filesystemSizeBytes: fullest?.filesystemSizeBytes,
    direct: buffered === undefined,
    bufferedBecause: buffered?.bufferedBecause ?? '',
    operations: Object.fromEntries(
      OPERATIONS.map((operation) => [
        operation,
        sumOfOperations(exports.map((one) => one.operations[operation])),
      ]),
    ) as unknown as Record<Operation, OperationSnapshot>,
    inFlight: sum(({ inFlight }) => inFlight),
    inFlightMost: exports.reduce((most, one) => Math.max(most, one.inFlightMost), 0),
    requestsGivenUp: sum(({ requestsGivenUp }) => requestsGivenUp),
    alignmentFixes: sum(({ alignmentFixes }) => alignmentFixes),
    connections: sum(({ connections }) => connections),
    connectionsTotal: sum(({ connectionsTotal }) => connectionsTotal),
    health: {
      healthy: sick === undefined,
      reason: sick?.health.reason ?? '',
      probeSeconds: probes.length > 0 ? Math.max(...probes) : undefined,
    },
  };
}

function freeShare({ filesystemFreeBytes = 0, filesystemSizeBytes = 1 }: ExportSnapshot): number {
  return filesystemFreeBytes / filesystemSizeBytes;
}

function sumOfOperations(parts: readonly OperationSnapshot[]): OperationSnapshot {
  const errors: Record<string, number> = {};
  for (const part of parts) {
    for (const [error, count] of Object.entries(part.errors)) errors[error] = (errors[error] ?? 0) + count;
  }
  return {
    requests: parts.reduce((total, { requests }) => total + requests, 0),
    bytes: parts.reduce((total, { bytes }) => total + bytes, 0),
    errors,
    latency: sumOfLatencies(parts.map(({ latency }) => latency)),
    diskLatency: sumOfLatencies(parts.map(({ diskLatency }) => diskLatency)),
  };
}

function sumOfLatencies(parts: readonly LatencySnapshot[]): LatencySnapshot {
  const counts = new Array<number>(parts[0]?.counts.length ?? 0).fill(0);
  let sumSeconds = 0;
  for (const part of parts) {
    part.counts.forEach((count, bucket) => {
      counts[bucket]! += count;
    });
    sumSeconds += part.sumSeconds;
  }
  return { counts, sumSeconds };
}
