import type { Measurement, MetricKey } from './metrics.js';
import { METRIC_KEYS } from './metrics.js';
import { type Summary, summarize } from './statistics.js';

/** What a run writes as JSON: every round, and where and with what it was measured. */
export interface SuiteResults {
  readonly kind: 'suite';
  /** Which set of cases; `by hand` if they were chosen one by one. */
  readonly set: string;
  readonly rounds: number;
  readonly secondsPerRound: number;
  readonly simpleReplies: boolean;
  readonly machine: Machine;
  readonly cases: readonly CaseResults[];
}

/** Where and with what something was measured. */
export interface Machine {
  readonly startedAt: string;
  readonly processors: number;
  readonly model: string;
  readonly kernel: string;
  readonly memoryMib: number;
  /** Of one minute, before the first round. */
  readonly loadAverage: number;
  /** Share of the processors' time that other virtual machines took during the run, per cent. */
  readonly stealPercent: number;
  /** What the same arithmetic took before each round, ms: the closer together, the more the machine was ours. */
  readonly paceMs?: Summary;
  /** By program; what is not installed is not listed. */
  readonly versions: Readonly<Record<string, string>>;
  /** The commit that was measured; with `+changes` where files differ from it. */
  readonly commit: string;
}

export interface CaseResults {
  readonly name: string;
  readonly description: string;
  /** What the exported file lies on. */
  readonly backing: string;
  readonly servers: readonly ServerResults[];
}

export interface ServerResults {
  readonly name: string;
  readonly description: string;
  readonly rounds: readonly Measurement[];
  /** Why it was given up. */
  readonly failure?: string;
}

/** Median, lowest and highest of one figure over the rounds; undefined if it was not measured. */
export function summaryOf(server: ServerResults, metric: MetricKey): Summary | undefined {
  const values = server.rounds.flatMap((round) => round[metric] ?? []);
  return values.length === 0 ? undefined : summarize(values);
}

/** Median of one figure of one server in one case; undefined if it was not measured. */
export function medianOf(
  results: SuiteResults,
  caseName: string,
  serverName: string,
  metric: MetricKey,
): number | undefined {
  const theCase = results.cases.find(({ name }) => name === caseName);
  const server = theCase?.servers.find(({ name }) => name === serverName);
  return server === undefined ? undefined : summaryOf(server, metric)?.median;
}

/** The figures that a case has, in the order of the table of metrics. */
export function metricsOf(theCase: CaseResults): readonly MetricKey[] {
  return METRIC_KEYS.filter((key) =>
    theCase.servers.some((server) => server.rounds.some((round) => round[key] !== undefined)),
  );
}
