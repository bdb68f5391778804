import type { IdleResults } from './idle-results.js';
import { formatLimits } from './limits.js';
import { METRICS } from './metrics.js';
import type { MicroResults } from './micro-results.js';
import { PLACES } from './perf-script.js';
import type { Profile, ProfileResults } from './profile-results.js';
import { formatReadme } from './readme.js';
import { medianOf, metricsOf, type SuiteResults } from './results.js';
import {
  formatCase,
  formatMachine,
  formatNumber,
  formatOverview,
  formatPace,
  markdownTable,
} from './tables.js';
import { formatVerdicts, judgeTargets } from './targets.js';

// The measured parts of docs/performance.md, and the one of README.md. Each has a place of its own there,
//
//     <!-- table: NAME -->
//     …
//     <!-- /table -->
//
// and nobody types a figure by hand.

/** A chart as it lies beside the document. */
export interface Chart {
  /** Relative to the document. */
  readonly path: string;
  readonly description: string;
}

/** What goes to which place. */
export type Blocks = Readonly<Record<string, string>>;

/** The name of the one place in README.md. */
export const README_BLOCK = 'readme';

/** The names of all places that docs/performance.md can have. */
export const BLOCK_NAMES = [
  'machine',
  'targets',
  'iops',
  'cpu',
  'latency',
  'cases',
  'model',
  'charts',
  'idle',
  'micro',
  'profile',
  'limits',
] as const;

export function suiteBlocks(results: SuiteResults, charts: readonly Chart[]): Blocks {
  return {
    machine: [
      formatMachine(results.machine),
      `\`npm run bench -- --set ${results.set} --rounds ${results.rounds} --seconds ${results.secondsPerRound}\``,
    ].join('\n\n'),
    targets: formatVerdicts(results, judgeTargets(results)),
    limits: formatLimits(results),
    iops: formatOverview(results, 'iops'),
    cpu: formatOverview(results, 'cpuMicrosecondsPerRequest'),
    latency: formatOverview(results, 'p50Microseconds'),
    // One level below the document's own sections.
    cases: results.cases.map((theCase) => formatCase(theCase).replace(/^## /, '### ')).join('\n\n'),
    model: formatModel(results),
    [README_BLOCK]: formatReadme(results),
    charts: charts.map(({ path, description }) => `![${description}](${path})`).join('\n\n'),
  };
}

/** What one core could answer if the server alone used it, from the CPU time of a request. */
export function formatModel(results: SuiteResults): string {
  const metric = 'cpuMicrosecondsPerRequest';
  const rows = results.cases
    .filter((theCase) => metricsOf(theCase).includes(metric))
    .flatMap(({ name }) => {
      const cpu = medianOf(results, name, 'aionbd', metric);
      const iops = medianOf(results, name, 'aionbd', 'iops');
      const mib = medianOf(results, name, 'aionbd', 'mibPerSecond');
      if (cpu === undefined || cpu === 0 || iops === undefined || mib === undefined || iops === 0) return [];
      const perCore = 1e6 / cpu;
      const gbit = (perCore * (mib / iops) * 1024 ** 2 * 8) / 1e9;
      return [
        [
          name,
          formatNumber(cpu, METRICS[metric].digits),
          formatNumber(perCore, 0),
          formatNumber(gbit, 1),
          formatNumber(10 / gbit, 2),
          formatNumber(25 / gbit, 2),
          formatNumber(100 / gbit, 2),
        ],
      ];
    });
  return markdownTable(
    [
      'aionbd',
      'CPU, µs/request',
      'requests/s per core',
      'Gbit/s of data per core',
      'cores for 10 Gbit/s',
      'for 25',
      'for 100',
    ],
    rows,
  );
}

export function idleBlocks(results: IdleResults): Blocks {
  return { idle: formatIdle(results) };
}

export function formatIdle({ connections, bufferMemoryMib, commit, stages }: IdleResults): string {
  return [
    markdownTable(
      ['KiB per connection', 'PSS', 'RSS', 'of it in buffer memory'],
      stages.map((stage) => [
        stage.name,
        formatNumber(stage.pssKibPerConnection, 1),
        formatNumber(stage.rssKibPerConnection, 1),
        stage.bufferKibPerConnection === undefined ? '–' : formatNumber(stage.bufferKibPerConnection, 1),
      ]),
    ),
    `${formatNumber(connections, 0)} connections, ${bufferMemoryMib} MiB of buffer memory, aionbd ${commit}.`,
  ].join('\n\n');
}

export function microBlocks(results: MicroResults): Blocks {
  return { micro: formatMicro(results) };
}

export function formatMicro({ tasks, commit, node }: MicroResults): string {
  return [
    markdownTable(
      ['', 'ns per operation', '±', 'operations/s'],
      tasks.map((task) => [
        task.name,
        formatNumber(task.nanoseconds, task.nanoseconds < 100 ? 1 : 0),
        `${formatNumber(task.errorPercent, 1)} %`,
        formatNumber(1e9 / task.nanoseconds, 0),
      ]),
    ),
    `aionbd ${commit}, Node ${node}.`,
  ].join('\n\n');
}

export function profileBlocks(results: ProfileResults): Blocks {
  return { profile: formatProfiles(results) };
}

/** What server and client leave of the processors while fio runs, 0 to 1. */
function unusedShare(profile: Profile, processors: number): number {
  const { iops, serverMicroseconds, clientMicroseconds } = profile;
  return 1 - (iops * (serverMicroseconds + clientMicroseconds)) / 1e6 / processors;
}

/** Who uses the processors, and what the server's share of them is used for. */
export function formatProfiles({ profiles, machine }: ProfileResults): string {
  const percent = (share: number | undefined): string =>
    share === undefined ? '–' : `${formatNumber(share * 100, 1)} %`;
  const name = (profile: (typeof profiles)[number]): string => `${profile.case}, ${profile.server}`;
  return [
    markdownTable(
      ['', 'IOPS', 'server, µs/request', 'client, µs/request', 'neither uses'],
      profiles.map((profile) => [
        name(profile),
        formatNumber(profile.iops, 0),
        formatNumber(profile.serverMicroseconds, 2),
        formatNumber(profile.clientMicroseconds, 2),
        percent(unusedShare(profile, machine.processors)),
      ]),
    ),
    markdownTable(
      ["of the server's time", ...PLACES],
      profiles.map((profile) => [name(profile), ...PLACES.map((place) => percent(profile.shares[place]))]),
    ),
    `aionbd ${machine.commit}; other virtual machines took ${formatNumber(machine.stealPercent, 1)} % of the processors' time${machine.paceMs ? `, the same arithmetic before each load ${formatPace(machine.paceMs)}` : ''}.`,
  ].join('\n\n');
}

/**
 * The document with blocks in their places. Places without a block stay as they are, and a block without a place is
 * left out.
 */
export function fillPlaces(document: string, blocks: Blocks): string {
  return document.replaceAll(
    /(<!-- table: ([a-z-]+) -->\n)[\s\S]*?(<!-- \/table -->)/g,
    (all, open: string, name: string, close: string) => {
      const block = Object.hasOwn(blocks, name) ? blocks[name] : undefined;
      return block === undefined ? all : `${open}\n${block}\n\n${close}`;
    },
  );
}
