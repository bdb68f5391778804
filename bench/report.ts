import { cpus, release } from 'node:os';
import { METRIC_KEYS, METRICS, type Measurement, type MetricKey } from './metrics.js';
import type { Options } from './options.js';
import { type Summary, summarize } from './statistics.js';

/** Everything one server did, round by round. */
export interface ServerRounds {
  readonly name: string;
  readonly rounds: readonly Measurement[];
}

/** What `--json` writes. */
export interface Report {
  readonly case: string;
  readonly description: string;
  readonly secondsPerRound: number;
  readonly machine: { readonly processors: number; readonly model: string; readonly kernel: string };
  readonly node: string;
  readonly backing: string;
  /** The candidate first. */
  readonly servers: readonly (ServerRounds & { readonly summary: Readonly<Record<MetricKey, Summary>> })[];
  /** Median of the candidate ÷ median of the peer. */
  readonly ratios: Readonly<Record<MetricKey, number>>;
}

/** Medians and ratios of what was measured. */
export function buildReport(
  options: Options,
  backing: string,
  candidate: ServerRounds,
  peer: ServerRounds,
): Report {
  const ours = summarizeAll(candidate.rounds);
  const theirs = summarizeAll(peer.rounds);
  return {
    case: options.caseName,
    description: options.theCase.description,
    secondsPerRound: options.seconds,
    machine: { processors: cpus().length, model: cpus()[0]?.model ?? 'unknown', kernel: release() },
    node: process.version,
    backing,
    servers: [
      { name: candidate.name, summary: ours, rounds: candidate.rounds },
      { name: peer.name, summary: theirs, rounds: peer.rounds },
    ],
    ratios: byMetric((key) => ours[key].median / theirs[key].median),
  };
}

/** The report as text: one line a metric, `median (lowest–highest)` for each server, then the ratio. */
export function formatReport(report: Report): string {
  const { processors, model, kernel } = report.machine;
  const rounds = report.servers[0]?.rounds.length ?? 0;
  const names = report.servers.map((server) => server.name);
  const rows = METRIC_KEYS.map((key) => [
    METRICS[key].label,
    ...report.servers.map((server) => formatSummary(server.summary[key], METRICS[key].digits)),
    `${report.ratios[key].toFixed(2)}×`,
  ]);
  return [
    `${report.case}: ${report.description}`,
    `rounds: ${rounds} × ${report.secondsPerRound} s for each, alternating; median (lowest–highest)`,
    `on ${report.backing}; ${processors} × ${model}, Linux ${kernel}, Node ${report.node}`,
    '',
    ...alignColumns([['', ...names, names.join(' ÷ ')], ...rows]),
    '',
  ].join('\n');
}

function summarizeAll(rounds: readonly Measurement[]): Readonly<Record<MetricKey, Summary>> {
  return byMetric((key) => summarize(rounds.map((round) => round[key])));
}

function byMetric<T>(value: (key: MetricKey) => T): Readonly<Record<MetricKey, T>> {
  return Object.fromEntries(METRIC_KEYS.map((key) => [key, value(key)])) as Record<MetricKey, T>;
}

function formatSummary(summary: Summary, digits: number): string {
  const text = (value: number): string => value.toFixed(digits);
  return `${text(summary.median)} (${text(summary.min)}–${text(summary.max)})`;
}

/** First column to the left, the others to the right. */
function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('   '),
  );
}
