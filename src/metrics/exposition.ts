import type { Metric } from 'prom-client';
import { type ExportCounters, UNKNOWN_COMMAND_INDEX } from './counters.js';

/** An export as the metrics page sees it. */
export interface MetricsExport {
  readonly name: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly direct: boolean;
  readonly counters: ExportCounters;
}

export interface MetricsSource {
  /** Read afresh at each scrape. */
  readonly exports: readonly MetricsExport[];
}

/** The page in Prometheus' text format. */
export interface Exposition {
  readonly contentType: string;
  render(): Promise<string>;
}

/** Label `operation`, by the command's number on the wire. DISC is left out: it has no answer and no cost. */
const OPERATIONS: readonly (readonly [index: number, operation: string])[] = [
  [0, 'read'],
  [1, 'write'],
  [3, 'flush'],
  [4, 'trim'],
  [5, 'cache'],
  [6, 'write_zeroes'],
  [7, 'block_status'],
  [UNKNOWN_COMMAND_INDEX, 'unknown'],
];

/** How often the event loop's lag is sampled. prom-client's own choice wakes an idle server a hundred times a second. */
const LOOP_SAMPLING_MS = 100;

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  /** Called at scrape time; adds the samples of one export. */
  sample(export_: MetricsExport): readonly Sample[];
}

const FAMILIES: readonly Family[] = [
  {
    name: 'aionbd_requests_total',
    help: 'Requests received, by export and operation.',
    type: 'counter',
    sample: ({ name, counters }) => byOperation(name, counters.requests),
  },
  {
    name: 'aionbd_request_errors_total',
    help: 'Requests answered with an error, by export and operation.',
    type: 'counter',
    sample: ({ name, counters }) => byOperation(name, counters.errors),
  },
  perExport(
    'aionbd_read_bytes_total',
    'counter',
    'Bytes read by clients.',
    ({ counters }) => counters.bytes[0],
  ),
  perExport(
    'aionbd_written_bytes_total',
    'counter',
    'Bytes written by clients.',
    ({ counters }) => counters.bytes[1],
  ),
  perExport(
    'aionbd_connections',
    'gauge',
    'Clients now connected.',
    ({ counters }) => counters.connections[0],
  ),
  perExport(
    'aionbd_connections_total',
    'counter',
    'Clients that have connected since the start.',
    ({ counters }) => counters.connections[1],
  ),
  perExport('aionbd_export_size_bytes', 'gauge', 'Size of the export.', ({ sizeBytes }) => sizeBytes),
  perExport(
    'aionbd_export_direct',
    'gauge',
    '1 if I/O is direct, 0 if it goes through the page cache.',
    ({ direct }) => Number(direct),
  ),
  perExport('aionbd_export_read_only', 'gauge', '1 if writes are refused.', ({ readOnly }) =>
    Number(readOnly),
  ),
];

/**
 * The metrics of a server, with those of the process beside them. Values are read out of the counters at scrape time;
 * until then prom-client has no part in anything. It is loaded here and not at the top, since it is slow to load.
 */
export async function createExposition(source: MetricsSource, version: string): Promise<Exposition> {
  const { Registry, collectDefaultMetrics } = await import('prom-client');
  const registry = new Registry();
  for (const family of FAMILIES) {
    registry.registerMetric(
      view(family.name, family.help, family.type, () => source.exports.flatMap(family.sample)),
    );
  }
  registry.registerMetric(
    view('aionbd_build_info', 'The version of the server and of Node.', 'gauge', () => [
      { labels: { version, node: process.version }, value: 1 },
    ]),
  );
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_SAMPLING_MS });
  return { contentType: registry.contentType, render: () => registry.metrics() };
}

/**
 * A metric that owns no numbers. A registry asks of a metric only its name and `get()`; its type asks for more.
 */
function view(name: string, help: string, type: Family['type'], values: () => readonly Sample[]): Metric {
  const metric = {
    name,
    help,
    type,
    aggregator: 'sum',
    get: async () => ({ name, help, type, values: values() }),
    reset() {},
  };
  return metric as unknown as Metric;
}

function perExport(
  name: string,
  type: Family['type'],
  help: string,
  value: (export_: MetricsExport) => number | undefined,
): Family {
  return {
    name,
    help,
    type,
    sample: (export_) => [{ labels: { export: export_.name }, value: value(export_) ?? 0 }],
  };
}

function byOperation(name: string, counts: Float64Array): readonly Sample[] {
  return OPERATIONS.map(([index, operation]) => ({
    labels: { export: name, operation },
    value: counts[index] ?? 0,
  }));
}
