import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeAddress, nbdUri } from './address.js';
import type { Case, LoadCase } from './cases.js';
import { BenchFailure } from './failure.js';
import { type FioResult, runFio } from './fio.js';
import { type RunningServer, startServer } from './server-process.js';
import { PID_FILE, type ServerKind } from './servers.js';

/** Long enough for a just-in-time compiler to have seen the hot path. */
export const WARM_UP_SECONDS = 1;

export interface ServerOptions {
  readonly name: string;
  readonly kind: ServerKind;
  readonly file: string;
  readonly transport: Case['transport'];
  readonly signal: AbortSignal;
  readonly nodeFlags?: readonly string[];
  /** Gets every line the server prints on stdout. */
  readonly onLine?: (line: string) => void;
}

export interface ServedExport {
  readonly server: RunningServer;
  readonly uri: string;
  /** Removed when the server has ended. */
  readonly folder: string;
}

/** Starts a server afresh, hands it to `use` and stops it. */
export async function withServer<T>(
  options: ServerOptions,
  use: (served: ServedExport) => Promise<T>,
): Promise<T> {
  const { name, kind, file, transport, signal, nodeFlags = [], onLine } = options;
  const folder = await mkdtemp(join(tmpdir(), 'aionbd-bench-'));
  try {
    const address = await freeAddress(transport, folder);
    const command = kind.command({ file, address, folder, nodeFlags });
    const pidFile = kind.daemon === true ? join(folder, PID_FILE) : undefined;
    const heard = onLine === undefined ? {} : { onLine };
    const server = await startServer({
      name,
      ready: kind.ready,
      command,
      address,
      signal,
      pidFile,
      ...heard,
    });
    try {
      return await use({ server, uri: nbdUri(address, kind.exportName), folder });
    } catch (error) {
      const death = server.death();
      if (death === undefined || signal.aborted) throw error;
      throw new BenchFailure(`${name} ended under load (${death})`);
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Puts the case's load on the server for so many seconds. */
export type Load = (seconds: number) => Promise<FioResult>;

/** {@link withServer}, with fio as the client, and warmed up. */
export function withLoadedServer<T>(
  load: LoadCase,
  zeroes: boolean,
  options: ServerOptions,
  use: (server: RunningServer, run: Load) => Promise<T>,
): Promise<T> {
  return withServer(options, async ({ server, uri, folder }) => {
    const run: Load = (seconds) =>
      runFio(load, { target: { uri }, seconds, zeroes, folder, signal: options.signal });
    await run(WARM_UP_SECONDS);
    return use(server, run);
  });
}
