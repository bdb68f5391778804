import type { ServerSnapshot } from '../metrics/snapshot.js';
import { type Line, type Paint, paint, type Span, span } from './line.js';
import type { Picture } from './rates.js';
import { type Column, columnsFor, headerLine, rowLine } from './table.js';
import { fit, visible, widthOf } from './text.js';
import {
  CONNECTION_COLUMNS,
  CONNECTION_ORDERS,
  EXPORT_COLUMNS,
  EXPORT_ORDERS,
  inOrder,
  shownName,
  THREAD_COLUMNS,
} from './top-columns.js';
import type { TopState } from './top-state.js';
import { count, duration, latency, mebibytes, rate } from './units.js';

/** Warnings above the table, where there is height for them. */
const WARNINGS_ABOVE = 2;
const WIDEST_NAME = 48;
/** From this width on the curve of throughput stands beside the totals. */
const CURVE_FROM_WIDTH = 100;
const WIDEST_CURVE = 60;
const BARS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BARS = [' ', '.', '.', ':', ':', '|', '|', '#', '#'];

/** The screen: `height` lines of at most `width` columns, with nothing in them but text and, in colour, SGR sequences. */
export function renderTop(state: TopState, width: number, height: number, how: Paint): readonly string[] {
  const body = bodyHeight(state, height);
  const lines = [
    ...headOf(state, width, height, how),
    ...listOf(state, width, body + 1).slice(0, body + 1),
  ].slice(0, Math.max(height - 1, 0));
  while (lines.length < height - 1) lines.push([]);
  if (height > 0) lines.push(footOf(state, width));
  return lines.map((line) => paint(line, width, how));
}

/** Rows of the list that fit, for paging. */
export function bodyHeight(state: TopState, height: number): number {
  // The list has a line of titles, and the keys have the last line.
  return Math.max(height - headHeight(state, height) - 2, 0);
}

// ---- the upper part ----

function headHeight(state: TopState, height: number): number {
  if (state.picture === undefined) return 2 + Number(state.trouble !== undefined);
  return 6 + warningsAbove(state, height) + Number(state.trouble !== undefined);
}

function warningsAbove({ picture, view }: TopState, height: number): number {
  const { length } = picture?.snapshot.warnings ?? [];
  return view === 'warnings' || height < 16 ? 0 : Math.min(length, WARNINGS_ABOVE);
}

function headOf(state: TopState, width: number, height: number, how: Paint): Line[] {
  const { picture, trouble, nowMs } = state;
  const lines: Line[] = [titleOf(state, width)];
  if (trouble !== undefined) {
    const since = duration(nowMs - trouble.sinceMs);
    const what = picture === undefined ? 'no server' : 'the server is gone';
    lines.push([span(fit(` ${what} for ${since}, trying again: ${visible(trouble.reason)}`, width), 'bad')]);
  }
  if (picture === undefined) {
    lines.push([span(trouble === undefined ? 'waiting for the first answer …' : '')]);
    return lines;
  }
  const totals = totalsOf(picture, state);
  const curve = curveOf(state.history, width, totals.length - 1, how);
  lines.push(...totals.map((line, i) => beside(line, curve[i], width)));
  const shown = warningsAbove(state, height);
  const { warnings } = picture.snapshot;
  for (const [i, warning] of warnings.slice(0, shown).entries()) {
    const rest = warnings.length - shown;
    const more = i === shown - 1 && rest > 0 ? ` (w: ${rest} more)` : '';
    const about = warning.exportName === undefined ? '' : `${shownName(warning.exportName)}: `;
    lines.push([
      span(fit(`! ${about}${visible(warning.text)}`, Math.max(width - widthOf(more), 0)), 'warning'),
      span(more, 'warning'),
    ]);
  }
  lines.push([]);
  return lines;
}

