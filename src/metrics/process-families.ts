// The metrics of the process and of Node, by the names that every Prometheus client gives them. They are not prom-client's
// own, since those would tell of the thread that they are on, which is not the one that serves.

import { readdirSync, readFileSync } from 'node:fs';
import type { Family, Sample } from './families.js';
import { COLLECTION_KINDS, type MainFacts } from './main-facts.js';

/** What a scrape knows of the process besides what it can look up by itself. */
export interface ProcessSource {
  /** Undefined if the main thread did not answer in time. */
  readonly main: MainFacts | undefined;
  /** How long its answer took; all the time that was given to it, if there was none. */
  readonly mainAnswerSeconds: number;
}

const STARTED_AT_SECONDS = Math.round(Date.now() / 1000 - process.uptime());

export const PROCESS_FAMILIES: readonly Family<ProcessSource>[] = [
  one('process_cpu_user_seconds_total', 'counter', 'Processor time spent in the program.', () => cpu().user),
  one(
    'process_cpu_system_seconds_total',
    'counter',
    'Processor time spent in the kernel.',
    () => cpu().system,
  ),
  one('process_cpu_seconds_total', 'counter', 'Processor time spent.', () => cpu().user + cpu().system),
  one(
    'process_start_time_seconds',
    'gauge',
    'When the process was started, seconds since 1970.',
    () => STARTED_AT_SECONDS,
  ),
  one('process_resident_memory_bytes', 'gauge', 'Memory that the process has.', () =>
    process.memoryUsage.rss(),
  ),
  one('process_virtual_memory_bytes', 'gauge', 'Address space that the process has.', virtualBytes),
  one('process_open_fds', 'gauge', 'Open file descriptors.', () => readdirSync('/proc/self/fd').length),
  one('process_max_fds', 'gauge', 'The most file descriptors that may be open.', mostDescriptors),
  one(
    'aionbd_main_thread_answers',
    'gauge',
    '1 if the main thread answered the scrape, 0 if it was busy for longer than the scrape waits.',
    ({ main }) => Number(main !== undefined),
  ),
  one(
    'nodejs_eventloop_lag_seconds',
    'gauge',
    'How long the main thread took to answer the scrape.',
    ({ mainAnswerSeconds }) => mainAnswerSeconds,
  ),
  one(
    'nodejs_heap_size_total_bytes',
    'gauge',
    "Size of the main thread's heap.",
    ({ main }) => main?.heapTotalBytes,
  ),
  one(
    'nodejs_heap_size_used_bytes',
    'gauge',
    "What of the main thread's heap is in use.",
    ({ main }) => main?.heapUsedBytes,
  ),
  one(
    'nodejs_external_memory_bytes',
    'gauge',
    "Memory that the main thread's objects hold outside of its heap; memory for data in flight is among it.",
    ({ main }) => main?.externalBytes,
  ),
  {
    name: 'nodejs_gc_duration_seconds',
    type: 'summary',
    help: 'Garbage collections of the main thread, by kind.',
    labels: ['kind'],
    samples: ({ main }) =>
      main === undefined ? [] : COLLECTION_KINDS.flatMap((kind) => collections(main, kind)),
  },
  {
    name: 'nodejs_version_info',
    type: 'gauge',
    help: 'The version of Node.',
    labels: ['version', 'major', 'minor', 'patch'],
    samples: () => {
      const { version } = process;
      const [major = '', minor = '', patch = ''] = version.slice(1).split('.');
      return [{ labels: { version, major, minor, patch }, value: 1 }];
    },
  },
];

function collections({ collections }: MainFacts, kind: (typeof COLLECTION_KINDS)[number]): readonly Sample[] {
  const { count, seconds } = collections[kind];
  return [
    { metricName: 'nodejs_gc_duration_seconds_sum', labels: { kind }, value: seconds },
    { metricName: 'nodejs_gc_duration_seconds_count', labels: { kind }, value: count },
  ];
}

/** Seconds, of all threads. */
function cpu(): { readonly user: number; readonly system: number } {
  const { user, system } = process.cpuUsage();
  return { user: user / 1e6, system: system / 1e6 };
}

function virtualBytes(): number | undefined {
  const kibibytes = /^VmSize:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

function mostDescriptors(): number | undefined {
  const most = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return most === undefined ? undefined : Number(most);
}

/** `undefined` is left out. */
function one(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (source: ProcessSource) => number | undefined,
): Family<ProcessSource> {
  return {
    name,
    type,
    help,
    labels: [],
    samples: (source) => {
      const known = value(source);
      return known === undefined ? [] : [{ labels: {}, value: known }];
    },
  };
}
