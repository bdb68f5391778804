// The columns of the three tables.

import type { ConnectionSnapshot, ReactorSnapshot } from '../src/metrics/snapshot.js';
import { age, bytes, count, glued, time } from './format.js';
import type { ConnectionRates, LiveExport, Rates } from './rates.js';
import { type Column, Table } from './table.js';

export type ExportRow = LiveExport & { readonly rates: Rates | undefined };
export type ConnectionRow = ConnectionSnapshot & {
  readonly ageMs: number;
  readonly rates: ConnectionRates | undefined;
};

const rate = (value: number | undefined) => (value === undefined ? '–' : `${bytes(value)}/s`);

const EXPORT_COLUMNS: readonly Column<ExportRow>[] = [
  {
    label: 'Export',
    key: ({ name }) => name,
    cell: ({ name, description, path, readOnly }) => ({
      text: name || '(no name)',
      detail: [description, path, readOnly ? 'read-only' : ''].filter(Boolean).join(' · '),
    }),
  },
  {
    label: 'Health',
    key: ({ health }) => (health.healthy ? 1 : 0),
    cell: ({ health }) => ({
      text: health.healthy ? 'healthy' : 'hangs or fails',
      pill: health.healthy ? 'good' : 'bad',
      detail: health.healthy
        ? health.probeSeconds === undefined
          ? ''
          : `probe ${time(health.probeSeconds)}`
        : glued(health.reason),
    }),
  },
  {
    label: 'I/O',
    key: ({ direct }) => (direct ? 1 : 0),
    cell: ({ direct, bufferedBecause }) =>
      direct
        ? { text: 'direct', pill: 'plain' }
        : {
            text: 'buffered',
            pill: bufferedBecause.includes('switched off') ? 'plain' : 'wait',
            detail: bufferedBecause,
          },
  },
  {
    label: 'Size',
    isNumber: true,
    key: ({ sizeBytes }) => sizeBytes,
    cell: ({ sizeBytes, allocatedBytes }) => ({
      text: bytes(sizeBytes),
      detail: allocatedBytes === undefined ? '' : `${bytes(allocatedBytes)} allocated`,
    }),
  },
  {
    label: 'Free on disk',
    isNumber: true,
    key: ({ filesystemFreeBytes }) => filesystemFreeBytes ?? -1,
    cell: ({ filesystemFreeBytes, filesystemSizeBytes }) =>
      filesystemFreeBytes === undefined
        ? { text: '–' }
        : { text: bytes(filesystemFreeBytes), detail: `of ${bytes(filesystemSizeBytes ?? 0)}` },
  },
  {
    label: 'Clients',
    isNumber: true,
    key: ({ connections }) => connections,
    cell: ({ connections, inFlight }) => ({
      text: count(connections),
      detail: inFlight > 0 ? `${count(inFlight)} in flight` : '',
    }),
  },
  {
    label: 'Read',
    isNumber: true,
    key: ({ rates }) => rates?.readBytes ?? 0,
    cell: ({ rates }) => ({
      text: rate(rates?.readBytes),
      detail: rates?.readRequests ? `${count(rates.readRequests)} a second` : '',
    }),
  },
  {
    label: 'Write',
    isNumber: true,
    key: ({ rates }) => rates?.writeBytes ?? 0,
    cell: ({ rates }) => ({
      text: rate(rates?.writeBytes),
      detail: rates?.writeRequests ? `${count(rates.writeRequests)} a second` : '',
    }),
  },
  {
    label: 'Latency p99',
    isNumber: true,
    key: ({ rates }) => rates?.p99 ?? 0,
    cell: ({ rates }) => ({
      text: time(rates?.p99),
      detail: Number.isNaN(rates?.p50 ?? Number.NaN) ? '' : `p50 ${time(rates?.p50)}`,
    }),
  },
];

export function exportsTable(root: HTMLElement, choose: (name: string) => void): Table<ExportRow> {
  return new Table(root, {
    id: 'exports',
    title: 'Exports',
    columns: EXPORT_COLUMNS,
    identity: ({ name }) => name,
    sortedBy: 0,
    empty: 'There are none.',
    searched: ({ name, path, description }) => `${name}\n${path}\n${description}`,
    choose: ({ name }) => choose(name),
  });
}

