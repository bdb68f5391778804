import type { Tone } from './line.js';
import type { ConnectionActivity, ExportActivity, ThreadActivity } from './rates.js';
import type { Column } from './table.js';
import { visible } from './text.js';
import { count, duration, latency, mebibytes, percent, rate, size } from './units.js';

const NAME = { align: 'left', rank: 0 } as const;
const right = { align: 'right' } as const;
const faintIf = (isFaint: boolean): Tone => (isFaint ? 'faint' : 'plain');

/** The export's name that stands for the empty one. */
export function shownName(name: string): string {
  return name === '' ? '""' : visible(name);
}

export const EXPORT_COLUMNS: readonly Column<ExportActivity>[] = [
  {
    ...NAME,
    title: 'EXPORT',
    width: 14,
    text: ({ of }) => shownName(of.name),
    tone: ({ of, iops }) => (of.health.healthy ? (iops > 0 ? 'strong' : 'plain') : 'bad'),
  },
  { ...right, title: 'IOPS', width: 5, rank: 1, text: (row) => rate(row.iops), tone: idleIsFaint },
  { ...right, title: 'READ/s', width: 6, rank: 12, text: (row) => rate(row.readIops), tone: idleIsFaint },
  { ...right, title: 'WRITE/s', width: 7, rank: 13, text: (row) => rate(row.writeIops), tone: idleIsFaint },
  { ...right, title: 'OTHER/s', width: 7, rank: 17, text: (row) => rate(row.otherIops), tone: idleIsFaint },
  {
    ...right,
    title: 'R MiB/s',
    width: 7,
    rank: 2,
    text: (row) => mebibytes(row.readBytes),
    tone: idleIsFaint,
  },
  {
    ...right,
    title: 'W MiB/s',
    width: 7,
    rank: 3,
    text: (row) => mebibytes(row.writtenBytes),
    tone: idleIsFaint,
  },
  { ...right, title: 'P50', width: 6, rank: 5, text: (row) => latency(row.p50), tone: idleIsFaint },
  { ...right, title: 'P99', width: 6, rank: 4, text: (row) => latency(row.p99), tone: idleIsFaint },
  { ...right, title: 'DISK P99', width: 8, rank: 14, text: (row) => latency(row.diskP99), tone: idleIsFaint },
  {
    ...right,
    title: 'INFL',
    width: 5,
    rank: 6,
    text: ({ of }) => count(of.inFlight),
    tone: ({ of }) => faintIf(of.inFlight === 0),
  },
  {
    ...right,
    title: 'ERR',
    width: 5,
    rank: 7,
    text: (row) => count(row.errorsTotal),
    tone: (row) => (row.errors > 0 ? 'bad' : row.errorsTotal > 0 ? 'warning' : 'faint'),
  },
  {
    ...right,
    title: 'CONN',
    width: 4,
    rank: 8,
    text: ({ of }) => count(of.connections),
    tone: ({ of }) => faintIf(of.connections === 0),
  },
  { ...right, title: 'SIZE', width: 5, rank: 10, text: ({ of }) => size(of.sizeBytes) },
  { ...right, title: 'USED', width: 5, rank: 15, text: ({ of }) => percent(of.allocatedBytes, of.sizeBytes) },
  {
    ...right,
    title: 'FREE',
    width: 5,
    rank: 16,
    text: ({ of }) => (of.filesystemFreeBytes === undefined ? '-' : size(of.filesystemFreeBytes)),
  },
  {
    align: 'left',
    title: 'MODE',
    width: 9,
    rank: 11,
    text: ({ of }) => `${of.direct ? 'direct' : 'cached'}${of.readOnly ? ' ro' : ''}`,
    tone: ({ of }) => (of.direct ? 'plain' : 'warning'),
  },
  {
    align: 'left',
    title: 'HEALTH',
    width: 6,
    rank: 9,
    text: ({ of }) => (of.health.healthy ? 'ok' : 'BAD'),
    tone: ({ of }) => (of.health.healthy ? 'good' : 'bad'),
  },
];

