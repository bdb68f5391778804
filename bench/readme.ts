import { METRICS, type MetricKey } from './metrics.js';
import { medianOf, type SuiteResults } from './results.js';
import { QEMU_ENGINES } from './servers.js';
import { formatNumber, markdownTable } from './tables.js';

// What README.md shows of a run: three sentences and a table beside the other servers. docs/performance.md has the rest.

const OURS = 'aionbd';
const QEMU = { name: 'qemu-nbd, its best engine', servers: QEMU_ENGINES };
const NBDKIT = { name: 'nbdkit file', servers: ['nbdkit'] };
const NBD_SERVER = { name: 'nbd-server', servers: ['nbd-server'] };
const COLUMNS: readonly Column[] = [{ name: OURS, servers: [OURS] }, QEMU, NBDKIT, NBD_SERVER];

/** The servers of a column; of several, the best at each figure is shown. */
interface Column {
  readonly name: string;
  readonly servers: readonly string[];
}

interface Row {
  readonly what: string;
  readonly case: string;
  readonly metric: MetricKey;
}

const ROWS: readonly Row[] = [
  { what: '4 KiB random reads, depth 32: IOPS', case: 'randread-qd32-unix', metric: 'iops' },
  {
    what: 'the same: server CPU, µs/request',
    case: 'randread-qd32-unix',
    metric: 'cpuMicrosecondsPerRequest',
  },
  { what: '4 KiB random writes, depth 32: IOPS', case: 'randwrite-qd32-unix', metric: 'iops' },
  {
    what: 'the same: server CPU, µs/request',
    case: 'randwrite-qd32-unix',
    metric: 'cpuMicrosecondsPerRequest',
  },
  { what: '4 KiB random reads, depth 32, over TCP: IOPS', case: 'randread-qd32-tcp', metric: 'iops' },
  { what: '4 KiB random reads, depth 1: p50, µs', case: 'randread-qd1-unix', metric: 'p50Microseconds' },
  { what: '256 KiB reads in order, depth 8: MiB/s', case: 'seqread-256k-qd8-unix', metric: 'mibPerSecond' },
  { what: '256 KiB writes in order, depth 8: MiB/s', case: 'seqwrite-256k-qd8-unix', metric: 'mibPerSecond' },
  {
    what: 'a file read and written whole: % of it in the page cache',
    case: 'page-cache-4g',
    metric: 'pageCachePercent',
  },
  { what: 'memory of the server at most, MiB', case: 'randread-qd32-unix', metric: 'peakRssMib' },
  { what: 'from its start to listening, ms', case: 'start', metric: 'startMs' },
];

/** The block of README.md. A figure that was not measured is `–`. */
export function formatReadme(results: SuiteResults): string {
  const { machine } = results;
  const cell = (row: Row, column: Column): string => figure(best(results, row, column.servers), row.metric);
  return [
    sentences(results).join('\n'),
    markdownTable(
      ['', ...COLUMNS.map(({ name }) => name)],
      ROWS.map((row) => [row.what, ...COLUMNS.map((column) => cell(row, column))]),
    ),
    `Medians of ${results.rounds} rounds of ${results.secondsPerRound} s, ${machine.startedAt.slice(0, 10)}: a file in memory, fio as the client on the same ${machine.processors} processors ` +
      `(${machine.model}), Unix sockets unless said otherwise. nbdkit and nbd-server read through the page cache, and found the whole file there. – was not measured.`,
  ].join('\n\n');
}

/** A list that claims no more than was measured: ratios are given in whichever direction they lie. */
function sentences(results: SuiteResults): readonly string[] {
  const row = (wanted: string, metric: MetricKey): Row =>
    ROWS.find((each) => each.case === wanted && each.metric === metric)!;
  const ours = (row: Row): string => figure(best(results, row, [OURS]), row.metric);
  const times = (row: Row, { servers }: Column): string => {
    const [mine, theirs] = [best(results, row, [OURS]), best(results, row, servers)];
    return mine === undefined || !theirs ? '–' : `${formatNumber(mine / theirs, 2)}×`;
  };
  const reads = row('randread-qd32-unix', 'iops');
  const cpu = row('randread-qd32-unix', 'cpuMicrosecondsPerRequest');
  const cache = row('page-cache-4g', 'pageCachePercent');
  const share = (column: Column): string => `${figure(best(results, cache, column.servers), cache.metric)} %`;
  return [
    `- **Requests a second**: ${ours(reads)} random reads of 4 KiB at depth 32, ${times(reads, QEMU)} what qemu-nbd does with its best engine and ${times(reads, NBDKIT)} what nbdkit does out of the page cache.`,
    `- **Processor time**: ${ours(cpu)} µs of the server for each of them, ${times(cpu, QEMU)} that of qemu-nbd and ${times(cpu, NBDKIT)} that of nbdkit.`,
    `- **Memory**: after a file was read and written whole, ${share(COLUMNS[0]!)} of it is in the page cache; with nbdkit ${share(NBDKIT)}, with nbd-server ${share(NBD_SERVER)}.`,
  ];
}

function best(results: SuiteResults, { case: name, metric }: Row, servers: readonly string[]) {
  const medians = servers.flatMap((server) => medianOf(results, name, server, metric) ?? []);
  if (medians.length === 0) return undefined;
  return METRICS[metric].better === 'higher' ? Math.max(...medians) : Math.min(...medians);
}

function figure(value: number | undefined, metric: MetricKey): string {
  if (value === undefined) return '–';
  // 0.00 and 100.00 look more exact than they are.
  return formatNumber(value, metric === 'pageCachePercent' ? 0 : METRICS[metric].digits);
}
