// All metrics of the server itself: what docs/metrics.md lists, in its order. Those of the process are in process-families.ts.

import type { BoundedSnapshot } from './bounded.js';
import { LATENCY_BOUNDS_SECONDS } from './latency.js';
import type {
  ExportSnapshot,
  LatencySnapshot,
  Operation,
  ReactorSnapshot,
  ServerSnapshot,
} from './snapshot.js';
import { OPERATIONS } from './snapshot.js';

type Labels = Readonly<Record<string, string | number>>;

/** One line of the page. */
export interface Sample {
  /** Where it is not the family's name, as for the parts of a histogram. */
  readonly metricName?: string;
  readonly labels: Labels;
  /** Labels that many samples have in common, as one object: they are turned into text once. */
  readonly sharedLabels?: Labels;
  readonly value: number;
}

export interface Family<Source> {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly help: string;
  /** In the order in which they are written. */
  readonly labels: readonly string[];
  samples(source: Source): readonly Sample[];
}

/** Of these the label sets are known and few, so they are there from the start: what a first increase is to be seen of. */
const ERRORS_FROM_THE_START: readonly (readonly [Operation, string])[] = [
  ...OPERATIONS.map((operation) => [operation, 'EIO'] as const),
  ['write', 'ENOSPC'],
  ['write_zeroes', 'ENOSPC'],
];

/** Operations that are about a number of bytes. */
const SIZED_OPERATIONS: readonly Operation[] = OPERATIONS.filter(
  (operation) => operation !== 'flush' && operation !== 'unknown',
);

