/** Where a server's processor time goes, as far as a sample's stack tells. */
export const PLACES = [
  'io_submit',
  'preadv2, pwritev2',
  'send',
  'receive',
  'epoll_wait',
  'other system calls',
  'TypeScript',
  'Node.js',
  'the addon',
  'libraries',
] as const;

export type Place = (typeof PLACES)[number];

/** The kernel's names of system calls, without what each processor architecture puts in front. */
const SYSTEM_CALLS: Readonly<Record<string, Place>> = {
  io_submit: 'io_submit',
  preadv: 'preadv2, pwritev2',
  preadv2: 'preadv2, pwritev2',
  pwritev: 'preadv2, pwritev2',
  pwritev2: 'preadv2, pwritev2',
  sendmsg: 'send',
  sendto: 'send',
  recvfrom: 'receive',
  recvmsg: 'receive',
  epoll_wait: 'epoll_wait',
  epoll_pwait: 'epoll_wait',
};

/** `ffffffff81234567 __x64_sys_io_submit ([kernel.kallsyms])`, one frame of a stack; the innermost comes first. */
const FRAME = /^\s+[0-9a-f]+ (.*) \(([^()]*)\)$/;
const ENTRY = /^__(?:x64|arm64|se)_sys_(\w+)$/;
/** What an entry calls as its last act, and so takes its place in the stack. */
const AFTER_ENTRY = /^(?:__sys_|ksys_|do_)(\w+)$/;

/** Counts samples by place, out of the lines of `perf script -F ip,sym,dso`. */
export class PlaceCounter {
  readonly #counts = new Map<Place, number>();
  #samples = 0;
  /** Of the sample that is being read: where it began, and the first system call on the way out. */
  #innermost: string | undefined;
  #place: Place | undefined;

  /** One line; a sample ends with an empty one. */
  line(text: string): void {
    if (text.trim() === '') {
      this.#endSample();
      return;
    }
    const [, symbol, object] = FRAME.exec(text) ?? [];
    if (symbol === undefined || object === undefined) return;
    this.#innermost ??= object;
    this.#place ??= systemCallOf(symbol);
  }

  /** Shares of all samples, 0 to 1, for those places that have any. Call it after the last line. */
  shares(): Readonly<Partial<Record<Place, number>>> {
    this.#endSample();
    const shares = PLACES.flatMap((place) => {
      const count = this.#counts.get(place);
      return count === undefined ? [] : [[place, count / this.#samples] as const];
    });
    return Object.fromEntries(shares);
  }

  #endSample(): void {
    if (this.#innermost === undefined) return;
    const place = this.#place ?? placeOf(this.#innermost);
    this.#counts.set(place, (this.#counts.get(place) ?? 0) + 1);
    this.#samples++;
    this.#innermost = undefined;
    this.#place = undefined;
  }
}

function systemCallOf(symbol: string): Place | undefined {
  const entry = ENTRY.exec(symbol)?.[1];
  if (entry !== undefined) return SYSTEM_CALLS[entry] ?? 'other system calls';
  const after = AFTER_ENTRY.exec(symbol)?.[1] ?? '';
  return Object.hasOwn(SYSTEM_CALLS, after) ? SYSTEM_CALLS[after] : undefined;
}

/** Of a sample that is in no system call, by the program or library it is in. */
function placeOf(object: string): Place {
  if (/^\/.*\/perf-\d+\.map$/.test(object)) return 'TypeScript';
  if (object.endsWith('/aionbd.node')) return 'the addon';
  if (/\/node[^/]*$/.test(object)) return 'Node.js';
  // Switches of context and interrupts have no system call of their own.
  if (object.startsWith('[kernel') || object === '[unknown]') return 'other system calls';
  return 'libraries';
}
