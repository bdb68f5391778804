import yargs, { type CompletionCallback } from 'yargs';
import { quote } from '../config/quote.js';
import { DEFAULTS, type ServeFlags } from '../config/serve-config.js';
import { AionbdError } from '../errors.js';
import { completeValue, isOffer } from './completion.js';
import { CREATE_OPTIONS, PARSER_CONFIGURATION, SERVE_OPTIONS, STATUS_OPTIONS, SWITCHES } from './options.js';

/** What a command line asks for. */
export type Command =
  | { readonly kind: 'serve'; readonly flags: ServeFlags }
  | { readonly kind: 'create'; readonly file: string; readonly size: string; readonly preallocate: boolean }
  | { readonly kind: 'status'; readonly address: string; readonly json: boolean }
  | { readonly kind: 'top'; readonly address: string }
  | { readonly kind: 'doctor'; readonly paths: readonly string[] }
  /** Help, version or completion, printed already. */
  | { readonly kind: 'printed' };

/**
 * Reads a command line. Values stay text here, apart from switches: src/config gives them their meaning.
 *
 * @throws AionbdError AIONBD_E_USAGE
 */
export async function readCommandLine(argv: readonly string[], version: string): Promise<Command> {
  refuseSwitchValues(argv);
  let command: Command = { kind: 'printed' };
  await yargs()
    .scriptName('aionbd')
    .usage(
      'aionbd serves files and block devices over NBD, with direct, asynchronous I/O.\n\nUsage: aionbd COMMAND',
    )
    .locale('en')
    .updateStrings(WORDING as object as Record<string, string>) // its type forgets plural forms
    .wrap(Math.min(LONGEST_HELP_LINE, process.stdout.columns ?? USUAL_TERMINAL))
    .parserConfiguration(PARSER_CONFIGURATION)
    .command(
      'serve [file..]',
      'serve files and block devices',
      (command) =>
        command.options(SERVE_OPTIONS).usage(SERVE_USAGE).positional('file', {
          type: 'string',
          array: true,
          defaultDescription: 'none',
          description: 'files and block devices to serve',
        }),
      (args) => {
        command = {
          kind: 'serve',
          flags: {
            files: [...(args.file ?? []), ...args._.slice(1).map(String)], // what follows a bare -- is in `_`
            listen: args.listen,
            exports: args.export,
            readOnly: args['read-only'],
            direct: single('direct', args.direct),
            noLock: args['no-lock'],
            bufferMemory: single('buffer-memory', args['buffer-memory']),
            queueDepth: single('queue-depth', args['queue-depth']),
            busyPoll: single('busy-poll', args['busy-poll']),
            threads: single('threads', args.threads),
            slowRequest: single('slow-request', args['slow-request']),
            onStop: single('on-stop', args['on-stop']),
            metrics: single('metrics', args.metrics),
            healthDeadline: single('health-deadline', args['health-deadline']),
            metricsExports: single('metrics-exports', args['metrics-exports']),
            stdio: args.stdio,
            run: single('run', args.run),
            exitWithLastClient: args['exit-with-last-client'],
            pidFile: single('pid-file', args['pid-file']),
            logLevel: single('log-level', args['log-level']),
            logFormat: single('log-format', args['log-format']),
          },
        };
      },
    )
    .command(
      'create <file>',
      'create an image file',
      (command) =>
        command
          .options(CREATE_OPTIONS)
          .usage(CREATE_USAGE)
          .positional('file', { type: 'string', demandOption: true, description: 'the file to create' }),
      (args) => {
        command = {
          kind: 'create',
          file: args.file,
          size: single('size', args.size) ?? '',
          preallocate: args.preallocate === true,
        };
      },
    )
    .command(
      'status [address]',
      'say how a running server is doing',
      (command) =>
        command.options(STATUS_OPTIONS).usage(STATUS_USAGE).positional('address', ADDRESS_POSITIONAL),
      (args) => {
        command = { kind: 'status', address: args.address, json: args.json === true };
      },
    )
    .command(
      'top [address]',
      'watch a running server in the terminal',
      (command) => command.usage(TOP_USAGE).positional('address', ADDRESS_POSITIONAL),
      (args) => {
        command = { kind: 'top', address: args.address };
      },
    )
    .command(
      'doctor [path..]',
      'look whether this machine and these files are fit for a server',
      (command) =>
        command.usage(DOCTOR_USAGE).positional('path', {
          type: 'string',
          array: true,
          defaultDescription: 'none',
          description: 'files and block devices that are to be served',
        }),
      (args) => {
        command = { kind: 'doctor', paths: [...(args.path ?? []), ...args._.slice(1).map(String)] };
      },
    )
    .completion(
      'completion',
      'print a script that completes these commands in bash or zsh',
      (
        _current: string,
        _args: unknown,
        byDefault: (then: CompletionCallback) => void,
        done: (offers: string[]) => void,
      ) => {
        const values = completeValue(argv.slice(argv.indexOf(COMPLETION_KEY) + 1));
        if (values !== undefined) done([...values]);
        else byDefault((_error, offers = []) => done(offers.filter(isOffer)));
      },
    )
    .demandCommand(1, NO_COMMAND)
    .strict()
    .version(version)
    .help()
    .alias('help', 'h')
    .exitProcess(false)
    .fail((message, error) => {
      throw error instanceof AionbdError ? error : usageError(argv, message ?? String(error));
    })
    .parseAsync([...argv]);
  return command;
}

