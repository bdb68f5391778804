/** The figures of one server in one round. */
export interface Measurement {
  readonly requests: number;
  readonly iops: number;
  readonly mibPerSecond: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  readonly cpuMicrosecondsPerRequest: number;
  readonly contextSwitchesPerRequest: number;
  readonly peakRssMib: number;
}

export type MetricKey = Exclude<keyof Measurement, 'requests'>;

interface Metric {
  readonly label: string;
  readonly digits: number;
}

/** What the report shows, in its order. README.md explains each. */
export const METRICS: Readonly<Record<MetricKey, Metric>> = {
  iops: { label: 'IOPS', digits: 0 },
  mibPerSecond: { label: 'MiB/s', digits: 0 },
  p50Microseconds: { label: 'latency p50, µs', digits: 1 },
  p99Microseconds: { label: 'latency p99, µs', digits: 1 },
  cpuMicrosecondsPerRequest: { label: 'server CPU, µs/request', digits: 2 },
  contextSwitchesPerRequest: { label: 'context switches/request', digits: 4 },
  peakRssMib: { label: 'peak RSS, MiB', digits: 1 },
};

export const METRIC_KEYS = Object.keys(METRICS) as readonly MetricKey[];
