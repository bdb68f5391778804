import { METRICS, type MetricKey } from './metrics.js';
import { medianOf, type SuiteResults } from './results.js';
import { QEMU_ENGINES } from './servers.js';
import { formatNumber, markdownTable } from './tables.js';

/** What the project wants to reach: one figure, alone or as a ratio to the best of others. */
export interface Target {
  readonly what: string;
  readonly case: string;
  readonly metric: MetricKey;
  readonly server: string;
  /** The ratio of the medians to the best of these counts; without it the figure itself. */
  readonly against?: { readonly label: string; readonly servers: readonly string[] };
  readonly bound: 'at least' | 'at most' | 'below';
  readonly value: number;
  /** Their figures are shown beside, and don't count. */
  readonly forComparison?: readonly string[];
  /** By what limits.ts tells whether it can be reached at all. */
  readonly floors?: Floors;
}

/**
 * Servers whose own work is nothing, in place of ours: what they don't reach against the same others, ours can't. The best of each
 * list counts, since a server could be any of them; a list that is not there bounds nothing.
 */
export interface Floors {
  /** The same direct I/O, and replies. */
  readonly withIo?: readonly string[];
  /** Replies only. */
  readonly withoutIo?: readonly string[];
}

/** The figures that floors bound. */
export const BOUNDED_METRICS: readonly MetricKey[] = ['iops', 'cpuMicrosecondsPerRequest', 'p50Microseconds'];

const QEMU = { label: 'best qemu-nbd engine', servers: QEMU_ENGINES };
const NBDKIT = { label: 'nbdkit file', servers: ['nbdkit'] };
const BEST_PEER = { label: 'best peer', servers: [...QEMU_ENGINES, 'nbdkit', 'nbd-server'] };
const LOOP = { label: 'loop driver, direct-io=on', servers: ['loop-direct'] };

const ONE_THREAD: Floors = { withIo: ['floor-aio', 'floor-aio-spin'], withoutIo: ['floor', 'floor-spin'] };
const TWO_THREADS: Floors = {
  withIo: ['floor-aio', 'floor-aio-spin', 'floor-aio-threads2', 'floor-aio-threads2-spin'],
  withoutIo: ['floor', 'floor-spin', 'floor-threads2', 'floor-threads2-spin'],
};
/** For what is to sleep when it has nothing to do. */
const SLEEPING: Floors = { withIo: ['floor-aio'], withoutIo: ['floor'] };
/** Without I/O the processor does other work, so its time bounds nothing. */
const ONLY_WITH_IO: Floors = { withIo: ['floor-aio'] };
/** For what is not direct I/O. */
const ONLY_WITHOUT_IO: Floors = { withoutIo: ['floor', 'floor-spin'] };

const IOPS = { metric: 'iops', server: 'aionbd', bound: 'at least', floors: ONE_THREAD } as const;
const CPU = {
  metric: 'cpuMicrosecondsPerRequest',
  server: 'aionbd',
  bound: 'at most',
  floors: ONLY_WITH_IO,
} as const;
const SWITCHES = { metric: 'contextSwitchesPerRequest', server: 'aionbd', bound: 'at most' } as const;
const P50 = { metric: 'p50Microseconds', bound: 'at most' } as const;

const READS = { what: '4 KiB randread, depth 32, Unix', case: 'randread-qd32-unix' };
const WRITES = { what: '4 KiB randwrite, depth 32, Unix', case: 'randwrite-qd32-unix' };
const TCP_READS = { what: '4 KiB randread, depth 32, TCP', case: 'randread-qd32-tcp' };
const CONNECTIONS = {
  ...IOPS,
  what: '16 connections × depth 1, Unix',
  case: 'conns16-qd1-unix',
  floors: TWO_THREADS,
};
const LARGE_READS = { what: '256 KiB sequential reads, depth 8, Unix', case: 'seqread-256k-qd8-unix' };
const LARGE_WRITES = { what: '256 KiB sequential writes, depth 8, Unix', case: 'seqwrite-256k-qd8-unix' };
const ONE_AT_A_TIME = { what: '4 KiB randread, depth 1, Unix', case: 'randread-qd1-unix' };

