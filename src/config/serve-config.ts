import { basename } from 'node:path';
import { AionbdError } from '../errors.js';
import type { DirectMode, ExportOptions, OnStop, ServerOptions } from '../server/api.js';
import { checkExportName, isDirectMode, parseExportSpec } from './export-spec.js';
import { type ListenPlan, parseListenAddress } from './listen.js';
import { quote } from './quote.js';
import { parseSize } from './size.js';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['pretty', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export const ON_STOP: readonly OnStop[] = ['refuse', 'disconnect'];

/** The values of the flags that were not given. `undefined` in {@link ServeFlags} means: not given. */
export const DEFAULTS = Object.freeze({
  listen: 'localhost:10809',
  direct: 'auto',
  bufferMemory: '64M',
  queueDepth: '1024',
  busyPoll: 'auto',
  threads: '1',
  slowRequest: '1000',
  onStop: 'refuse',
  metrics: '127.0.0.1:9809',
  metricsExports: '100',
  healthDeadline: '5000',
  logLevel: 'info',
});

const SMALLEST_BUFFER_MEMORY_BYTES = 8 * 1024 * 1024;
const LARGEST_BUFFER_MEMORY_BYTES = 2 * 1024 ** 3;
const SMALLEST_QUEUE_DEPTH = 16;
const LARGEST_QUEUE_DEPTH = 32768;
const LONGEST_BUSY_POLL_US = 1000;
const MOST_THREADS = 64;
const LONGEST_SLOW_REQUEST_MS = 3_600_000;
/** Event loops say once a second that they turn, and may be a little late. */
const LEAST_HEALTH_DEADLINE_MS = 2500;
const MOST_HEALTH_DEADLINE_MS = 600_000;
const MOST_METRICS_EXPORTS = 100_000;

/** The flags of `aionbd serve` as they were typed. */
export interface ServeFlags {
  readonly files?: readonly string[] | undefined;
  readonly listen?: readonly string[] | undefined;
  readonly exports?: readonly string[] | undefined;
  readonly readOnly?: boolean | undefined;
  readonly direct?: string | undefined;
  readonly noLock?: boolean | undefined;
  readonly bufferMemory?: string | undefined;
  readonly queueDepth?: string | undefined;
  readonly busyPoll?: string | undefined;
  readonly threads?: string | undefined;
  readonly slowRequest?: string | undefined;
  readonly onStop?: string | undefined;
  readonly metrics?: string | undefined;
  readonly metricsExports?: string | undefined;
  readonly healthDeadline?: string | undefined;
  readonly stdio?: boolean | undefined;
  readonly run?: string | undefined;
  readonly exitWithLastClient?: boolean | undefined;
  readonly pidFile?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logFormat?: string | undefined;
}

/** Who decides when the server ends, besides signals: nobody, its one client, or a command. */
export type ServeMode =
  | { readonly kind: 'daemon' }
  /** One client on stdin and stdout. */
  | { readonly kind: 'stdio' }
  /** As long as a shell command runs. */
  | { readonly kind: 'run'; readonly command: string };

export interface MetricsPlan {
  readonly listen: ListenPlan;
  /** Asked for by a flag: then a taken port is an error, otherwise a warning. */
  readonly required: boolean;
  /** Exports that have metrics of their own; the others are summed. */
  readonly mostExports: number;
  /** For a probe of an export, and a turn of an event loop, ms. */
  readonly healthDeadlineMs: number;
}

/** Everything `aionbd serve` needs to know, checked and frozen. */
export interface ServeConfig {
  readonly server: Omit<ServerOptions, 'logger'>;
  /** Empty where somebody else has listened, and where nobody is to find the server who was not told of it. */
  readonly listen: readonly ListenPlan[];
  readonly mode: ServeMode;
  readonly exitWithLastClient: boolean;
  readonly pidFile: string | undefined;
  /** `undefined` for `--metrics off`. */
  readonly metrics: MetricsPlan | undefined;
  readonly logLevel: LogLevel;
  /** `undefined`: pretty on a terminal, JSON elsewhere. */
  readonly logFormat: LogFormat | undefined;
}

/**
 * Turns the flags of `aionbd serve` into its configuration. Pure: looks at no file, no address, no environment.
 *
 * @param hasSockets whether another process has given us sockets to listen on
 * @throws AionbdError AIONBD_E_USAGE and the codes of the single parsers
 */
export function serveConfig(flags: ServeFlags, hasSockets = false): ServeConfig {
  const mode = Object.freeze(serveMode(flags, hasSockets));
  // Started by another program for its own use: it wants to hear of what is wrong, and has no use for a page at a fixed port.
  const isHelper = mode.kind !== 'daemon' || hasSockets;
  const exports = exportOptions(flags);
  const bufferMemoryBytes = parseBufferMemory(flags.bufferMemory ?? DEFAULTS.bufferMemory);
  const queueDepth = parseQueueDepth(flags.queueDepth ?? DEFAULTS.queueDepth);
  return Object.freeze({
    server: Object.freeze({
      exports,
      defaultExport: exports[0].name,
      lock: flags.noLock !== true,
      bufferMemoryBytes,
      queueDepth,
      threads: parseThreads(flags.threads ?? DEFAULTS.threads, bufferMemoryBytes, queueDepth),
      busyPoll: parseBusyPoll(flags.busyPoll ?? DEFAULTS.busyPoll),
      slowRequestMs: parseSlowRequest(flags.slowRequest ?? DEFAULTS.slowRequest),
      onStop: oneOf('--on-stop', flags.onStop ?? DEFAULTS.onStop, ON_STOP),
    }),
    listen: isHelper && flags.listen === undefined ? Object.freeze([]) : listenPlans(flags.listen),
    mode,
    exitWithLastClient: flags.exitWithLastClient === true,
    pidFile: flags.pidFile,
    metrics: isHelper && flags.metrics === undefined ? undefined : metricsPlan(flags),
    logLevel: oneOf('--log-level', flags.logLevel ?? (isHelper ? 'warn' : DEFAULTS.logLevel), LOG_LEVELS),
    logFormat:
      flags.logFormat === undefined ? undefined : oneOf('--log-format', flags.logFormat, LOG_FORMATS),
  });
}

function serveMode(flags: ServeFlags, hasSockets: boolean): ServeMode {
  if (flags.run === '' || flags.pidFile === '') {
    const [flag, wanted] = flags.run === '' ? ['run', 'a shell command'] : ['pid-file', 'the name of a file'];
    throw new AionbdError('AIONBD_E_USAGE', `--${flag} is empty: give ${wanted}, or leave it out`);
  }
  if (flags.stdio !== true) {
    return flags.run === undefined ? { kind: 'daemon' } : { kind: 'run', command: flags.run };
  }
  const other = [
    flags.listen !== undefined && '--listen',
    flags.run !== undefined && '--run',
    flags.exitWithLastClient === true && '--exit-with-last-client',
    hasSockets && 'sockets to listen on (LISTEN_FDS)',
  ].find((name) => name !== false);
  if (other !== undefined) {
    throw new AionbdError('AIONBD_E_USAGE', `--stdio serves one client and ends with it: leave out ${other}`);
  }
  return { kind: 'stdio' };
}

/** FILE arguments come first, then `--export`; so the first FILE, or else the first `--export`, is the default. */
function exportOptions(flags: ServeFlags): readonly [ExportOptions, ...ExportOptions[]] {
  const direct = parseDirectMode(flags.direct ?? DEFAULTS.direct);
  const seen = new Map<string, ExportOptions>();
  for (const option of [
    ...(flags.files ?? []).map(fileExport),
    ...(flags.exports ?? []).map(parseExportSpec),
  ]) {
    const twin = seen.get(option.name);
    if (twin !== undefined) {
      throw new AionbdError('AIONBD_E_EXPORT_NAME', twinMessage(twin, option));
    }
    seen.set(
      option.name,
      Object.freeze({
        ...option,
        readOnly: flags.readOnly === true || option.readOnly === true,
        direct: option.direct ?? direct,
      }),
    );
  }
  const [first, ...rest] = seen.values();
  if (first === undefined) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      'nothing to serve: name a file, as in aionbd serve disk.img, or use --export',
    );
  }
  return Object.freeze([first, ...rest] as const);
}

