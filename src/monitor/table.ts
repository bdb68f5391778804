import type { Line, Span, Tone } from './line.js';
import { fit, widthOf } from './text.js';

export interface Column<Row> {
  readonly title: string;
  /** Columns of the terminal that it takes; of the one that gives way, the least. */
  readonly width: number;
  /** Lower is more important; those that there is no room for are left out, the least important first. */
  readonly rank: number;
  readonly align: 'left' | 'right';
  readonly text: (row: Row) => string;
  readonly tone?: (row: Row) => Tone;
}

const GAP = 1;

/** The columns that there is room for, in their order, with the widths they get. The first takes what is left over, up to `widest`. */
export function columnsFor<Row>(
  columns: readonly Column<Row>[],
  width: number,
  widest: number,
): readonly Column<Row>[] {
  const chosen = new Set<Column<Row>>();
  let taken = 0;
  for (const column of columns.toSorted((a, b) => a.rank - b.rank)) {
    const needed = column.width + (chosen.size === 0 ? 0 : GAP);
    if (chosen.size > 0 && taken + needed > width) break;
    chosen.add(column);
    taken += needed;
  }
  const shown = columns.filter((column) => chosen.has(column));
  const spare = Math.max(width - taken, 0);
  return shown.map((column, i) =>
    i === 0 ? { ...column, width: Math.max(Math.min(column.width + spare, widest), column.width) } : column,
  );
}

/** The line above a table. The title that it is sorted by is marked. */
export function headerLine<Row>(columns: readonly Column<Row>[], sortedBy: string, width: number): Line {
  const spans: Span[] = [];
  let used = 0;
  for (const [i, { title, width: columnWidth, align }] of columns.entries()) {
    const text = (i === 0 ? '' : ' '.repeat(GAP)) + fit(title, columnWidth, align);
    used += widthOf(text);
    spans.push({ text, tone: title === sortedBy ? 'strong' : 'heading' });
  }
  spans.push({ text: ' '.repeat(Math.max(width - used, 0)), tone: 'heading' });
  return spans;
}

export function rowLine<Row>(columns: readonly Column<Row>[], row: Row): Line {
  return columns.flatMap(({ text, width, align, tone }, i) => [
    ...(i === 0 ? [] : [{ text: ' '.repeat(GAP), tone: 'plain' as const }]),
    { text: fit(text(row), width, align), tone: tone?.(row) ?? 'plain' },
  ]);
}