function titleOf({ address, picture, paused, nowMs }: TopState, width: number): Line {
  const left: Span[] = [span('aionbd', 'title')];
  if (picture !== undefined) {
    const { version, pid, startedAtMs, takenAtMs, state } = picture.snapshot;
    left.push(span(` ${visible(version)} pid ${pid} `));
    left.push(
      state === 'draining' ? span('draining', 'warning') : span('serving', 'good'),
      span(` for ${duration(takenAtMs - startedAtMs)}`),
    );
  }
  if (paused) left.push(span(' '), span(' PAUSED ', 'heading'));
  const right = `${visible(address)}  ${clock(nowMs)}`;
  const used = left.reduce((sum, { text }) => sum + widthOf(text), 0);
  return [...left, span(fit(right, Math.max(width - used - 1, 0), 'right')), span(' ')];
}

function clock(nowMs: number): string {
  const now = new Date(nowMs);
  return [now.getHours(), now.getMinutes(), now.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

/** Four lines: what is done, how much it moves, how long it takes, who asks for it. */
function totalsOf({ total, snapshot, inFlight, errorsTotal, seconds }: Picture, state: TopState): Line[] {
  const value = (text: string) => span(fit(text, 7, 'right'), 'strong');
  const part = (label: string, text: string) => span(`  ${fit(label, 7)} ${fit(text, 6, 'right')}`);
  const since =
    seconds === 0 && state.trouble === undefined ? span('  (since the start)', 'faint') : span('');
  // Those that led to no I/O have no share of the disk, so that can be more than the whole.
  return [
    [
      span('IOPS      '),
      value(rate(total.iops)),
      part('read', rate(total.readIops)),
      part('write', rate(total.writeIops)),
      part('other', rate(total.otherIops)),
    ],
    [
      span('MiB/s     '),
      value(mebibytes(total.readBytes + total.writtenBytes)),
      part('read', mebibytes(total.readBytes)),
      part('write', mebibytes(total.writtenBytes)),
    ],
    [
      span('p99       '),
      value(latency(total.p99)),
      part('p50', latency(total.p50)),
      part('disk99', latency(total.diskP99)),
      part('disk50', latency(total.diskP50)),
      since,
    ],
    [
      span('in flight '),
      value(count(inFlight)),
      part('clients', count(snapshot.connections.length)),
      part('exports', count(snapshot.exports.length)),
      span('  errors  '),
      span(
        fit(`${rate(total.errors)}/s`, 6, 'right'),
        total.errors > 0 ? 'bad' : errorsTotal > 0 ? 'warning' : 'plain',
      ),
      span(` (${count(errorsTotal)} in all)`, 'faint'),
    ],
  ];
}

/** The curve of requests a second: `rows` high, the latest at the right. */
function curveOf(history: readonly number[], width: number, rows: number, { unicode }: Paint): string[] {
  if (width < CURVE_FROM_WIDTH || history.length < 2) return [];
  const columns = Math.min(width - 72, WIDEST_CURVE);
  const points = history.slice(-columns);
  const most = Math.max(...points);
  const bars = unicode ? BARS : ASCII_BARS;
  const steps = bars.length - 1;
  return Array.from({ length: rows }, (_, row) => {
    const floor = (rows - 1 - row) * steps;
    return points
      .map((value) => {
        // What is not nothing is to be seen.
        const full = most === 0 ? 0 : Math.max(Math.round((value / most) * rows * steps), value > 0 ? 1 : 0);
        return bars[Math.min(Math.max(full - floor, 0), steps)];
      })
      .join('')
      .padStart(columns);
  });
}

function beside(line: Line, curve: string | undefined, width: number): Line {
  if (curve === undefined) return line;
  const used = line.reduce((sum, { text }) => sum + widthOf(text), 0);
  const gap = width - used - curve.length - 1;
  return gap < 2 ? line : [...line, span(' '.repeat(gap)), span(curve, 'title')];
}

// ---- the list ----

function listOf(state: TopState, width: number, height: number): Line[] {
  if (state.view === 'help') return HELP;
  const { picture, reversed } = state;
  if (picture === undefined) return [];
  switch (state.view) {
    case 'exports': {
      const order = EXPORT_ORDERS[state.exportOrder]!;
      const rows = inOrder(picture.exports, order, reversed);
      return tableOf(EXPORT_COLUMNS, rows, order.by, state.scroll, width, height, 'nothing is exported');
    }
    case 'connections': {
      const order = CONNECTION_ORDERS[state.connectionOrder]!;
      const { takenAtMs } = picture.snapshot;
      const rows = inOrder(picture.connections, order, reversed).map((row) => ({
        ...row,
        ageMs: takenAtMs - row.of.startedAtMs,
      }));
      return tableOf(CONNECTION_COLUMNS, rows, order.by, state.scroll, width, height, 'nobody is connected');
    }
    case 'threads':
      return tableOf(THREAD_COLUMNS, picture.threads, '', state.scroll, width, height, '');
    case 'warnings':
      return warningsOf(picture.snapshot, state.scroll, width);
  }
}

function tableOf<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  sortedBy: string,
  scroll: number,
  width: number,
  height: number,
  ifEmpty: string,
): Line[] {
  const first = columns[0]!;
  const widest = rows.reduce((most, row) => Math.max(most, widthOf(first.text(row))), first.width);
  const shown = columnsFor(columns, width, Math.min(widest, WIDEST_NAME));
  const lines = [headerLine(shown, sortedBy, width)];
  if (rows.length === 0) return [...lines, [span(ifEmpty, 'faint')]];
  for (const row of rows.slice(scroll, scroll + height)) lines.push(rowLine(shown, row));
  return lines;
}

function warningsOf({ warnings, handshakeFailures }: ServerSnapshot, scroll: number, width: number): Line[] {
  const lines: Line[] = [[span(fit('WARNINGS', width), 'heading')]];
  if (warnings.length === 0) lines.push([span('none', 'good')]);
  for (const { kind, exportName, text } of warnings.slice(scroll)) {
    const about = exportName === undefined ? '' : `${shownName(exportName)}: `;
    lines.push([span(`! ${about}${visible(text)}`, 'warning'), span(` (${visible(kind)})`, 'faint')]);
  }
  const failures = Object.entries(handshakeFailures).filter(([, times]) => times > 0);
  if (failures.length > 0) {
    lines.push([], [span(fit('HANDSHAKES THAT LED TO NOTHING', width), 'heading')]);
    for (const [reason, times] of failures) {
      lines.push([span(fit(count(times), 7, 'right'), 'strong'), span(`  ${visible(reason)}`)]);
    }
  }
  return lines;
}

const HELP: Line[] = [
  'e exports   c connections   t threads   w warnings, failed handshakes   Tab next',
  's S, → ←    sort by another column        r  the other way round',
  '↑ ↓ j k     scroll; by more with PgUp PgDn Home End',
  'p, space    hold the picture, and go on   q, Ctrl-C  quit   ?  this help',
  '',
  'IOPS, MiB/s  in the last second           P50, P99  of 100 requests 50, and 99,',
  'INFL   requests in flight                           were answered within',
  "ERR    errors since the start             DISK P99  the disk's share, of I/O",
  'CONN   clients                            USED, FREE  of file, and filesystem',
  'MODE   cached: through the page cache     BATCH   I/O in one io_submit',
  'LAG    how late the event loop was        FALLBACKS  I/O left to a worker',
  'STOPS  clients not read from, for want of memory',
].map((text, i) => [span(text, i < 5 ? 'plain' : 'faint')]);

function footOf(state: TopState, width: number): Line {
  const item = (key: string, word: string): Span[] => [span(key, 'heading'), span(` ${word}  `)];
  const items = [
    ...item('q', 'quit'),
    ...item('e', 'exports'),
    ...item('c', 'clients'),
    ...item('t', 'threads'),
    ...item('w', 'warnings'),
    ...item('s', 'sort'),
    ...item('p', state.paused ? 'go on' : 'pause'),
    ...item('?', 'help'),
  ];
  return width < 40 ? items.slice(0, 6) : items;
}
