import type { EventEmitter } from 'node:events';
import type { MetricsPlan, ServeConfig } from '../config/serve-config.js';
import { AionbdError } from '../errors.js';
import type { Watch } from '../metrics/watch.js';
import type { Logger, Server, ServerOptions } from '../server/api.js';
import { EXIT_FAILURE, EXIT_OK } from './exit-code.js';
import { listenAll } from './listen-all.js';
import { metricsUrl, nbdUri } from './uri.js';

/** What `aionbd serve` takes from outside, so that a test can stand in for each. */
export interface ServeContext {
  createServer(options: ServerOptions): Promise<Server>;
  readonly logger: Logger;
  readonly version: string;
  /** Emits SIGTERM and SIGINT, as `process` does. */
  readonly signals: EventEmitter;
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

/**
 * Serves until SIGTERM or SIGINT, then stops cleanly. A second signal, half a second later or more, ends the process at
 * once.
 *
 * @returns the exit code
 * @throws AionbdError what creating and listening throws; nothing is left running then
 */
export async function serve(config: ServeConfig, context: ServeContext): Promise<number> {
  const stop = watchSignals(context);
  try {
    const server = await context.createServer({ ...config.server, logger: context.logger });
    let watch: Watch | undefined;
    try {
      watch = await openWatch(config.metrics, context);
      const uris = await listenOnAll(config, server, context);
      for (const { name, path, sizeBytes, readOnly, direct } of server.exports) {
        context.logger.info({ export: name, path, sizeBytes, readOnly, direct }, 'serving');
      }
      for (const uri of uris) {
        context.print(uri);
      }
      context.ready?.(uris);
      watch?.start(server);
      context.logger.info({ signal: await stop.requested }, 'stopping');
    } catch (error) {
      await closeAll(server, watch, context);
      throw error;
    }
    return await closeAll(server, watch, context);
  } finally {
    stop.unwatch();
  }
}

async function listenOnAll(
  config: ServeConfig,
  server: Server,
  context: ServeContext,
): Promise<readonly string[]> {
  const uris: string[] = [];
  for (const plan of config.listen) {
    const { shown, missing } = await listenAll(plan, (address) => server.listen(address));
    if (missing !== undefined) {
      context.logger.debug({ address: plan.text, reason: missing.message }, 'not listening on ::1');
    }
    uris.push(nbdUri(shown));
  }
  return uris;
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

async function closeAll(server: Server, watch: Watch | undefined, context: ServeContext): Promise<number> {
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
      return EXIT_FAILURE;
    }
    return EXIT_OK;
  } finally {
    clearTimeout(timer);
  }
}

function watchSignals(context: ServeContext): { readonly requested: Promise<string>; unwatch(): void } {
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
