import { AionbdError } from '../errors.js';
import type { ServerOptions } from './api.js';

const MIB = 1024 * 1024;

/** The numbers of {@link ServerOptions}, complete and within their limits. */
export interface Settings {
  readonly bufferMemoryBytes: number;
  readonly queueDepth: number;
  readonly maxConnections: number;
  readonly handshakeDeadlineMs: number;
  readonly busyPoll: 'auto' | 'off' | number;
}

type NumberSetting = Exclude<keyof Settings, 'busyPoll'>;

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
});

/** Throws AIONBD_E_USAGE for a number outside of its limits, or no exports. */
export function checkedSettings(options: ServerOptions): Settings {
  if (options.exports.length === 0) {
    throw new AionbdError('AIONBD_E_USAGE', 'there is nothing to export; name a file');
  }
  return Object.freeze({
    bufferMemoryBytes: Math.floor(checked(options, 'bufferMemoryBytes') / FRAME) * FRAME,
    queueDepth: checked(options, 'queueDepth'),
    maxConnections: checked(options, 'maxConnections'),
    handshakeDeadlineMs: checked(options, 'handshakeDeadlineMs'),
    busyPoll: checkedBusyPoll(options.busyPoll ?? 'auto'),
  });
}

const FRAME = 4096;
const LONGEST_BUSY_POLL_US = 1000;

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
