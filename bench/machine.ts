import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { readCommand } from './command.js';
import { Pace } from './pace.js';
import type { Machine } from './results.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** How each program tells its version. */
const VERSIONS: Readonly<Record<string, string>> = {
  fio: '--version',
  'qemu-nbd': '--version',
  nbdkit: '--version',
  'nbd-server': '-V',
  nbdcopy: '--version',
};

/** A run that is watched: `beforeRound` is called before each round, while nothing is at work, and `machine` afterwards. */
export interface WatchedRun {
  beforeRound(): void;
  machine(): Machine;
}

/** Looks at the machine before a run. */
export function watchMachine(): WatchedRun {
  const startedAt = new Date().toISOString();
  const loadAverage = loadavg()[0] ?? 0;
  const before = processorTicks();
  const versions = { node: process.version, ...versionsOfPrograms() };
  const commit = commitOfThisTree();
  const pace = new Pace();
  const machine = (): Machine => {
    const after = processorTicks();
    const passed = after.all - before.all;
    return {
      startedAt,
      processors: cpus().length,
      model: cpus()[0]?.model ?? 'unknown',
      kernel: release(),
      memoryMib: Math.round(totalmem() / 1024 ** 2),
      loadAverage,
      stealPercent: passed === 0 ? 0 : ((after.steal - before.steal) / passed) * 100,
      versions,
      commit,
      ...(pace.summary && { paceMs: pace.summary }),
    };
  };
  return { beforeRound: () => pace.sample(), machine };
}

/** The first line of /proc/stat: user nice system idle iowait irq softirq steal. */
function processorTicks(): { readonly all: number; readonly idle: number; readonly steal: number } {
  const line = readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '';
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return {
    all: ticks.reduce((sum, value) => sum + value, 0),
    idle: (ticks[3] ?? 0) + (ticks[4] ?? 0),
    steal: ticks[7] ?? 0,
  };
}

function versionsOfPrograms(): Readonly<Record<string, string>> {
  const found = Object.entries(VERSIONS).flatMap(([name, flag]) => {
    const said = attempt(() => readCommand(name, [flag], true));
    const version = /\d+(\.\d+)+/.exec(said ?? '')?.[0];
    return version === undefined ? [] : [[name, version] as const];
  });
  return Object.fromEntries(found);
}

/** The commit that is checked out, with `+changes` where files differ from it. */
export function commitOfThisTree(): string {
  const commit = attempt(() => readCommand('git', ['-C', ROOT, 'rev-parse', '--short=10', 'HEAD']));
  if (commit === undefined) return 'unknown';
  const changes = attempt(() =>
    readCommand('git', ['-C', ROOT, 'status', '--porcelain', '--untracked-files=no']),
  );
  return changes === '' ? commit : `${commit}+changes`;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
