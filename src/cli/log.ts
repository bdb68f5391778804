import { type DestinationStream, destination, type Logger, pino } from 'pino';
import type { LogFormat, LogLevel } from '../config/serve-config.js';

const STDERR_FD = 2;

export interface LogSettings {
  readonly level: LogLevel;
  /** `undefined`: pretty on a terminal, JSON elsewhere. */
  readonly format: LogFormat | undefined;
  readonly terminal: boolean;
}

/**
 * A pino logger on stderr. Lines are written as they are logged, without a worker thread, so that the last words of a
 * process that ends are there.
 */
export async function createLogger(settings: LogSettings): Promise<Logger> {
  const format = settings.format ?? (settings.terminal ? 'pretty' : 'json');
  const stream =
    format === 'pretty'
      ? await prettyStream(settings.terminal)
      : destination({ dest: STDERR_FD, sync: true });
  return pino({ level: settings.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}

/** Loaded only when it is used: it costs more time than the logger itself. */
async function prettyStream(colorize: boolean): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty');
  return pretty.build({
    destination: STDERR_FD,
    sync: true,
    colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
  });
}