export const TARGETS: readonly Target[] = [
  { ...READS, ...IOPS, against: QEMU, value: 2.5 },
  { ...READS, ...CPU, against: QEMU, value: 0.42 },
  { ...READS, ...IOPS, against: NBDKIT, value: 2 },
  { ...WRITES, ...IOPS, against: QEMU, value: 2.2 },
  { ...WRITES, ...CPU, against: QEMU, value: 0.5 },
  { ...TCP_READS, ...IOPS, against: QEMU, value: 1.6 },
  { ...TCP_READS, ...IOPS, against: NBDKIT, value: 1.7 },
  { ...CONNECTIONS, against: QEMU, value: 1.3 },
  { ...CONNECTIONS, against: NBDKIT, value: 1.5 },
  { ...CONNECTIONS, server: 'aionbd-threads2', against: QEMU, value: 1.3 },
  { ...CONNECTIONS, server: 'aionbd-threads2', against: NBDKIT, value: 1.5 },
  { ...LARGE_READS, ...IOPS, against: QEMU, value: 2.3 },
  { ...LARGE_WRITES, ...IOPS, against: QEMU, value: 3 },
  { ...LARGE_READS, ...IOPS, against: NBDKIT, value: 1.15 },
  { ...LARGE_WRITES, ...IOPS, against: NBDKIT, value: 1.15 },
  {
    ...READS,
    ...IOPS,
    what: 'buffered, hot page cache, 4 KiB randread, depth 32',
    server: 'aionbd-buffered',
    against: NBDKIT,
    value: 2,
    floors: ONLY_WITHOUT_IO,
  },
  { ...READS, ...CPU, against: { label: 'fio on the file itself', servers: ['file'] }, value: 1.35 },
  { ...READS, ...IOPS, against: LOOP, value: 1 },
  { ...WRITES, ...IOPS, against: LOOP, value: 1 },
  { ...ONE_AT_A_TIME, ...P50, server: 'aionbd-no-busy-poll', against: BEST_PEER, value: 1, floors: SLEEPING },
  { ...ONE_AT_A_TIME, ...P50, server: 'aionbd', against: BEST_PEER, value: 0.5, floors: ONE_THREAD },
  {
    ...READS,
    ...SWITCHES,
    what: '4 KiB randread, depth 32, Unix: context switches/request',
    value: 0.05,
  },
  { ...READS, ...SWITCHES, against: NBDKIT, value: 0.5 },
  {
    ...READS,
    ...SWITCHES,
    against: { label: 'qemu-nbd threads', servers: ['qemu-nbd-threads'] },
    value: 0.5,
  },
  {
    what: 'page-cache growth after reading and writing 4 GiB, % of the file',
    case: 'page-cache-4g',
    metric: 'pageCachePercent',
    server: 'aionbd',
    bound: 'below',
    value: 1,
    forComparison: ['nbdkit', 'nbd-server', 'qemu-nbd-io_uring'],
  },
  {
    what: 'garbage collections per million requests',
    case: 'collections',
    metric: 'collectionsPerMillion',
    server: 'aionbd',
    bound: 'at most',
    value: 2,
  },
  {
    what: 'start to listening, ms',
    case: 'start',
    metric: 'startMs',
    server: 'aionbd',
    bound: 'at most',
    value: 200,
    forComparison: ['qemu-nbd-io_uring', 'nbdkit', 'nbd-server'],
  },
];

export interface Verdict {
  readonly target: Target;
  /** Medians: ours, and the best of those it is measured against with its name. */
  readonly ours: number | undefined;
  readonly best: { readonly name: string; readonly median: number } | undefined;
  /** What counts: a ratio or the figure itself; undefined if something was not measured. */
  readonly measured: number | undefined;
  readonly reached: boolean | undefined;
}

/** Compares a run with the targets. */
export function judgeTargets(
  results: SuiteResults,
  targets: readonly Target[] = TARGETS,
): readonly Verdict[] {
  return targets.map((target) => {
    const ours = medianOf(results, target.case, target.server, target.metric);
    const best = target.against && bestOf(results, target, target.against.servers);
    const measured = target.against === undefined ? ours : ratio(ours, best?.median);
    const reached = measured === undefined ? undefined : holds(measured, target);
    return { target, ours, best, measured, reached };
  });
}

/** The issue's table with what was measured, as Markdown, and how many rows are reached below it. */
export function formatVerdicts(results: SuiteResults, verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ target, ours, best, measured, reached }) => {
    const { digits } = METRICS[target.metric];
    const figure = (value: number | undefined): string =>
      value === undefined ? '–' : formatNumber(value, digits);
    const beside = (target.forComparison ?? []).map(
      (name) => `${name} ${figure(medianOf(results, target.case, name, target.metric))}`,
    );
    const against =
      target.against === undefined
        ? beside.join(', ') || '–'
        : `${target.against.label}: ${best === undefined ? '–' : `${figure(best.median)} (${best.name})`}`;
    const sign = { 'at least': '≥', 'at most': '≤', below: '<' }[target.bound];
    const times = target.against === undefined ? '' : '×';
    const shown = target.against === undefined ? figure(measured) : `${measured?.toFixed(2) ?? '–'}×`;
    const what = `${target.what}: ${METRICS[target.metric].label}, ${target.server}`;
    return [
      target.against === undefined ? `${target.what}, ${target.server}` : what,
      figure(ours),
      against,
      `${sign} ${target.value}${times}`,
      shown,
      reached === undefined ? 'not measured' : reached ? 'reached' : 'not reached',
    ];
  });
  const count = verdicts.filter(({ reached }) => reached === true).length;
  return [
    markdownTable(['what', 'aionbd', 'against', 'wanted', 'measured', ''], rows, 1),
    `${count} of ${verdicts.length} reached.`,
  ].join('\n\n');
}

function bestOf(
  results: SuiteResults,
  { case: caseName, metric }: Target,
  servers: readonly string[],
): Verdict['best'] {
  const higher = METRICS[metric].better === 'higher';
  let best: Verdict['best'];
  for (const name of servers) {
    const median = medianOf(results, caseName, name, metric);
    // The best of those that are left would be no answer to "better than the best".
    if (median === undefined) return undefined;
    if (best === undefined || (higher ? median > best.median : median < best.median)) best = { name, median };
  }
  return best;
}

function ratio(ours: number | undefined, theirs: number | undefined): number | undefined {
  return ours === undefined || theirs === undefined || theirs === 0 ? undefined : ours / theirs;
}

function holds(measured: number, { bound, value }: Target): boolean {
  switch (bound) {
    case 'at least':
      return measured >= value;
    case 'at most':
      return measured <= value;
    case 'below':
      return measured < value;
  }
}