function fileExport(file: string): ExportOptions {
  if (file === '') {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      'the name of a file to serve is empty: name a file, as in aionbd serve disk.img',
    );
  }
  const name = basename(file);
  if (name === '' || name === '.' || name === '..') {
    throw new AionbdError(
      'AIONBD_E_FILE',
      `cannot export ${quote(file)}: it is a directory; name a file or a block device`,
    );
  }
  return { name: checkExportName(name), path: file };
}

function twinMessage(first: ExportOptions, second: ExportOptions): string {
  return (
    `two exports are called ${quote(first.name)}, of ${quote(first.path)} and of ${quote(second.path)}: ` +
    `give one of them another name with --export ${quote(`name=OTHER,path=${second.path.replaceAll(',', ',,')}`)}`
  );
}

function listenPlans(listen: readonly string[] | undefined): readonly ListenPlan[] {
  const texts = listen === undefined || listen.length === 0 ? [DEFAULTS.listen] : listen;
  const plans = texts.map(parseListenAddress);
  const seen = new Set<string>();
  for (const { text, addresses } of plans) {
    for (const address of addresses) {
      const key = JSON.stringify(address);
      const fixed = address.kind === 'unix' || address.port !== 0;
      if (fixed && seen.has(key)) {
        throw new AionbdError('AIONBD_E_ADDRESS', `the address ${quote(text)} is given twice: leave one out`);
      }
      seen.add(key);
    }
  }
  return Object.freeze(plans);
}

