import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Address, freeAddress, nbdUri } from './address.js';
import type { Case } from './cases.js';
import { BenchFailure } from './failure.js';
import { type FioResult, runFio } from './fio.js';
import { type RunningServer, startServer } from './server-process.js';
import type { CommandLine, ServerKind } from './servers.js';

/** Long enough for a just-in-time compiler to have seen the hot path. */
const WARM_UP_SECONDS = 1;

export interface LoadedServerOptions {
  readonly name: string;
  readonly ready: ServerKind['ready'];
  readonly command: (address: Address) => CommandLine;
  readonly theCase: Case;
  readonly signal: AbortSignal;
  /** Gets every line the server prints on stdout. */
  readonly onLine?: (line: string) => void;
}

/** Puts the case's load on the server for so many seconds. */
export type Load = (seconds: number) => Promise<FioResult>;

/** Starts a server afresh, warms it up, hands it to `use` and stops it. */
export async function withLoadedServer<T>(
  options: LoadedServerOptions,
  use: (server: RunningServer, load: Load) => Promise<T>,
): Promise<T> {
  const { theCase, signal } = options;
  const folder = await mkdtemp(join(tmpdir(), 'aionbd-bench-'));
  try {
    const address = await freeAddress(theCase.transport, folder);
    const server = await startServer({ ...options, command: options.command(address), address });
    try {
      const load: Load = (seconds) => runFio(theCase, { uri: nbdUri(address), seconds, folder, signal });
      await load(WARM_UP_SECONDS);
      return await use(server, load);
    } catch (error) {
      const death = server.death();
      if (death === undefined || signal.aborted) throw error;
      throw new BenchFailure(`${options.name} ended under load (${death})`);
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
