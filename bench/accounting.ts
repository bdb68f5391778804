import { readdirSync, readFileSync } from 'node:fs';

/** Fields of /proc/PID/stat count in units of USER_HZ, which is 100 for user space whatever the kernel's own HZ. */
const MICROSECONDS_PER_TICK = 10_000;

/** Threads end with their connection (nbdkit) or when idle (qemu); their last reading is at most this old. */
const SAMPLE_INTERVAL_MS = 100;

/** What a process used between two moments. */
export interface Usage {
  /** User + system time of all its threads, those that ended included, µs. Resolution: 10 ms. */
  readonly cpuMicroseconds: number;
  /** Voluntary + involuntary context switches of all its threads. */
  readonly contextSwitches: number;
}

/** Runs `work` and accounts for what the process `pid` used meanwhile; `pid` must outlive it. */
export async function accountFor<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly usage: Usage }> {
  const switches = new SwitchCounter(pid);
  const cpuBefore = cpuMicroseconds(pid);
  const timer = setInterval(() => switches.sample(), SAMPLE_INTERVAL_MS);
  try {
    const result = await work();
    switches.sample();
    return {
      result,
      usage: {
        cpuMicroseconds: cpuMicroseconds(pid) - cpuBefore,
        contextSwitches: switches.total(),
      },
    };
  } finally {
    clearInterval(timer);
  }
}

/** The most memory a process has had resident so far, KiB (VmHWM). */
export function peakRssKib(pid: number): number {
  return statusField(readFileSync(`/proc/${pid}/status`, 'latin1'), 'VmHWM');
}

/** utime + stime of the whole thread group: fields 14 and 15 of /proc/PID/stat. */
function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // Field 2 is the command's name in parentheses and may hold blanks: count from the last parenthesis, field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[14 - 3]) + Number(fields[15 - 3])) * MICROSECONDS_PER_TICK;
}

/** Adds up the context switches of threads that come and go: the kernel keeps these counts per thread only. */
class SwitchCounter {
  readonly #pid: number;
  /** By thread id: the first reading (0 for a thread born since) and the last one. */
  readonly #threads = new Map<string, { readonly first: number; last: number }>();
  #started = false;

  constructor(pid: number) {
    this.#pid = pid;
    this.sample();
    this.#started = true;
  }

  sample(): void {
    for (const tid of threadIds(this.#pid)) {
      const count = threadSwitches(this.#pid, tid);
      if (count === undefined) continue;
      const thread = this.#threads.get(tid);
      if (thread !== undefined) thread.last = count;
      else this.#threads.set(tid, { first: this.#started ? 0 : count, last: count });
    }
  }

  total(): number {
    let sum = 0;
    for (const thread of this.#threads.values()) sum += thread.last - thread.first;
    return sum;
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

/** undefined if the thread has ended. */
function threadSwitches(pid: number, tid: string): number | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1');
  } catch {
    return undefined;
  }
  return statusField(status, 'voluntary_ctxt_switches') + statusField(status, 'nonvoluntary_ctxt_switches');
}

/** The number in a line `name:  123` of a status file. */
function statusField(status: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status);
  if (match === null) throw new Error(`no field ${name} in a /proc status file`);
  return Number(match[1]);
}
