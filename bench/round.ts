import { accountFor, peakRssKib } from './accounting.js';
import type { Case } from './cases.js';
import { runCommand } from './command.js';
import { withLoadedServer } from './loaded-server.js';
import type { Measurement } from './metrics.js';
import type { ServerKind } from './servers.js';

export interface RoundOptions {
  readonly file: string;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Measures a freshly started server under one case's load. */
export async function measureRound(
  name: string,
  kind: ServerKind,
  theCase: Case,
  options: RoundOptions,
): Promise<Measurement> {
  const { file, seconds, signal } = options;
  await preparePageCache(file, kind.pageCache, signal);
  const command = kind.command.bind(kind, file);
  return withLoadedServer({ name, ready: kind.ready, command, theCase, signal }, async (server, load) => {
    const { result: fio, usage } = await accountFor(server.pid, () => load(seconds));
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
  });
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
