import { fstatSync } from 'node:fs';
import { serveConfig } from '../config/serve-config.js';
import { parseSize } from '../config/size.js';
import { parseStatusAddress } from '../config/status-address.js';
import { AionbdError } from '../errors.js';
import type { Logger, ServerOptions } from '../server/api.js';
import { readVersion } from '../server/version.js';
import type { Command } from './command-line.js';
import { inlineMore } from './compiler.js';
import { EXIT_FAILURE, EXIT_OK, exitCodeOf } from './exit-code.js';
import { inheritedSockets } from './inherited.js';
import { readServeQuickly } from './quick.js';
import type { ServeContext } from './serve.js';
import type { ServiceManager } from './service-manager.js';

const STDIN_FD = 0;

/** Parts that another program than the `aionbd` command may want to have its own way. */
export interface RunOptions {
  readonly createServer?: ServeContext['createServer'];
  readonly ready?: ServeContext['ready'];
}

/**
 * Runs one command line to its end.
 *
 * An expected failure is one line on stderr; for anything else the stack is shown, since only that helps to mend it.
 *
 * @returns the exit code: 0 after a clean end, 2 for bad usage, 1 for everything else
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<number> {
  try {
    const version = readVersion();
    const command = await read(argv, version);
    switch (command.kind) {
      case 'serve':
        return await runServe(command, version, options);
      case 'create':
        return await runCreate(command);
      case 'status':
        return await runStatus(command);
      case 'top':
        return await runTopHere(command);
      case 'doctor': {
        const { doctor } = await import('./doctor/doctor.js');
        return await doctor(command.paths, (line) => void process.stdout.write(`${line}\n`));
      }
      case 'printed':
        return EXIT_OK;
    }
  } catch (error) {
    return report(error);
  }
}

/** Once there is a log, an unexpected error goes there, in its format. */
let log: Logger | undefined;

/** Says on stderr why a command ends, and returns the exit code that goes with it. */
export function report(error: unknown): number {
  if (error instanceof AionbdError) {
    process.stderr.write(`aionbd: ${error.message.replace(/\s*[\r\n]+\s*/g, ' ')}\n`);
    return exitCodeOf(error.code);
  }
  if (log !== undefined) {
    log.error({ err: error }, 'unexpected error, please report it');
    return EXIT_FAILURE;
  }
  const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`aionbd: unexpected error, please report it: ${shown}\n`);
  return EXIT_FAILURE;
}

/** yargs is slow to load, so it is only for what has no need to be quick. */
async function read(argv: readonly string[], version: string): Promise<Command> {
  const flags = readServeQuickly(argv);
  if (flags !== undefined) {
    return { kind: 'serve', flags };
  }
  const { readCommandLine } = await import('./command-line.js');
  return await readCommandLine(argv, version);
}

async function runServe(
  command: Extract<Command, { kind: 'serve' }>,
  version: string,
  options: RunOptions,
): Promise<number> {
  const inherited = inheritedSockets(process.env, process.pid);
  const config = serveConfig(command.flags, inherited.length > 0);
  // Loaded here, so that help and mistakes are answered without the addon.
  const [{ createLogger }, { serve }, { exitNow }] = await Promise.all([
    import('./log.js'),
    import('./serve.js'),
    import('../server/exit-now.js'),
  ]);
  const logger = await createLogger({
    level: config.logLevel,
    format: config.logFormat,
    terminal: process.stderr.isTTY === true,
  });
  log = logger;
  return await serve(config, {
    createServer: options.createServer ?? createRealServer,
    logger,
    version,
    signals: process,
    inherited,
    serviceManager: await whoWatches(logger),
    stdio: socketOfStdio,
    print: (line) => process.stdout.write(`${line}\n`),
    exit: exitNow,
    ready: (uris) => {
      inlineMore();
      options.ready?.(uris);
    },
  });
}

/** Most servers have none, and need not load what talks to it. */
async function whoWatches(logger: Logger): Promise<ServiceManager | undefined> {
  if (process.env.NOTIFY_SOCKET === undefined) return undefined;
  const [{ serviceManager }, { notifyServiceManager }] = await Promise.all([
    import('./service-manager.js'),
    import('../server/notify.js'),
  ]);
  return serviceManager(process.env, process.pid, notifyServiceManager, logger);
}

/** inetd and libnbd give a socket as both stdin and stdout; ssh and shells give two pipes. */
async function socketOfStdio(): Promise<number> {
  if (fstatSync(STDIN_FD).isSocket()) return STDIN_FD;
  const { socketOfPipes } = await import('../server/pipes.js');
  return socketOfPipes(process.stdin, process.stdout);
}

async function createRealServer(options: ServerOptions) {
  const { createServer } = await import('../index.js');
  return await createServer(options);
}

async function runCreate(command: Extract<Command, { kind: 'create' }>): Promise<number> {
  const sizeBytes = parseSize(command.size);
  const { createImage } = await import('./create.js');
  const abort = new AbortController();
  const stop = () => abort.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  await createImage({
    path: command.file,
    sizeBytes,
    preallocate: command.preallocate,
    signal: abort.signal,
  });
  return EXIT_OK;
}

async function runStatus({ address, json }: Extract<Command, { kind: 'status' }>): Promise<number> {
  const place = parseStatusAddress(address);
  const { printStatus } = await import('./status.js');
  return await printStatus(place, json, (line) => process.stdout.write(`${line}\n`));
}

async function runTopHere({ address }: Extract<Command, { kind: 'top' }>): Promise<number> {
  const place = parseStatusAddress(address);
  const { runTop } = await import('./top.js');
  return await runTop(place, { input: process.stdin, output: process.stdout, env: process.env });
}
