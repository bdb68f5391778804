import type { EventEmitter } from 'node:events';
import type { MetricsPlan, ServeConfig } from '../config/serve-config.js';
import { AionbdError } from '../errors.js';
import type { Watch } from '../metrics/watch.js';
import type {
  ConnectionInfo,
  InheritedSocket,
  ListenAddress,
  Logger,
  Server,
  ServerOptions,
} from '../server/api.js';
import { EXIT_FAILURE, EXIT_OK } from './exit-code.js';
import { listenAll } from './listen-all.js';
import { writePidFile } from './pid-file.js';
import { openPrivateSocket } from './private-socket.js';
import type { RunningCommand } from './run-command.js';
import type { ServiceManager } from './service-manager.js';
import { metricsUrl, nbdUri } from './uri.js';

/** What `aionbd serve` takes from outside, so that a test can stand in for each. */
export interface ServeContext {
  createServer(options: ServerOptions): Promise<Server>;
  readonly logger: Logger;
  readonly version: string;
  /** Emits SIGTERM and SIGINT, as `process` does. */
  readonly signals: EventEmitter;
  /** Sockets that another process has opened for this one. Default: none. */
  readonly inherited?: readonly InheritedSocket[];
  /** Default: nobody. */
  readonly serviceManager?: ServiceManager | undefined;
  /** A descriptor of the client on stdin and stdout, as a socket; asked for `--stdio`. */
  stdio?(): Promise<number>;
  /** One line for stdout. */
  print(line: string): void;
  /** Ends the process at once. */
  exit(code: number): void;
  /** Called once all addresses are printed. */
  ready?(uris: readonly string[]): void;
  /** Program of the watching thread, for a test that runs from the source. */
  readonly watchEntry?: URL;
  /** Time for a clean stop; longer than the server's own deadline for its connections. Default 4800 ms. */
  readonly stopDeadlineMs?: number;
  /** Time after a signal in which others count as the same one. Default 500 ms. */
  readonly sameWishMs?: number;
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const STOP_DEADLINE_MS = 4800;
/** Signals this close together are one wish: `timeout`, npm and others pass on what the whole process group got anyway. */
const SAME_WISH_MS = 500;

/** Why a server ends, and the exit code that it has then if it stops cleanly. */
interface End {
  readonly why: object;
  readonly exitCode: number;
}

/**
 * Serves until SIGTERM or SIGINT, or until what it was started for is over, then stops cleanly. A second signal, half a second
 * later or more, ends the process at once.
 *
 * @returns the exit code
 * @throws AionbdError what creating and listening throws; nothing is left running then
 */
export async function serve(config: ServeConfig, context: ServeContext): Promise<number> {
  const undo: (() => void)[] = [];
  const stop = watchSignals(context, undo);
  try {
    const server = await context.createServer({ ...config.server, logger: context.logger });
    let watch: Watch | undefined;
    let exitCode: number;
    let command: RunningCommand | undefined;
    try {
      const lastClientLeft = watchClients(server);
      watch = await openWatch(config.metrics, context);
      const addresses = await listenOnAll(config, server, context, undo);
      for (const { name, path, sizeBytes, readOnly, direct } of server.exports) {
        context.logger.info({ export: name, path, sizeBytes, readOnly, direct }, 'serving');
      }
      const uris = addresses.map(nbdUri);
      if (config.pidFile !== undefined) undo.push(writePidFile(config.pidFile, process.pid));
      const ends: Promise<End>[] = [
        stop.requested.then((signal) => ({ why: { signal }, exitCode: EXIT_OK })),
      ];
      if (config.mode.kind === 'daemon') {
        // Whoever has opened a socket for us knows where it is, and stdout may be theirs.
        for (const uri of uris.slice(context.inherited?.length ?? 0)) context.print(uri);
        if (config.exitWithLastClient) ends.push(lastClientLeft);
      } else if (config.mode.kind === 'stdio') {
        ends.push(serveOne(server, await asked(context.stdio)()));
      } else {
        const { runCommand } = await import('./run-command.js');
        command = runCommand(config.mode.command, uris[0]!, addresses[0]!, server.defaultExport);
        undo.push(command.kill);
        ends.push(endOf(command));
        if (config.exitWithLastClient) ends.push(lastClientLeft);
      }
      context.serviceManager?.ready(`serving ${server.exports.length} exports at ${uris.join(' ')}`);
      context.ready?.(uris);
      watch?.start(server);
      const end = await Promise.race(ends);
      exitCode = end.exitCode;
      context.logger.info(end.why, 'stopping');
      await command?.stopped();
      context.serviceManager?.stopping();
    } catch (error) {
      await closeAll(server, watch, context);
      throw error;
    }
    if (await closeAll(server, watch, context)) return exitCode;
  } finally {
    stop.unwatch();
    for (const take of undo.splice(0).reverse()) take();
  }
  // Something hangs, and the way out of the process would wait for it.
  context.exit(EXIT_FAILURE);
  return EXIT_FAILURE;
}

/** Resolves when a client was there and none is any more. */
function watchClients(server: Server): Promise<End> {
  return new Promise((resolve) => {
    let clients = 0;
    server.on('connection', () => clients++);
    server.on('disconnect', ({ exportName }: ConnectionInfo) => {
      // Of a handshake that led to nothing there was no client.
      if (exportName === undefined) return;
      clients--;
      if (clients === 0) resolve({ why: { reason: 'the last client has left' }, exitCode: EXIT_OK });
    });
  });
}

/** Ends with the connection, whatever has become of it. */
function serveOne(server: Server, fd: number): Promise<End> {
  return new Promise((resolve) => {
    let served: number | undefined;
    server.on('disconnect', ({ id, exportName, reason = '' }: ConnectionInfo) => {
      if (id !== served) return;
      resolve({ why: { reason }, exitCode: exportName === undefined ? EXIT_FAILURE : EXIT_OK });
    });
    served = server.serve(fd);
  });
}

async function endOf(command: RunningCommand): Promise<End> {
  const exitCode = await command.ended;
  return { why: { reason: 'the command has ended', exitCode }, exitCode };
}

function asked<T>(part: T | undefined): T {
  if (part === undefined)
    throw new Error('this way of starting needs something that the context does not have');
  return part;
}

/** The addresses as they are to be shown, in their order: of sockets that were given to us, then as `--listen` says. */
async function listenOnAll(
  config: ServeConfig,
  server: Server,
  context: ServeContext,
  undo: (() => void)[],
): Promise<readonly ListenAddress[]> {
  const addresses: ListenAddress[] = [];
  for (const socket of context.inherited ?? []) {
    addresses.push(await server.listen(socket));
  }
  for (const plan of config.listen) {
    const { shown, missing } = await listenAll(plan, (address) => server.listen(address));
    if (missing !== undefined) {
      context.logger.debug({ address: plan.text, reason: missing.message }, 'not listening on ::1');
    }
    addresses.push(shown);
  }
  if (addresses.length === 0 && config.mode.kind === 'run') {
    const { address, remove } = openPrivateSocket();
    undo.push(remove);
    addresses.push(await server.listen(address));
  }
  return addresses;
}

/** Listens for those who want to look; they are answered once the thread for it has started. */
async function openWatch(plan: MetricsPlan | undefined, context: ServeContext): Promise<Watch | undefined> {
  if (plan === undefined) {
    return undefined;
  }
  const { Watch } = await import('../metrics/watch.js');
  const { logger, watchEntry } = context;
  const { mostExports, healthDeadlineMs } = plan;
  const watch = new Watch({
    logger,
    mostExports,
    healthDeadlineMs,
    ...(watchEntry !== undefined && { entry: watchEntry }),
  });
  try {
    const { shown } = await listenAll(plan.listen, (address) => watch.listen(address));
    context.logger.info({ url: metricsUrl(shown) }, 'metrics');
    return watch;
  } catch (error) {
    await watch.close();
    if (plan.required || !(error instanceof AionbdError)) {
      throw error;
    }
    context.logger.warn({ reason: error.message }, 'no metrics page; name an address with --metrics, or off');
    return undefined;
  }
}

/** @returns false if it was not done in time */
async function closeAll(server: Server, watch: Watch | undefined, context: ServeContext): Promise<boolean> {
  const deadlineMs = context.stopDeadlineMs ?? STOP_DEADLINE_MS;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, 'late');
  });
  try {
    // Whoever looks is told until the end that the server is draining.
    const outcome = await Promise.race([server.close().then(() => watch?.close()), late]);
    if (outcome === 'late') {
      context.logger.error({ deadlineMs }, 'the server did not stop in time; requests in flight may be lost');
      return false;
    }
    return true;
  } finally {
    clearTimeout(timer);
  }
}

/** `undo` is done before a second signal ends the process. */
function watchSignals(
  context: ServeContext,
  undo: (() => void)[],
): { readonly requested: Promise<string>; unwatch(): void } {
  let request: (signal: string) => void = () => {};
  const requested = new Promise<string>((resolve) => {
    request = resolve;
  });
  const sameWishMs = context.sameWishMs ?? SAME_WISH_MS;
  let firstAtMs: number | undefined;
  const onSignal = (signal: string) => {
    if (firstAtMs === undefined) {
      firstAtMs = performance.now();
      request(signal);
    } else if (performance.now() - firstAtMs >= sameWishMs) {
      context.logger.error({ signal }, 'ended by a second signal, without a clean stop');
      for (const take of undo.splice(0).reverse()) take();
      context.exit(EXIT_FAILURE);
    }
  };
  for (const signal of STOP_SIGNALS) {
    context.signals.on(signal, onSignal);
  }
  return {
    requested,
    unwatch() {
      for (const signal of STOP_SIGNALS) {
        context.signals.off(signal, onSignal);
      }
    },
  };
}
