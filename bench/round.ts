import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accountFor, kernelWorkersMicroseconds, kernelWorkersSince } from './accounting.js';
import { type BackingFile, cachedMib, preparePageCache, withFurtherFile } from './backing-file.js';
import type { Case, CollectionsCase, CopyCase, LoadCase, PageCacheCase } from './cases.js';
import { CollectionCounter } from './collections.js';
import { runCommand } from './command.js';
import { type FioResult, runFio } from './fio.js';
import { type ServerOptions, WARM_UP_SECONDS, withLoadedServer, withServer } from './loaded-server.js';
import type { LocalKind } from './local-targets.js';
import type { Measurement } from './metrics.js';
import type { Contender, ServerKind } from './servers.js';

export interface RoundOptions {
  readonly name: string;
  readonly backing: BackingFile;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Why this case can't be measured of this contender; undefined if it can. */
export function misfit(theCase: Case, contender: Contender): string | undefined {
  if (contender.kind === 'local') {
    return theCase.kind === 'load' && theCase.transport === 'unix' ? undefined : 'has no socket';
  }
  if (theCase.kind === 'collections' && contender.onNode !== true) return 'has no garbage collections';
  return undefined;
}

/** The programs that measuring a case takes, besides the contenders' own. */
export function programsFor(theCase: Case): readonly string[] {
  const always = ['fio', 'fincore', 'dd', 'sync'];
  return theCase.kind === 'copy' ? [...always, 'nbdcopy'] : always;
}

/** Measures a freshly started contender once; `misfit` has said that it can be. */
export function measureRound(
  theCase: Case,
  contender: Contender,
  options: RoundOptions,
): Promise<Measurement> {
  if (theCase.kind === 'load') {
    return contender.kind === 'local'
      ? measureLocal(theCase, contender, options)
      : measureLoad(theCase, contender, options);
  }
  if (contender.kind === 'local') throw new Error(`${options.name} ${misfit(theCase, contender)}`);
  switch (theCase.kind) {
    case 'start':
      return measureStart(contender, options);
    case 'page-cache':
      return measurePageCache(theCase, contender, options);
    case 'copy':
      return measureCopy(theCase, contender, options);
    case 'collections':
      return measureCollections(theCase, contender, options);
  }
}

async function measureLoad(load: LoadCase, kind: ServerKind, options: RoundOptions): Promise<Measurement> {
  const { backing, seconds, signal } = options;
  await preparePageCache(backing.path, kind.pageCache, signal);
  return withLoadedServer(load, backing.zeroes, serverOptions(load, kind, options), async (server, run) => {
    const { result, usage } = await accountFor(server.pid, () => run(seconds));
    return {
      ...loadFigures(result, usage.cpuMicroseconds, usage.contextSwitches),
      peakRssMib: usage.peakRssKib / 1024,
      ...inPageCache(backing.path),
    };
  });
}

/** fio on the file itself, or on a block device that the kernel makes of it. */
async function measureLocal(load: LoadCase, kind: LocalKind, options: RoundOptions): Promise<Measurement> {
  const { backing, seconds, signal } = options;
  await preparePageCache(backing.path, kind.pageCache, signal);
  const folder = await mkdtemp(join(tmpdir(), 'aionbd-bench-'));
  const target = await kind.open(backing.path);
  try {
    const fio = { target, zeroes: backing.zeroes, folder, signal };
    await runFio(load, { ...fio, seconds: WARM_UP_SECONDS });
    const workers = kernelWorkersMicroseconds();
    const result = await runFio(load, { ...fio, seconds });
    const workersUsed = kind.kernelWorkers ? kernelWorkersSince(workers) : 0;
    return {
      ...loadFigures(result, result.clientCpuMicroseconds + workersUsed, result.clientContextSwitches),
      ...inPageCache(backing.path),
    };
  } finally {
    await target.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function loadFigures(fio: FioResult, cpuMicroseconds: number, contextSwitches: number): Measurement {
  return {
    requests: fio.requests,
    iops: fio.iops,
    mibPerSecond: fio.bytesPerSecond / 1024 ** 2,
    p50Microseconds: fio.p50Microseconds,
    p99Microseconds: fio.p99Microseconds,
    p999Microseconds: fio.p999Microseconds,
    cpuMicrosecondsPerRequest: cpuMicroseconds / fio.requests,
    contextSwitchesPerRequest: contextSwitches / fio.requests,
  };
}

async function measureStart(kind: ServerKind, options: RoundOptions): Promise<Measurement> {
  const served = { transport: 'unix' } as const;
  return withServer(serverOptions(served, kind, options), async ({ server }) => ({
    startMs: server.startMs,
  }));
}

/** In requests of 1 MiB, as a copy or a backup would. */
const WHOLE_FILE = { kind: 'load', blockBytes: 1024 ** 2, depth: 8, connections: 1 } as const;

async function measurePageCache(
  theCase: PageCacheCase,
  kind: ServerKind,
  options: RoundOptions,
): Promise<Measurement> {
  const { backing, signal } = options;
  const measure = async (file: string, mib: number): Promise<Measurement> => {
    await preparePageCache(file, false, signal);
    const before = cachedMib(file) ?? 0;
    const served = { ...serverOptions(theCase, kind, options), file };
    return withServer(served, async ({ server, uri, folder }) => {
      const fio = { target: { uri }, seconds: 'whole', zeroes: backing.zeroes, folder, signal } as const;
      const { usage } = await accountFor(server.pid, async () => {
        await runFio({ ...theCase, ...WHOLE_FILE, pattern: 'read' }, fio);
        await runFio({ ...theCase, ...WHOLE_FILE, pattern: 'write' }, fio);
      });
      const growth = (cachedMib(file) ?? Number.NaN) - before;
      return {
        cpuMicrosecondsPerMib: usage.cpuMicroseconds / (2 * mib),
        peakRssMib: usage.peakRssKib / 1024,
        movedMib: 2 * mib,
        ...(Number.isNaN(growth) ? {} : { pageCacheMib: growth, pageCachePercent: (growth / mib) * 100 }),
      };
    });
  };
  if (backing.folder === undefined) return measure(backing.path, Math.floor(backing.sizeBytes / 1024 ** 2));
  return withFurtherFile(backing.folder, theCase.fileMib, signal, measure);
}

const IMAGE_MIB = 1024;

async function measureCopy(theCase: CopyCase, kind: ServerKind, options: RoundOptions): Promise<Measurement> {
  const { backing, signal } = options;
  await preparePageCache(backing.path, kind.pageCache, signal);
  const copy = (from: string, to: string, mib: number): Promise<Measurement> =>
    withServer(serverOptions(theCase, kind, options), async ({ server, uri }) => {
      // Zeroes are copied like data: looking for them is the client's work, not the server's.
      const args = ['--sparse=0', from || uri, to || uri];
      const startedAt = performance.now();
      const { usage } = await accountFor(server.pid, () => runCommand('nbdcopy', args, { signal }));
      return {
        mibPerSecond: (mib / (performance.now() - startedAt)) * 1000,
        cpuMicrosecondsPerMib: usage.cpuMicroseconds / mib,
        peakRssMib: usage.peakRssKib / 1024,
        ...inPageCache(backing.path),
      };
    });
  if (theCase.direction === 'out') return copy('', 'null:', backing.sizeBytes / 1024 ** 2);
  const imageMib = Math.min(IMAGE_MIB, Math.floor(backing.sizeBytes / 1024 ** 2));
  return withFurtherFile(backing.folder ?? tmpdir(), imageMib, signal, async (image, mib) => {
    await preparePageCache(image, true, signal);
    return copy(image, '', mib);
  });
}

async function measureCollections(
  theCase: CollectionsCase,
  kind: ServerKind,
  options: RoundOptions,
): Promise<Measurement> {
  const counter = new CollectionCounter();
  const { load } = theCase;
  await preparePageCache(options.backing.path, kind.pageCache, options.signal);
  const served: ServerOptions = {
    ...serverOptions(load, kind, options),
    nodeFlags: ['--trace-gc'],
    onLine: (line) => counter.line(line),
  };
  return withLoadedServer(load, options.backing.zeroes, served, async (_server, run) => {
    counter.reset(); // of start and warm-up
    const { requests } = await run(Math.max(options.seconds, theCase.seconds));
    return { requests, collectionsPerMillion: (counter.count * 1e6) / requests };
  });
}

function serverOptions(
  { transport }: Pick<Case, 'transport'>,
  kind: ServerKind,
  { name, backing, signal }: RoundOptions,
): ServerOptions {
  return { name, kind, file: backing.path, transport, signal };
}

function inPageCache(file: string): Measurement {
  const mib = cachedMib(file);
  return mib === undefined ? {} : { pageCacheMib: mib };
}
