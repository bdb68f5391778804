import { isFloor } from './floors.js';
import { METRICS, type MetricKey } from './metrics.js';
import {
  type CaseResults,
  type Machine,
  medianOf,
  metricsOf,
  type ServerResults,
  type SuiteResults,
  summaryOf,
} from './results.js';
import type { Summary } from './statistics.js';

/** A Markdown table, padded so that it reads as text too: the first column to the left, the others to the right. */
export function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  leftColumns = 1,
): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(3, ...all.map((row) => [...(row[column] ?? '')].length)));
  const left = (column: number): boolean => column < leftColumns;
  const line = (cells: readonly string[]): string =>
    `| ${widths
      .map((width, column) => {
        const cell = cells[column] ?? '';
        const pad = ' '.repeat(width - [...cell].length);
        return left(column) ? cell + pad : pad + cell;
      })
      .join(' | ')} |`;
  const rule = widths.map((width, column) =>
    left(column) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}

/** `106,379`: thousands apart, so many digits behind the point. */
export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Everything of a run: the machine, then a table for each case. */
export function formatSuite(results: SuiteResults): string {
  const { set, rounds, secondsPerRound, simpleReplies } = results;
  const replies = simpleReplies ? ', simple replies' : '';
  return [
    `# npm run bench: ${set}`,
    formatMachine(results.machine),
    `${rounds} rounds of ${secondsPerRound} s for each server unless a table says otherwise, taking turns${replies}; ` +
      'median (lowest–highest).',
    ...results.cases.map(formatCase),
    '',
  ].join('\n\n');
}

export function formatMachine(machine: Machine): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return markdownTable(
    ['', 'measured on'],
    [
      ['processors', `${machine.processors} × ${machine.model}`],
      ['memory', `${formatNumber(machine.memoryMib, 0)} MiB`],
      ['kernel', `Linux ${machine.kernel}`],
      ['programs', versions.join(', ')],
      ['aionbd', machine.commit],
      ['started', machine.startedAt],
      ['load average before', machine.loadAverage.toFixed(2)],
      ['taken by other virtual machines', `${machine.stealPercent.toFixed(1)} % of the processors' time`],
      ...(machine.paceMs ? [['the same arithmetic before each round', formatPace(machine.paceMs)]] : []),
    ],
    2,
  );
}

/** Median, lowest and highest. */
export function formatPace({ median, min, max }: Summary): string {
  return `${median.toFixed(0)} ms (${min.toFixed(0)}–${max.toFixed(0)})`;
}

/** One row a server, one column a figure; where two servers are compared, the ratio of their medians below. */
export function formatCase(theCase: CaseResults): string {
  const metrics = metricsOf(theCase);
  const rows = theCase.servers.map((server) => [
    server.name,
    ...metrics.map((metric) => formatFigure(server, metric)),
    `${server.rounds.length}`,
  ]);
  const [first, second] = theCase.servers;
  if (theCase.servers.length === 2 && first !== undefined && second !== undefined) {
    rows.push([
      `${first.name} ÷ ${second.name}`,
      ...metrics.map((metric) =>
        formatRatio(summaryOf(first, metric)?.median, summaryOf(second, metric)?.median),
      ),
      '',
    ]);
  }
  const header = ['', ...metrics.map((metric) => METRICS[metric].label), 'rounds'];
  return [
    `## ${theCase.name}`,
    `${theCase.description}; ${theCase.backing}`,
    markdownTable(header, rows),
    ...theCase.servers.flatMap(({ name, failure }) =>
      failure === undefined ? [] : [`${name} was given up: ${failure}`],
    ),
  ].join('\n\n');
}

/** One figure of all servers and cases: medians. Ours first, the floors last. */
export function formatOverview(results: SuiteResults, metric: MetricKey): string {
  const cases = results.cases.filter((theCase) => metricsOf(theCase).includes(metric));
  const rank = (name: string): number => (name.startsWith('aionbd') ? 0 : isFloor(name) ? 2 : 1);
  const servers = [...new Set(cases.flatMap((theCase) => theCase.servers.map(({ name }) => name)))].toSorted(
    (a, b) => rank(a) - rank(b),
  );
  return markdownTable(
    [METRICS[metric].label, ...cases.map(({ name }) => name)],
    servers.map((server) => [
      server,
      ...cases.map(({ name }) => {
        const median = medianOf(results, name, server, metric);
        return median === undefined ? '' : formatNumber(median, METRICS[metric].digits);
      }),
    ]),
  );
}

function formatFigure(server: ServerResults, metric: MetricKey): string {
  const summary = summaryOf(server, metric);
  if (summary === undefined) return '–';
  const text = (value: number): string => formatNumber(value, METRICS[metric].digits);
  if (summary.min === summary.max) return text(summary.median);
  return `${text(summary.median)} (${text(summary.min)}–${text(summary.max)})`;
}

function formatRatio(ours: number | undefined, theirs: number | undefined): string {
  if (ours === undefined || theirs === undefined || theirs === 0) return '–';
  return `${(ours / theirs).toFixed(2)}×`;
}
