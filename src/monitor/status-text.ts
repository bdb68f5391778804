import type { ServerSnapshot } from '../metrics/snapshot.js';
import { bytesTotal, compare, type ExportActivity } from './rates.js';
import { fit, visible, widthOf } from './text.js';
import { shownName } from './top-columns.js';
import { count, duration, latency, percent, size } from './units.js';

interface Column<Row> {
  readonly title: string;
  readonly right?: true;
  text(row: Row): string;
}

/**
 * The state of a server for people, line by line: what it has done since its start. Columns are as wide as what is in
 * them; nothing is cut off.
 */
export function statusText(snapshot: ServerSnapshot): readonly string[] {
  const picture = compare(undefined, snapshot);
  const { version, pid, startedAtMs, takenAtMs, state, listeners, connections, warnings } = snapshot;
  return [
    `aionbd ${visible(version)}, pid ${pid}, ${state} for ${duration(takenAtMs - startedAtMs)}`,
    `health     ${healthOf(snapshot)}`,
    `listening  ${listeners.map(visible).join(', ') || 'nowhere'}`,
    ...section('EXPORTS', table(EXPORTS, picture.exports)),
    ...section(
      'CONNECTIONS',
      table(
        CONNECTIONS,
        connections.map((connection) => ({ ...connection, ageMs: takenAtMs - connection.startedAtMs })),
      ),
    ),
    ...section('THREADS', table(THREADS, snapshot.reactors)),
    ...section(
      'HANDSHAKES THAT LED TO NOTHING',
      Object.entries(snapshot.handshakeFailures)
        .filter(([, times]) => times > 0)
        .map(([reason, times]) => `${times}  ${visible(reason)}`),
    ),
    ...section(
      'WARNINGS',
      warnings.map(({ kind, exportName, text }) => {
        const about = exportName === undefined ? '' : `${shownName(exportName)}: `;
        return `${about}${visible(text)} (${visible(kind)})`;
      }),
    ),
  ];
}

/** Whether a script may go on: every export is healthy. One that is draining still is. */
export function isHealthy({ exports }: ServerSnapshot): boolean {
  return exports.every(({ health }) => health.healthy);
}

function healthOf({ exports }: ServerSnapshot): string {
  const bad = exports.filter(({ health }) => !health.healthy);
  if (bad.length === 0) return 'healthy';
  return `UNHEALTHY: ${bad.map(({ name, health }) => `${shownName(name)}: ${visible(health.reason)}`).join('; ')}`;
}

const EXPORTS: readonly Column<ExportActivity>[] = [
  { title: 'name', text: ({ of }) => shownName(of.name) },
  { title: 'health', text: ({ of }) => (of.health.healthy ? 'ok' : 'BAD') },
  {
    title: 'mode',
    text: ({ of }) => `${of.direct ? 'direct' : 'page cache'}${of.readOnly ? ', read-only' : ''}`,
  },
  { title: 'size', right: true, text: ({ of }) => size(of.sizeBytes) },
  { title: 'used', right: true, text: ({ of }) => percent(of.allocatedBytes, of.sizeBytes) },
  {
    title: 'free',
    right: true,
    text: ({ of }) => (of.filesystemFreeBytes === undefined ? '-' : size(of.filesystemFreeBytes)),
  },
  { title: 'clients', right: true, text: ({ of }) => String(of.connections) },
  { title: 'requests', right: true, text: (row) => count(row.requestsTotal) },
  { title: 'read', right: true, text: ({ of }) => size(bytesTotal(of, 'read')) },
  { title: 'written', right: true, text: ({ of }) => size(bytesTotal(of, 'write')) },
  { title: 'errors', right: true, text: (row) => String(row.errorsTotal) },
  { title: 'p50', right: true, text: (row) => latency(row.p50) },
  { title: 'p99', right: true, text: (row) => latency(row.p99) },
  { title: 'in flight', right: true, text: ({ of }) => String(of.inFlight) },
  { title: 'path', text: ({ of }) => visible(of.path) },
];

const CONNECTIONS: readonly Column<ServerSnapshot['connections'][number] & { readonly ageMs: number }>[] = [
  { title: 'id', right: true, text: ({ id }) => String(id) },
  { title: 'peer', text: ({ peer }) => visible(peer) },
  { title: 'export', text: ({ exportName }) => shownName(exportName) },
  { title: 'since', right: true, text: ({ ageMs }) => duration(ageMs) },
  { title: 'replies', text: ({ replies }) => replies },
  { title: 'requests', right: true, text: ({ requests }) => count(requests) },
  { title: 'read', right: true, text: ({ readBytes }) => size(readBytes) },
  { title: 'written', right: true, text: ({ writtenBytes }) => size(writtenBytes) },
  { title: 'errors', right: true, text: ({ errors }) => String(errors) },
  { title: 'in flight', right: true, text: ({ inFlight }) => String(inFlight) },
  { title: 'thread', right: true, text: ({ reactor }) => String(reactor) },
  { title: 'contexts', text: ({ metaContexts }) => visible(metaContexts.join(' ')) || '-' },
];

const THREADS: readonly Column<ServerSnapshot['reactors'][number]>[] = [
  { title: 'thread', right: true, text: ({ index }) => String(index) },
  { title: 'I/O', right: true, text: ({ ioSubmitted }) => count(ioSubmitted) },
  {
    title: 'batch',
    right: true,
    text: ({ ioSubmitted, ioSubmitCalls }) =>
      ioSubmitCalls > 0 ? (ioSubmitted / ioSubmitCalls).toFixed(1) : '-',
  },
  { title: 'fallbacks', right: true, text: ({ nowaitFallbacks }) => count(nowaitFallbacks) },
  { title: 'stops', right: true, text: ({ backpressureStops }) => count(backpressureStops) },
  {
    title: 'memory',
    right: true,
    text: ({ bufferUsedBytes, bufferBytes }) => `${size(bufferUsedBytes)} of ${size(bufferBytes)}`,
  },
  { title: 'lag', right: true, text: ({ loopLagSeconds }) => latency(loopLagSeconds) },
];

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`.trimEnd())];
}

function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): readonly string[] {
  if (rows.length === 0) return [];
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map((column) => column.text(row))),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => widthOf(row[i]!))));
  return cells.map((row) =>
    row.map((cell, i) => fit(cell, widths[i]!, columns[i]!.right ? 'right' : 'left')).join('  '),
  );
}
