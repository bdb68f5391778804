import { isFloor } from './floors.js';
import { METRICS, type MetricKey } from './metrics.js';
import { type CaseResults, metricsOf, summaryOf } from './results.js';
import type { Summary } from './statistics.js';
import { formatNumber } from './tables.js';

// Bars for the median, a line across the end from lowest to highest. The SVG brings its colours for light and dark
// along, and asks for nothing from elsewhere.

const PANELS: readonly MetricKey[] = ['iops', 'cpuMicrosecondsPerRequest'];
const FALLBACK_PANELS: readonly MetricKey[] = [
  'mibPerSecond',
  'pageCachePercent',
  'startMs',
  'collectionsPerMillion',
  'cpuMicrosecondsPerMib',
];

const WIDTH = 860;
const LABEL_WIDTH = 170;
const VALUE_WIDTH = 70;
const ROW_HEIGHT = 24;
const BAR_HEIGHT = 15;
const HEAD_HEIGHT = 58;
const GAP = 24;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 14px; font-weight: 600 }
  .quiet { fill: #59636e }
  .ours { fill: #0969da }
  .peer { fill: #9198a1 }
  .floor { fill: none; stroke: #9198a1; stroke-dasharray: 4 3 }
  .range { stroke: #1f2328; stroke-width: 1.5 }
  .ground { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .peer { fill: #6e7681 }
    .floor { stroke: #6e7681 }
    .range { stroke: #e6edf3 }
    .ground { fill: #0d1117 }
  }`;

/** A bar chart of one case; undefined if nothing of it can be drawn. */
export function caseChart(theCase: CaseResults): string | undefined {
  const present = metricsOf(theCase);
  const first = PANELS.filter((metric) => present.includes(metric));
  const panels =
    first.length > 0 ? first : FALLBACK_PANELS.filter((metric) => present.includes(metric)).slice(0, 2);
  if (panels.length === 0) return undefined;
  const height = HEAD_HEIGHT + theCase.servers.length * ROW_HEIGHT + 10;
  const panelWidth = (WIDTH - LABEL_WIDTH) / panels.length - GAP;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escapeXml(`${theCase.name}: ${theCase.description}`)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}"/>`,
    `<text class="title" x="10" y="20">${escapeXml(theCase.description)}</text>`,
    ...theCase.servers.map(
      ({ name }, row) =>
        `<text x="${LABEL_WIDTH - 10}" y="${textY(row)}" text-anchor="end">${escapeXml(name)}</text>`,
    ),
    ...panels.flatMap((metric, index) =>
      panel(theCase, metric, LABEL_WIDTH + index * (panelWidth + GAP), panelWidth),
    ),
    '</svg>',
    '',
  ];
  return parts.join('\n');
}

function panel(theCase: CaseResults, metric: MetricKey, x: number, width: number): readonly string[] {
  const { label, digits, better } = METRICS[metric];
  const summaries = theCase.servers.map((server) => summaryOf(server, metric));
  const largest = Math.max(...summaries.map((summary) => summary?.max ?? 0));
  const scale = largest > 0 ? (width - VALUE_WIDTH) / largest : 0;
  const note = `${label} (${better} is better)`;
  return [
    `<text class="quiet" x="${x}" y="44">${escapeXml(note)}</text>`,
    ...summaries.flatMap((summary, row) =>
      summary === undefined ? [] : bar(summary, row, x, scale, digits, theCase.servers[row]?.name ?? ''),
    ),
  ];
}

function bar(
  { median, min, max }: Summary,
  row: number,
  x: number,
  scale: number,
  digits: number,
  name: string,
): readonly string[] {
  const top = HEAD_HEIGHT + row * ROW_HEIGHT;
  const middle = top + BAR_HEIGHT / 2;
  const at = (value: number): string => (x + value * scale).toFixed(1);
  // A bound is no competitor: an outline.
  const colour = name.startsWith('aionbd') ? 'ours' : isFloor(name) ? 'floor' : 'peer';
  const valueX = (x + max * scale + 6).toFixed(1);
  return [
    `<rect class="${colour}" x="${x}" y="${top}" width="${(median * scale).toFixed(1)}" height="${BAR_HEIGHT}"/>`,
    `<line class="range" x1="${at(min)}" x2="${at(max)}" y1="${middle}" y2="${middle}"/>`,
    `<text x="${valueX}" y="${textY(row)}">${formatNumber(median, digits)}</text>`,
  ];
}

function textY(row: number): number {
  return HEAD_HEIGHT + row * ROW_HEIGHT + BAR_HEIGHT - 3;
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
