import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accountFor, peakRssKib } from './accounting.js';
import { freeAddress, nbdUri } from './address.js';
import type { Case } from './cases.js';
import { runCommand } from './command.js';
import { runFio } from './fio.js';
import type { Measurement } from './metrics.js';
import { startServer } from './server-process.js';
import type { ServerKind } from './servers.js';

/** Long enough for a just-in-time compiler to have seen the hot path. */
const WARM_UP_SECONDS = 1;

export interface RoundOptions {
  readonly file: string;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Starts a server afresh, warms it up, measures it under load and stops it. */
export async function measureRound(
  name: string,
  kind: ServerKind,
  theCase: Case,
  options: RoundOptions,
): Promise<Measurement> {
  const { file, seconds, signal } = options;
  const folder = await mkdtemp(join(tmpdir(), 'aionbd-bench-'));
  try {
    await preparePageCache(file, kind.pageCache, signal);
    const address = await freeAddress(theCase.transport, folder);
    const command = kind.command(file, address);
    const server = await startServer({ name, command, address, ready: kind.ready, signal });
    try {
      const load = { uri: nbdUri(address), folder, signal };
      await runFio(theCase, { ...load, seconds: WARM_UP_SECONDS });
      const { result: fio, usage } = await accountFor(server.pid, () =>
        runFio(theCase, { ...load, seconds }),
      );
      return {
        requests: fio.requests,
        iops: fio.iops,
        mibPerSecond: fio.bytesPerSecond / 1024 ** 2,
        p50Microseconds: fio.p50Microseconds,
        p99Microseconds: fio.p99Microseconds,
        cpuMicrosecondsPerRequest: usage.cpuMicroseconds / fio.requests,
        contextSwitchesPerRequest: usage.contextSwitches / fio.requests,
        peakRssMib: peakRssKib(server.pid) / 1024,
      };
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Fills the page cache for a server that reads through it and empties it for one that does not: pages left over from
 * the round before would make direct I/O look for them and throw them out.
 */
async function preparePageCache(file: string, wanted: boolean, signal: AbortSignal): Promise<void> {
  if (wanted) {
    await runCommand('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M'], { signal });
  } else {
    await runCommand('sync', [file], { signal });
    await runCommand('dd', [`if=${file}`, 'of=/dev/null', 'iflag=nocache', 'count=0'], { signal });
  }
}
