import { type DestinationStream, destination, type Logger, pino } from 'pino';
import type { LogFormat, LogLevel } from '../config/serve-config.js';

const STDERR_FD = 2;

/**
 * What JSON lets stand although a terminal obeys it, turns around with it, or shows nothing: DEL and the C1 controls,
 * format characters and separators of lines.
 */
const UNSAFE = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

export interface LogSettings {
  readonly level: LogLevel;
  /** `undefined`: pretty on a terminal, with colour where it has some and NO_COLOR is not set; JSON elsewhere. */
  readonly format: LogFormat | undefined;
  readonly terminal: boolean;
}

/**
 * A pino logger on stderr. Lines are written as they are logged, without a worker thread, so that the last words of a
 * process that ends are there. A line stays one line, whatever an export or a peer is called; only the stack of an error
 * has several.
 */
export async function createLogger(settings: LogSettings): Promise<Logger> {
  const format = settings.format ?? (settings.terminal ? 'pretty' : 'json');
  const stderr = destination({ dest: STDERR_FD, sync: true });
  const render =
    format === 'pretty'
      ? await prettyLine(settings.terminal && process.stderr.hasColors())
      : (line: string) => line;
  const stream: DestinationStream = { write: (line) => void stderr.write(harmless(render(line))) };
  const serializers = format === 'pretty' ? { err: harmlessError } : {};
  return pino(
    { level: settings.level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers },
    stream,
  );
}

/** Loaded only when it is used: it costs more time than the logger itself. */
async function prettyLine(colorize: boolean): Promise<(line: string) => string> {
  const { default: pretty } = await import('pino-pretty');
  return pretty.prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
  }) as (line: string) => string;
}

/** Escapes as JSON does, so a line of JSON says the same as before. */
function harmless(line: string): string {
  return line.replace(UNSAFE, (character) =>
    [...Array(character.length).keys()].map((i) => escapeUnit(character.charCodeAt(i))).join(''),
  );
}

/** Of errors pretty lines show the text as it is. */
function harmlessError(error: unknown): unknown {
  const shown = pino.stdSerializers.err(error as Error);
  if (typeof shown?.message !== 'string') return shown;
  const message = withoutControls(shown.message);
  const stack = withoutControls(shown.stack?.replace(shown.message, () => message) ?? '', true);
  return { ...shown, message, stack };
}

function withoutControls(text: string, keepsLines = false): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\0-\x1f]/g, (character) =>
    keepsLines && character === '\n' ? character : escapeUnit(character.charCodeAt(0)),
  );
}

function escapeUnit(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