const CONNECTION_COLUMNS: readonly Column<ConnectionRow>[] = [
  {
    label: 'Client',
    key: ({ peer }) => peer,
    cell: ({ peer, id, reactor }) => ({
      text: peer === 'unix' ? 'Unix socket' : peer,
      detail: `connection ${id} · thread ${reactor}`,
    }),
  },
  {
    label: 'Export',
    key: ({ exportName }) => exportName,
    cell: ({ exportName }) => ({ text: exportName || '(no name)' }),
  },
  {
    label: 'Negotiated',
    key: ({ replies }) => replies,
    cell: ({ replies, metaContexts }) => ({ text: `${replies} replies`, detail: metaContexts.join(', ') }),
  },
  {
    label: 'Doing',
    isNumber: true,
    key: ({ rates }) => rates?.requests ?? 0,
    cell: ({ inFlight, rates }) => ({
      text:
        inFlight > 0 || (rates?.requests ?? 0) > 0
          ? `${count(rates?.requests ?? 0)}\u00a0requests/s`
          : 'nothing',
      detail: inFlight > 0 ? `${count(inFlight)} in flight` : '',
    }),
  },
  {
    label: 'Read',
    isNumber: true,
    key: ({ rates }) => rates?.readBytes ?? 0,
    cell: ({ rates, readBytes }) => ({ text: rate(rates?.readBytes), detail: `${bytes(readBytes)} in all` }),
  },
  {
    label: 'Write',
    isNumber: true,
    key: ({ rates }) => rates?.writeBytes ?? 0,
    cell: ({ rates, writtenBytes }) => ({
      text: rate(rates?.writeBytes),
      detail: `${bytes(writtenBytes)} in all`,
    }),
  },
  {
    label: 'Errors',
    isNumber: true,
    key: ({ errors }) => errors,
    cell: ({ errors }) => ({ text: count(errors) }),
  },
  { label: 'Since', isNumber: true, key: ({ ageMs }) => ageMs, cell: ({ ageMs }) => ({ text: age(ageMs) }) },
];

export function connectionsTable(root: HTMLElement): Table<ConnectionRow> {
  return new Table(root, {
    id: 'connections',
    title: 'Connections',
    columns: CONNECTION_COLUMNS,
    identity: ({ id }) => id,
    sortedBy: 3,
    descending: true,
    empty: 'Nobody is connected.',
    searched: ({ peer, exportName }) => `${peer}\n${exportName}`,
  });
}

const THREAD_COLUMNS: readonly Column<ReactorSnapshot>[] = [
  { label: 'Thread', key: ({ index }) => index, cell: ({ index }) => ({ text: `${index}` }) },
  {
    label: 'I/O a batch',
    isNumber: true,
    key: batch,
    cell: (row) => ({ text: row.ioSubmitCalls > 0 ? batch(row).toFixed(1) : '–' }),
  },
  {
    label: 'Handed to workers',
    isNumber: true,
    key: ({ nowaitFallbacks }) => nowaitFallbacks,
    cell: ({ nowaitFallbacks }) => ({ text: count(nowaitFallbacks) }),
  },
  {
    label: 'Buffer memory',
    isNumber: true,
    key: ({ bufferUsedBytes }) => bufferUsedBytes,
    cell: ({ bufferUsedBytes, bufferBytes }) => ({
      text: bytes(bufferUsedBytes),
      detail: `of ${bytes(bufferBytes)}`,
    }),
  },
  {
    label: 'Clients made to wait',
    isNumber: true,
    key: ({ backpressureStops }) => backpressureStops,
    cell: ({ backpressureStops }) => ({ text: count(backpressureStops) }),
  },
  {
    label: 'Loop late by',
    isNumber: true,
    key: ({ loopLagSeconds }) => loopLagSeconds,
    cell: ({ loopLagSeconds }) => ({ text: time(loopLagSeconds) }),
  },
];

function batch({ ioSubmitted, ioSubmitCalls }: ReactorSnapshot): number {
  return ioSubmitted / Math.max(1, ioSubmitCalls);
}

export function threadsTable(root: HTMLElement): Table<ReactorSnapshot> {
  return new Table(root, {
    id: 'threads',
    title: 'Threads',
    columns: THREAD_COLUMNS,
    identity: ({ index }) => index,
    sortedBy: 0,
    empty: 'There are none.',
  });
}
