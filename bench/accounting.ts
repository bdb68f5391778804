import { readdirSync, readFileSync } from 'node:fs';

/** Fields of /proc/PID/stat count in units of USER_HZ, which is 100 for user space whatever the kernel's own HZ. */
const MICROSECONDS_PER_TICK = 10_000;

/** Threads end with their connection (nbdkit) or when idle (qemu); their last reading is at most this old. */
const SAMPLE_INTERVAL_MS = 100;

/** What a process and its children used between two moments. */
export interface Usage {
  /** User + system time of all threads, those that ended included, µs. Resolution: 10 ms. */
  readonly cpuMicroseconds: number;
  /** Voluntary + involuntary context switches of all threads. */
  readonly contextSwitches: number;
  /** The most that was resident since the process began (VmHWM), summed over its processes, KiB. */
  readonly peakRssKib: number;
}

/** Runs `work` and accounts for what the process `pid` and its children used meanwhile; `pid` must outlive it. */
export async function accountFor<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly usage: Usage }> {
  const sampler = new Sampler(pid);
  const cpuBefore = cpuMicroseconds(pid);
  const timer = setInterval(() => sampler.sample(), SAMPLE_INTERVAL_MS);
  try {
    const result = await work();
    sampler.sample();
    return {
      result,
      usage: {
        cpuMicroseconds: cpuMicroseconds(pid) - cpuBefore,
        contextSwitches: sampler.contextSwitches(),
        peakRssKib: sampler.peakRssKib,
      },
    };
  } finally {
    clearInterval(timer);
  }
}

/**
 * User + system time of the kernel's workers, µs. They work for whoever asks; what is counted between two moments is a
 * loop device's only as far as nobody else keeps them busy.
 */
export function kernelWorkersMicroseconds(): ReadonlyMap<string, number> {
  const workers = new Map<string, number>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = readOrUndefined(`/proc/${pid}/stat`);
    if (stat?.includes('(kworker/')) workers.set(pid, ticks(stat, [14, 15]) * MICROSECONDS_PER_TICK);
  }
  return workers;
}

/** What the workers used since `before`; those that have ended since are lost. */
export function kernelWorkersSince(before: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [pid, now] of kernelWorkersMicroseconds()) sum += now - (before.get(pid) ?? 0);
  return sum;
}

/** The process and all that descend from it. */
function processTree(root: number): readonly number[] {
  const tree = [root];
  for (const pid of tree) {
    for (const tid of threadIds(pid)) {
      const children = readOrUndefined(`/proc/${pid}/task/${tid}/children`) ?? '';
      for (const child of children.split(' ')) if (child !== '') tree.push(Number(child));
    }
  }
  return tree;
}

/**
 * utime + stime of whole thread groups, and cutime + cstime for children that have ended and been waited for: fields
 * 14 to 17 of /proc/PID/stat.
 */
function cpuMicroseconds(root: number): number {
  let sum = ticks(readFileSync(`/proc/${root}/stat`, 'latin1'), [14, 15, 16, 17]);
  for (const pid of processTree(root).slice(1)) {
    const stat = readOrUndefined(`/proc/${pid}/stat`);
    if (stat !== undefined) sum += ticks(stat, [14, 15, 16, 17]);
  }
  return sum * MICROSECONDS_PER_TICK;
}

function ticks(stat: string, fields: readonly number[]): number {
  // Field 2 is the command's name in parentheses and may hold blanks: count from the last parenthesis, field 3.
  const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.reduce((sum, field) => sum + Number(rest[field - 3]), 0);
}

/** Adds up the context switches of threads that come and go (the kernel keeps these counts per thread only). */
class Sampler {
  peakRssKib = 0;
  readonly #root: number;
  /** By thread id: the first reading (0 for a thread born since) and the last one. */
  readonly #threads = new Map<string, { readonly first: number; last: number }>();
  #started = false;

  constructor(root: number) {
    this.#root = root;
    this.sample();
    this.#started = true;
  }

  sample(): void {
    let residentKib = 0;
    for (const pid of processTree(this.#root)) {
      const status = readOrUndefined(`/proc/${pid}/status`);
      residentKib += (status === undefined ? undefined : statusField(status, 'VmHWM')) ?? 0;
      for (const tid of threadIds(pid)) this.#countSwitches(pid, tid);
    }
    this.peakRssKib = Math.max(this.peakRssKib, residentKib);
  }

  contextSwitches(): number {
    let sum = 0;
    for (const thread of this.#threads.values()) sum += thread.last - thread.first;
    return sum;
  }

  #countSwitches(pid: number, tid: string): void {
    const status = readOrUndefined(`/proc/${pid}/task/${tid}/status`);
    if (status === undefined) return;
    const count =
      (statusField(status, 'voluntary_ctxt_switches') ?? 0) +
      (statusField(status, 'nonvoluntary_ctxt_switches') ?? 0);
    const thread = this.#threads.get(tid);
    if (thread !== undefined) thread.last = count;
    else this.#threads.set(tid, { first: this.#started ? 0 : count, last: count });
  }
}

/** Empty if the process has ended: what comes after will notice that and say it better. */
function threadIds(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** undefined if the process or thread has ended. */
function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/** The number in a line `name:  123` of a status file; a process that has just ended has no memory to tell of. */
export function statusField(status: string, name: string): number | undefined {
  const match = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status);
  return match === null ? undefined : Number(match[1]);
}