export const FAMILIES: readonly Family<BoundedSnapshot>[] = [
  {
    name: 'aionbd_requests_total',
    type: 'counter',
    help: 'Requests received, by export and operation.',
    labels: ['export', 'operation'],
    samples: ({ exports }) =>
      exports.flatMap(({ name, operations }) =>
        OPERATIONS.map((operation) => ({
          labels: { export: name, operation },
          value: operations[operation].requests,
        })),
      ),
  },
  {
    name: 'aionbd_request_bytes_total',
    type: 'counter',
    help: 'Bytes that successful requests were about, by export and operation.',
    labels: ['export', 'operation'],
    samples: ({ exports }) =>
      exports.flatMap(({ name, operations }) =>
        SIZED_OPERATIONS.map((operation) => ({
          labels: { export: name, operation },
          value: operations[operation].bytes,
        })),
      ),
  },
  {
    name: 'aionbd_request_errors_total',
    type: 'counter',
    help: 'Requests answered with an error, by export, operation and the error of the protocol.',
    labels: ['export', 'operation', 'error'],
    samples: ({ exports }) => exports.flatMap(errorsOf),
  },
  latency(
    'aionbd_request_duration_seconds',
    'Time from having parsed a request to having its answer on the way, by export and operation.',
    (operation) => operation.latency,
  ),
  latency(
    'aionbd_request_disk_duration_seconds',
    "The disk's share of the time of requests that led to I/O, by export and operation.",
    (operation) => operation.diskLatency,
  ),
  perExport('aionbd_requests_in_flight', 'gauge', 'Requests being carried out.', (e) => e.inFlight),
  perExport(
    'aionbd_requests_in_flight_max',
    'gauge',
    'The most requests that were carried out at once since the start.',
    (e) => e.inFlightMost,
  ),
  perExport(
    'aionbd_requests_given_up_total',
    'counter',
    'Requests whose client was gone before they could be answered.',
    (e) => e.requestsGivenUp,
  ),
  perExport(
    'aionbd_alignment_fixes_total',
    'counter',
    'Requests that did not fit the alignment of direct I/O and needed more I/O than an aligned one.',
    (e) => e.alignmentFixes,
  ),
  perExport('aionbd_connections_active', 'gauge', 'Clients now connected.', (e) => e.connections),
  perExport(
    'aionbd_connections_total',
    'counter',
    'Clients that have connected since the start.',
    (e) => e.connectionsTotal,
  ),
  {
    name: 'aionbd_connections_negotiated',
    type: 'gauge',
    help: 'Clients now connected, by what they came over and what they negotiated.',
    labels: ['export', 'transport', 'replies', 'block_status'],
    samples: negotiated,
  },
  perExport('aionbd_export_size_bytes', 'gauge', 'Size of the export.', (e) => e.sizeBytes),
  perExport(
    'aionbd_export_allocated_bytes',
    'gauge',
    'Bytes that are allocated to the file of the export; not for block devices.',
    (e) => e.allocatedBytes,
  ),
  perExport(
    'aionbd_export_filesystem_free_bytes',
    'gauge',
    'Bytes free for ordinary users in the filesystem of the file; not for block devices.',
    (e) => e.filesystemFreeBytes,
  ),
  perExport(
    'aionbd_export_filesystem_size_bytes',
    'gauge',
    'Size of the filesystem of the file; not for block devices.',
    (e) => e.filesystemSizeBytes,
  ),
  perExport(
    'aionbd_export_direct',
    'gauge',
    '1 if I/O is direct, 0 if it goes through the page cache.',
    (e) => Number(e.direct),
  ),
  {
    name: 'aionbd_export_buffered_info',
    type: 'gauge',
    help: 'Why I/O goes through the page cache, for exports where it does.',
    labels: ['export', 'reason'],
    samples: ({ exports }) =>
      exports
        .filter(({ direct }) => !direct)
        .map(({ name, bufferedBecause }) => ({
          labels: { export: name, reason: bufferedBecause },
          value: 1,
        })),
  },
  perExport('aionbd_export_read_only', 'gauge', '1 if writes are refused.', (e) => Number(e.readOnly)),
  perExport('aionbd_export_healthy', 'gauge', '1 if the export answers, 0 if its disk does not.', (e) =>
    Number(e.health.healthy),
  ),
  perExport(
    'aionbd_export_probe_duration_seconds',
    'gauge',
    'How long the last probe of the disk took; none before the first.',
    (e) => e.health.probeSeconds,
  ),
  {
    name: 'aionbd_handshake_failures_total',
    type: 'counter',
    help: 'Handshakes that led to nothing, by reason.',
    labels: ['reason'],
    samples: ({ handshakeFailures }) =>
      Object.entries(handshakeFailures).map(([reason, value]) => ({ labels: { reason }, value })),
  },
  perReactor('turns_total', 'counter', 'Turns in which there was something to do.', (r) => r.turns),
  perReactor('io_submit_calls_total', 'counter', 'Calls of io_submit.', (r) => r.ioSubmitCalls),
  perReactor(
    'io_submitted_total',
    'counter',
    'I/O handed to io_submit; divided by the calls it is the batch.',
    (r) => r.ioSubmitted,
  ),
  perReactor(
    'nowait_fallbacks_total',
    'counter',
    'I/O that would have blocked and was given to a worker thread.',
    (r) => r.nowaitFallbacks,
  ),
  perReactor('received_bytes_total', 'counter', 'Bytes received from clients.', (r) => r.receivedBytes),
  perReactor('sent_bytes_total', 'counter', 'Bytes sent to clients.', (r) => r.sentBytes),
  perReactor('receive_calls_total', 'counter', 'System calls that receive.', (r) => r.receiveCalls),
  perReactor('send_calls_total', 'counter', 'System calls that send.', (r) => r.sendCalls),
  perReactor(
    'reader_waits_total',
    'counter',
    'Times that a client was waited for to read its replies, so that its requests gather.',
    (r) => r.readerWaits,
  ),
  perReactor('buffer_bytes', 'gauge', 'Memory for data in flight.', (r) => r.bufferBytes),
  perReactor(
    'buffer_used_bytes',
    'gauge',
    'Memory for data in flight that is in use.',
    (r) => r.bufferUsedBytes,
  ),
  perReactor(
    'backpressure_stops_total',
    'counter',
    'How often a connection was not read from because memory or request slots had run out.',
    (r) => r.backpressureStops,
  ),
  perReactor(
    'loop_lag_seconds',
    'gauge',
    'The longest that the event loop was late in the last second.',
    (r) => r.loopLagSeconds,
  ),
  perReactor(
    'alive_timestamp_seconds',
    'gauge',
    'When the event loop last said that it turns, which it does once a second; seconds since 1970.',
    (r) => r.aliveAtMs / 1000,
  ),
  whole(
    'aionbd_exports',
    'gauge',
    'Exports, with series of their own or not.',
    ({ exportCount }) => exportCount,
  ),
  whole('aionbd_draining', 'gauge', '1 while the server stops: no new clients.', ({ state }) =>
    Number(state === 'draining'),
  ),
  {
    name: 'aionbd_warnings',
    type: 'gauge',
    help: 'Warnings in force, by kind; kinds without one are left out.',
    labels: ['kind'],
    samples: ({ warnings }) =>
      [...counted(warnings.map(({ kind }) => kind))].map(([kind, value]) => ({ labels: { kind }, value })),
  },
  {
    name: 'aionbd_build_info',
    type: 'gauge',
    help: 'The version of the server and of Node.',
    labels: ['version', 'node'],
    samples: ({ version }) => [{ labels: { version, node: process.version }, value: 1 }],
  },
];