function metricsPlan({ metrics, metricsExports, healthDeadline }: ServeFlags): MetricsPlan | undefined {
  const healthDeadlineMs = parseHealthDeadline(healthDeadline ?? DEFAULTS.healthDeadline);
  const mostExports = parseMetricsExports(metricsExports ?? DEFAULTS.metricsExports);
  if (metrics === 'off') {
    return undefined;
  }
  return Object.freeze({
    listen: parseListenAddress(metrics ?? DEFAULTS.metrics),
    required: metrics !== undefined,
    mostExports,
    healthDeadlineMs,
  });
}

function parseHealthDeadline(text: string): number {
  const ms = Number(text);
  if (!/^\d{1,6}$/.test(text) || ms < LEAST_HEALTH_DEADLINE_MS || ms > MOST_HEALTH_DEADLINE_MS) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `--health-deadline ${quote(text)} is not usable: give milliseconds from ${LEAST_HEALTH_DEADLINE_MS} to ${MOST_HEALTH_DEADLINE_MS}`,
    );
  }
  return ms;
}

function parseMetricsExports(text: string): number {
  const most = Number(text);
  if (!/^\d{1,9}$/.test(text) || most > MOST_METRICS_EXPORTS) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `--metrics-exports ${quote(text)} is not usable: give a number from 0 to ${MOST_METRICS_EXPORTS}`,
    );
  }
  return most;
}

function parseBufferMemory(text: string): number {
  const bytes = parseSize(text);
  if (bytes < SMALLEST_BUFFER_MEMORY_BYTES || bytes > LARGEST_BUFFER_MEMORY_BYTES) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `--buffer-memory ${quote(text)} is not usable: give a size from 8M to 2G`,
    );
  }
  return bytes;
}

function parseQueueDepth(text: string): number {
  const depth = Number(text);
  if (!/^\d{1,9}$/.test(text) || depth < SMALLEST_QUEUE_DEPTH || depth > LARGEST_QUEUE_DEPTH) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `--queue-depth ${quote(text)} is not usable: give a number from ${SMALLEST_QUEUE_DEPTH} to ${LARGEST_QUEUE_DEPTH}`,
    );
  }
  return depth;
}

function parseBusyPoll(text: string): 'auto' | 'off' | number {
  if (text === 'auto' || text === 'off') {
    return text;
  }
  const microseconds = Number(text);
  if (!/^\d{1,4}$/.test(text) || microseconds < 1 || microseconds > LONGEST_BUSY_POLL_US) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `--busy-poll ${quote(text)} is not usable: give auto, off, or microseconds from 1 to ${LONGEST_BUSY_POLL_US}`,
    );
  }
  return microseconds;
}

function parseSlowRequest(text: string): 'off' | number {
  if (text === 'off') {
    return text;
  }
  const milliseconds = Number(text);
  if (!/^\d{1,7}$/.test(text) || milliseconds < 1 || milliseconds > LONGEST_SLOW_REQUEST_MS) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `--slow-request ${quote(text)} is not usable: give off, or milliseconds from 1 to ${LONGEST_SLOW_REQUEST_MS}`,
    );
  }
  return milliseconds;
}

/** Memory and requests are divided among threads, and each needs the least that a server may have. */
function parseThreads(text: string, bufferMemoryBytes: number, queueDepth: number): number {
  const threads = Number(text);
  if (!/^\d{1,9}$/.test(text) || threads < 1 || threads > MOST_THREADS) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `--threads ${quote(text)} is not usable: give a number from 1 to ${MOST_THREADS}`,
    );
  }
  const refuse = (why: string) => {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `--threads ${quote(text)} is not usable: ${why}, or fewer threads`,
    );
  };
  if (bufferMemoryBytes < threads * SMALLEST_BUFFER_MEMORY_BYTES) {
    refuse(`each needs 8M of --buffer-memory: give at least --buffer-memory ${8 * threads}M`);
  }
  if (queueDepth < threads * SMALLEST_QUEUE_DEPTH) {
    refuse(`each needs a queue depth of 16: give at least --queue-depth ${16 * threads}`);
  }
  return threads;
}

function parseDirectMode(text: string): DirectMode {
  if (!isDirectMode(text)) {
    throw new AionbdError('AIONBD_E_USAGE', `--direct ${quote(text)} is not known: use auto, on or off`);
  }
  return text;
}

function oneOf<T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((value) => value === text);
  if (found === undefined) {
    throw new AionbdError('AIONBD_E_USAGE', `${flag} ${quote(text)} is not known: use ${known.join(', ')}`);
  }
  return found;
}