export const CONNECTION_COLUMNS: readonly Column<ConnectionActivity & { readonly ageMs: number }>[] = [
  {
    ...NAME,
    title: 'CLIENT',
    width: 15,
    text: ({ of }) => visible(of.peer),
    tone: (row) => (row.iops > 0 ? 'strong' : 'plain'),
  },
  { ...right, title: 'ID', width: 5, rank: 8, text: ({ of }) => String(of.id) },
  { align: 'left', title: 'EXPORT', width: 12, rank: 1, text: ({ of }) => shownName(of.exportName) },
  { ...right, title: 'IOPS', width: 5, rank: 2, text: (row) => rate(row.iops), tone: idleIsFaint },
  {
    ...right,
    title: 'R MiB/s',
    width: 7,
    rank: 3,
    text: (row) => mebibytes(row.readBytes),
    tone: idleIsFaint,
  },
  {
    ...right,
    title: 'W MiB/s',
    width: 7,
    rank: 4,
    text: (row) => mebibytes(row.writtenBytes),
    tone: idleIsFaint,
  },
  {
    ...right,
    title: 'INFL',
    width: 5,
    rank: 5,
    text: ({ of }) => count(of.inFlight),
    tone: ({ of }) => faintIf(of.inFlight === 0),
  },
  {
    ...right,
    title: 'ERR',
    width: 5,
    rank: 6,
    text: ({ of }) => count(of.errors),
    tone: (row) => (row.errors > 0 ? 'bad' : row.of.errors > 0 ? 'warning' : 'faint'),
  },
  { ...right, title: 'SINCE', width: 7, rank: 7, text: ({ ageMs }) => duration(ageMs) },
  { align: 'left', title: 'REPLIES', width: 10, rank: 9, text: ({ of }) => of.replies },
  { ...right, title: 'READ', width: 5, rank: 10, text: ({ of }) => size(of.readBytes) },
  { ...right, title: 'WRITTEN', width: 7, rank: 11, text: ({ of }) => size(of.writtenBytes) },
  { ...right, title: 'THREAD', width: 6, rank: 12, text: ({ of }) => String(of.reactor) },
  {
    align: 'left',
    title: 'CONTEXTS',
    width: 16,
    rank: 13,
    text: ({ of }) => visible(of.metaContexts.join(' ')) || '-',
  },
];

export const THREAD_COLUMNS: readonly Column<ThreadActivity>[] = [
  { ...NAME, title: 'THREAD', width: 6, text: ({ of }) => String(of.index) },
  { ...right, title: 'TURNS/s', width: 7, rank: 1, text: ({ turns }) => rate(turns) },
  { ...right, title: 'SUBMITS/s', width: 9, rank: 2, text: ({ ioSubmitCalls }) => rate(ioSubmitCalls) },
  {
    ...right,
    title: 'BATCH',
    width: 5,
    rank: 3,
    text: ({ ioSubmitted, ioSubmitCalls }) =>
      ioSubmitCalls > 0 ? (ioSubmitted / ioSubmitCalls).toFixed(1) : '-',
  },
  { ...right, title: 'FALLBACKS/s', width: 11, rank: 5, text: (row) => rate(row.nowaitFallbacks) },
  { ...right, title: 'STOPS/s', width: 7, rank: 6, text: (row) => rate(row.backpressureStops) },
  {
    ...right,
    title: 'MEMORY',
    width: 6,
    rank: 4,
    text: ({ of }) => percent(of.bufferUsedBytes, of.bufferBytes),
  },
  { ...right, title: 'LAG', width: 6, rank: 7, text: ({ of }) => latency(of.loopLagSeconds) },
];

function idleIsFaint({ iops }: { readonly iops: number }): Tone {
  return faintIf(iops === 0);
}

/** A way to sort a table: most first. */
export interface Order<Row> {
  /** Title of the column. */
  readonly by: string;
  readonly key: (row: Row) => number | string;
}

export const EXPORT_ORDERS: readonly Order<ExportActivity>[] = [
  { by: 'IOPS', key: (row) => row.iops },
  { by: 'R MiB/s', key: (row) => row.readBytes },
  { by: 'W MiB/s', key: (row) => row.writtenBytes },
  { by: 'P99', key: (row) => row.p99 ?? -1 },
  { by: 'INFL', key: (row) => row.of.inFlight },
  { by: 'ERR', key: (row) => row.errorsTotal },
  { by: 'EXPORT', key: (row) => row.of.name },
];

export const CONNECTION_ORDERS: readonly Order<ConnectionActivity>[] = [
  { by: 'IOPS', key: (row) => row.iops },
  { by: 'R MiB/s', key: (row) => row.readBytes },
  { by: 'W MiB/s', key: (row) => row.writtenBytes },
  { by: 'INFL', key: (row) => row.of.inFlight },
  { by: 'ERR', key: (row) => row.of.errors },
  { by: 'EXPORT', key: (row) => row.of.exportName },
  { by: 'SINCE', key: (row) => -row.of.startedAtMs },
];

/** Sorted most first, words from A; `reversed` turns that around. Equals keep their order. */
export function inOrder<Row>(rows: readonly Row[], { key }: Order<Row>, reversed: boolean): readonly Row[] {
  const sign = reversed ? -1 : 1;
  return rows.toSorted((a, b) => {
    const left = key(a);
    const right = key(b);
    if (typeof left === 'string' || typeof right === 'string') {
      return sign * (String(left) < String(right) ? -1 : String(left) > String(right) ? 1 : 0);
    }
    return sign * (right - left);
  });
}
