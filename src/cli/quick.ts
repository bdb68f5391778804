import parser from 'yargs-parser';
import type { ServeFlags } from '../config/serve-config.js';
import { PARSER_CONFIGURATION, SERVE_OPTIONS, SWITCHES } from './options.js';

type Flag = keyof typeof SERVE_OPTIONS;

const FLAGS = Object.keys(SERVE_OPTIONS) as readonly Flag[];
const LISTS: readonly Flag[] = FLAGS.filter((flag) => 'array' in SERVE_OPTIONS[flag]);
const ALIASES = Object.fromEntries(
  FLAGS.flatMap((flag) => {
    const option = SERVE_OPTIONS[flag];
    return 'alias' in option ? [[option.alias, flag] as const] : [];
  }),
);

/**
 * Reads a plain `serve` command line without yargs, which takes longer to load than all the rest of the start. It is
 * yargs' own parser with the same options, so what it reads, yargs reads alike.
 *
 * @returns undefined for anything that yargs should look at: another command, help, and every mistake
 */
export function readServeQuickly(argv: readonly string[]): ServeFlags | undefined {
  if (argv[0] !== 'serve' || argv.some(isSwitchWithValue)) {
    return undefined;
  }
  const { argv: read, error } = parser.detailed([...argv], {
    alias: ALIASES,
    array: [...LISTS],
    boolean: FLAGS.filter((flag) => SERVE_OPTIONS[flag].type === 'boolean'),
    string: FLAGS.filter((flag) => SERVE_OPTIONS[flag].type === 'string'),
    narg: Object.fromEntries(
      FLAGS.filter((flag) => 'requiresArg' in SERVE_OPTIONS[flag]).map((flag) => [flag, 1]),
    ),
    configuration: PARSER_CONFIGURATION,
  });
  const values = new Map<string, unknown>(Object.entries(read));
  if (error !== null || ![...values].every(([key, value]) => key === '_' || isPlain(key, value))) {
    return undefined;
  }
  const text = (flag: Flag) => values.get(flag) as string | undefined;
  const list = (flag: Flag) => values.get(flag) as readonly string[] | undefined;
  const on = (flag: Flag) => values.get(flag) as boolean | undefined;
  return {
    files: read._.slice(1).map(String),
    listen: list('listen'),
    exports: list('export'),
    readOnly: on('read-only'),
    direct: text('direct'),
    noLock: on('no-lock'),
    bufferMemory: text('buffer-memory'),
    queueDepth: text('queue-depth'),
    busyPoll: text('busy-poll'),
    threads: text('threads'),
    slowRequest: text('slow-request'),
    onStop: text('on-stop'),
    metrics: text('metrics'),
    healthDeadline: text('health-deadline'),
    metricsExports: text('metrics-exports'),
    stdio: on('stdio'),
    run: text('run'),
    exitWithLastClient: on('exit-with-last-client'),
    pidFile: text('pid-file'),
    logLevel: text('log-level'),
    logFormat: text('log-format'),
  };
}

/** Whether a value is just as the table of options has it. */
function isPlain(key: string, value: unknown): boolean {
  const flag = FLAGS.find((flag) => flag === (ALIASES[key] ?? key));
  if (flag === undefined) {
    return false;
  }
  const option = SERVE_OPTIONS[flag];
  if (option.type === 'boolean') {
    return typeof value === 'boolean';
  }
  if (LISTS.includes(flag)) {
    return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
  }
  return (
    typeof value === 'string' &&
    (!('choices' in option) || (option.choices as readonly string[]).includes(value))
  );
}

function isSwitchWithValue(word: string): boolean {
  return SWITCHES.some((name) => word.startsWith(`--${name}=`));
}