function errorsOf({ name, operations }: ExportSnapshot): readonly Sample[] {
  const samples: Sample[] = ERRORS_FROM_THE_START.map(([operation, error]) => ({
    labels: { export: name, operation, error },
    value: operations[operation].errors[error] ?? 0,
  }));
  for (const operation of OPERATIONS) {
    for (const [error, value] of Object.entries(operations[operation].errors)) {
      const isThere = ERRORS_FROM_THE_START.some(([o, e]) => o === operation && e === error);
      if (!isThere) samples.push({ labels: { export: name, operation, error }, value });
    }
  }
  return samples;
}

function negotiated({ connections }: ServerSnapshot): readonly Sample[] {
  const kinds = connections.map(({ exportName, transport, replies, metaContexts }) =>
    JSON.stringify({
      export: exportName,
      transport,
      replies,
      block_status: metaContexts.length > 0 ? 'yes' : 'no',
    }),
  );
  return [...counted(kinds)].map(([kind, value]) => ({ labels: JSON.parse(kind) as Labels, value }));
}

function counted(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** A histogram of operations that have occurred: 27 lines each would be too much to begin with. */
function latency(
  name: string,
  help: string,
  of: (operation: ExportSnapshot['operations'][Operation]) => LatencySnapshot,
): Family<BoundedSnapshot> {
  return {
    name,
    type: 'histogram',
    help,
    labels: ['export', 'operation', 'le'],
    samples: ({ exports }) =>
      exports.flatMap((export_) =>
        OPERATIONS.flatMap((operation) =>
          histogram(name, { export: export_.name, operation }, of(export_.operations[operation])),
        ),
      ),
  };
}

function histogram(
  name: string,
  sharedLabels: Labels,
  { counts, sumSeconds }: LatencySnapshot,
): readonly Sample[] {
  const samples: Sample[] = [];
  let total = 0;
  for (const [bucket, count] of counts.entries()) {
    total += count;
    const le = LATENCY_BOUNDS_SECONDS[bucket] ?? '+Inf';
    samples.push({ metricName: `${name}_bucket`, labels: { le }, sharedLabels, value: total });
  }
  if (total === 0) return [];
  samples.push({ metricName: `${name}_sum`, labels: {}, sharedLabels, value: sumSeconds });
  samples.push({ metricName: `${name}_count`, labels: {}, sharedLabels, value: total });
  return samples;
}

/** `undefined` is left out. */
function perExport(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (export_: ExportSnapshot) => number | undefined,
): Family<BoundedSnapshot> {
  return {
    name,
    type,
    help,
    labels: ['export'],
    samples: ({ exports }) =>
      exports.flatMap((export_) => {
        const known = value(export_);
        return known === undefined ? [] : [{ labels: { export: export_.name }, value: known }];
      }),
  };
}

function perReactor(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (reactor: ReactorSnapshot) => number,
): Family<BoundedSnapshot> {
  return {
    name: `aionbd_reactor_${name}`,
    type,
    help,
    labels: ['reactor'],
    samples: ({ reactors }) =>
      reactors.map((reactor) => ({ labels: { reactor: reactor.index }, value: value(reactor) })),
  };
}

function whole(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (snapshot: BoundedSnapshot) => number,
): Family<BoundedSnapshot> {
  return { name, type, help, labels: [], samples: (snapshot) => [{ labels: {}, value: value(snapshot) }] };
}
