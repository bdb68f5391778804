import { availableParallelism } from 'node:os';
import { AionbdError } from '../errors.js';
import type { OnStop, ServerOptions } from './api.js';
import type { Shares } from './connections.js';

const MIB = 1024 * 1024;

/** The numbers of {@link ServerOptions}, complete and within their limits. */
export interface Settings {
  readonly bufferMemoryBytes: number;
  readonly queueDepth: number;
  readonly maxConnections: number;
  readonly handshakeDeadlineMs: number;
  readonly busyPoll: 'auto' | 'off' | number;
  readonly threads: number;
  /** Infinite for `off`. */
  readonly slowRequestMs: number;
  readonly onStop: OnStop;
}

type NumberSetting = Exclude<keyof Settings, 'busyPoll' | 'slowRequestMs' | 'onStop'>;

interface Limits {
  readonly initial: number;
  readonly least: number;
  readonly most: number;
}

const LIMITS: Readonly<Record<NumberSetting, Limits>> = Object.freeze({
  // An ArrayBuffer of Node 20 ends at 4 GiB, and nobody has a use for half of that.
  bufferMemoryBytes: { initial: 64 * MIB, least: 8 * MIB, most: 2048 * MIB },
  queueDepth: { initial: 1024, least: 16, most: 32768 },
  maxConnections: { initial: 1024, least: 1, most: 65536 },
  handshakeDeadlineMs: { initial: 10_000, least: 10, most: 2 ** 31 - 1 },
  threads: { initial: 1, least: 1, most: 64 },
});

/** Throws AIONBD_E_USAGE for a number outside of its limits, or no exports. */
export function checkedSettings(options: ServerOptions): Settings {
  if (options.exports.length === 0) {
    throw new AionbdError('AIONBD_E_USAGE', 'there is nothing to export; name a file');
  }
  const settings: Settings = Object.freeze({
    bufferMemoryBytes: Math.floor(checked(options, 'bufferMemoryBytes') / FRAME) * FRAME,
    queueDepth: checked(options, 'queueDepth'),
    maxConnections: checked(options, 'maxConnections'),
    handshakeDeadlineMs: checked(options, 'handshakeDeadlineMs'),
    busyPoll: checkedBusyPoll(options.busyPoll ?? 'auto'),
    threads: checked(options, 'threads'),
    slowRequestMs: checkedSlowRequest(options.slowRequestMs ?? DEFAULT_SLOW_REQUEST_MS),
    onStop: checkedOnStop(options.onStop ?? 'refuse'),
  });
  sharesOf(settings);
  return settings;
}

/**
 * What each thread gets of what is given for all. Throws AIONBD_E_USAGE if that is too little; {@link checkedSettings} has
 * made sure that it is not.
 */
export function sharesOf(settings: Settings): Shares {
  const { threads, handshakeDeadlineMs, busyPoll, slowRequestMs, onStop } = settings;
  const bufferMemoryBytes = Math.floor(settings.bufferMemoryBytes / threads / FRAME) * FRAME;
  const queueDepth = Math.floor(settings.queueDepth / threads);
  if (bufferMemoryBytes < LIMITS.bufferMemoryBytes.least) {
    const mib = settings.bufferMemoryBytes / MIB;
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `${mib} MiB of buffer memory is too little for ${threads} threads, which need 8 MiB each: ` +
        `give at least --buffer-memory ${8 * threads}M, or fewer --threads`,
    );
  }
  if (queueDepth < LIMITS.queueDepth.least) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `a queue depth of ${settings.queueDepth} is too little for ${threads} threads, which need 16 each: ` +
        `give at least --queue-depth ${16 * threads}, or fewer --threads`,
    );
  }
  // Where each processor may be one of our threads', looking would keep the clients from them.
  const crowds = busyPoll === 'auto' && threads >= availableParallelism();
  return Object.freeze({
    bufferMemoryBytes,
    queueDepth,
    busyPoll: crowds ? 'off' : busyPoll,
    handshakeDeadlineMs,
    slowRequestMs,
    onStop,
  });
}

const FRAME = 4096;
const LONGEST_BUSY_POLL_US = 1000;
/** Far above what a healthy disk takes, and far below the patience of clients: that of the kernel's is 30 s and more. */
const DEFAULT_SLOW_REQUEST_MS = 1000;
const LONGEST_SLOW_REQUEST_MS = 3_600_000;

function checkedSlowRequest(value: number | 'off'): number {
  if (value === 'off') return Number.POSITIVE_INFINITY;
  if (Number.isInteger(value) && value >= 1 && value <= LONGEST_SLOW_REQUEST_MS) return value;
  throw new AionbdError(
    'AIONBD_E_USAGE',
    `slowRequestMs is ${value}; it must be 'off' or a whole number from 1 to ${LONGEST_SLOW_REQUEST_MS}`,
  );
}

function checkedOnStop(value: OnStop): OnStop {
  if (value === 'refuse' || value === 'disconnect') return value;
  throw new AionbdError('AIONBD_E_USAGE', `onStop is ${value}; it must be 'refuse' or 'disconnect'`);
}

function checkedBusyPoll(value: 'auto' | 'off' | number): 'auto' | 'off' | number {
  if (value === 'auto' || value === 'off') return value;
  if (Number.isInteger(value) && value >= 1 && value <= LONGEST_BUSY_POLL_US) return value;
  throw new AionbdError(
    'AIONBD_E_USAGE',
    `busyPoll is ${value}; it must be 'auto', 'off' or a whole number of microseconds from 1 to ${LONGEST_BUSY_POLL_US}`,
  );
}

function checked(options: ServerOptions, name: NumberSetting): number {
  const { initial, least, most } = LIMITS[name];
  const value = options[name] ?? initial;
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `${name} is ${value}; it must be a whole number from ${least} to ${most}`,
    );
  }
  return value;
}