/** What yargs' scripts for shells ask with, in front of the words that have been typed. */
const COMPLETION_KEY = '--get-yargs-completions';
const LONGEST_HELP_LINE = 100;
const USUAL_TERMINAL = 80;

const COMMANDS: readonly string[] = ['serve', 'create', 'status', 'top', 'doctor', 'completion'];
const HAVE_HELP: readonly string[] = ['serve', 'create', 'status', 'top', 'doctor'];
const NO_COMMAND = `no command given: use ${COMMANDS.join(', ')}`;

/** yargs' own words, where they do not say what the value was or what to do. */
const WORDING = {
  'Unknown argument: %s': { one: 'unknown flag or argument: %s', other: 'unknown flags or arguments: %s' },
  'Unknown command: %s': { one: 'unknown command: %s', other: 'unknown commands: %s' },
  'Missing required argument: %s': { one: 'a flag is missing: --%s', other: 'flags are missing: %s' },
  'Not enough arguments following: %s': 'a value is missing after the flag %s',
  'Not enough non-option arguments: got %s, need at least %s': {
    one: 'a file name is missing (%s given, %s needed)',
    other: 'a file name is missing (%s given, %s needed)',
  },
  'Invalid values:': ' ',
  'Argument: %s, Given: %s, Choices: %s': '--%s %s is not known: use %s',
} as const;

const SERVE_USAGE = `aionbd serve [FILE...]

Serves each FILE as an export named by its base name. The first is also the default export, the one with the empty \
name. Prints the NBD URI of each address on stdout once it is ready, and logs to stderr. SIGTERM and SIGINT stop it \
cleanly.`;

const CREATE_USAGE = `aionbd create FILE --size SIZE

Creates an image file of zeroes: sparse, or with all its blocks. It never overwrites.`;

const ADDRESS_POSITIONAL = {
  type: 'string',
  default: DEFAULTS.metrics,
  description: 'host:port, [v6]:port, unix:PATH or an http:// URL: what the server has as --metrics',
} as const;

const STATUS_USAGE = `aionbd status [ADDRESS]

Prints the state of a running server once. Ends with 0 if all its exports are healthy, and with 1 if not or if it \
cannot be reached.`;

const TOP_USAGE = `aionbd top [ADDRESS]

Shows a running server live in the terminal: throughput, latency, exports and connections. q ends it, ? lists the keys.`;

const DOCTOR_USAGE = `aionbd doctor [PATH...]

Looks at this machine, and at files and block devices that are to be served, and says in plain words what to change. \
Changes nothing itself. The exit code is 1 if something will not work.`;

/** yargs takes any value of a switch but `true` for false: `--read-only=yes` would let clients write. */
function refuseSwitchValues(argv: readonly string[]): void {
  for (const word of argv) {
    if (word === '--') {
      return;
    }
    const name = /^--([^=]+)=/.exec(word)?.[1];
    if (name !== undefined && SWITCHES.includes(name)) {
      throw new AionbdError(
        'AIONBD_E_USAGE',
        `${quote(word)}: --${name} takes no value; write it alone or leave it out`,
      );
    }
  }
}

/** yargs makes a list of a flag that is repeated. */
function single(flag: string, value: string | readonly string[] | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') {
    return value;
  }
  throw new AionbdError('AIONBD_E_USAGE', `--${flag} is given ${value.length} times: leave all but one out`);
}

function usageError(argv: readonly string[], message: string): AionbdError {
  const said = message.replace(/\s+/g, ' ').trim();
  const word = argv[0];
  if (word !== undefined && !word.startsWith('-') && !COMMANDS.includes(word)) {
    return new AionbdError(
      'AIONBD_E_USAGE',
      `unknown command ${quote(word)}: use ${COMMANDS.join(', ')}; to serve a file, aionbd serve FILE`,
    );
  }
  const help = word !== undefined && HAVE_HELP.includes(word) ? `aionbd ${word} --help` : 'aionbd --help';
  return new AionbdError('AIONBD_E_USAGE', `${said}; see ${help}`);
}
