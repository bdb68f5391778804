/** What the report shows, in its order. README.md explains each. */
export const METRICS = {
  iops: { label: 'IOPS', digits: 0, better: 'higher' },
  mibPerSecond: { label: 'MiB/s', digits: 0, better: 'higher' },
  p50Microseconds: { label: 'latency p50, µs', digits: 1, better: 'lower' },
  p99Microseconds: { label: 'p99, µs', digits: 1, better: 'lower' },
  p999Microseconds: { label: 'p99.9, µs', digits: 1, better: 'lower' },
  cpuMicrosecondsPerRequest: { label: 'server CPU, µs/request', digits: 2, better: 'lower' },
  cpuMicrosecondsPerMib: { label: 'server CPU, µs/MiB', digits: 0, better: 'lower' },
  contextSwitchesPerRequest: { label: 'context switches/request', digits: 4, better: 'lower' },
  peakRssMib: { label: 'peak RSS, MiB', digits: 1, better: 'lower' },
  pageCacheMib: { label: 'in the page cache, MiB', digits: 1, better: 'lower' },
  pageCachePercent: { label: 'page-cache growth, % of the file', digits: 2, better: 'lower' },
  movedMib: { label: 'read and written, MiB', digits: 0, better: 'higher' },
  startMs: { label: 'start, ms', digits: 0, better: 'lower' },
  collectionsPerMillion: { label: 'collections per million requests', digits: 2, better: 'lower' },
  requests: { label: 'requests', digits: 0, better: 'higher' },
} as const satisfies Readonly<Record<string, Metric>>;

export interface Metric {
  readonly label: string;
  readonly digits: number;
  readonly better: 'higher' | 'lower';
}

export type MetricKey = keyof typeof METRICS;

/** The figures of one server in one round: those that its case has. */
export type Measurement = Readonly<Partial<Record<MetricKey, number>>>;

export const METRIC_KEYS = Object.keys(METRICS) as readonly MetricKey[];
