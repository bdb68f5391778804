// The reactor as it is, without src/engine/ring.ts in between: entries are laid out here once more, from addon/ring.h.

import { endianness } from 'node:os';
import type { Test } from 'tap';
import { loadAddon, type NativeReactor, type NativeReactorOptions } from '../../src/engine/addon.js';
import { KiB, MiB } from '../support/files.js';

export const READ = 1;
export const WRITE = 2;
export const SYNC = 3;
export const TRIM = 4;
export const ZERO = 5;
export const ADVISE = 6;
export const RECV = 7;
export const SEND = 8;
export const ACCEPT = 9;
export const CLOSE = 10;
export const CANCEL = 11;
export const EXTENTS = 12;
export const DISARM = 13;
export const WRITE_BACK = 14;

export const DURABLE = 1;
export const MAY_PUNCH = 2;
export const FAST = 4;

// From errno(3) on Linux, as results carry them.
export const EBADF = -9;
export const EAGAIN = -11;
export const EFAULT = -14;
export const EBUSY = -16;
export const EINVAL = -22;
export const EPIPE = -32;
export const EOPNOTSUPP = -95;
export const ECONNRESET = -104;
export const ECANCELED = -125;

const LITTLE = endianness() === 'LE';
const SUBMISSION_BYTES = 64;
const COMPLETION_BYTES = 16;

/** What an entry asks for; what is left out is 0. */
export interface Entry {
  readonly op: number;
  readonly target?: number;
  readonly tag?: number;
  readonly flags?: number;
  readonly buffer?: number;
  readonly length?: number;
  readonly offset?: number;
  readonly auxBuffer?: number;
  readonly auxLength?: number;
}

export interface Done {
  readonly op: number;
  readonly tag: number;
  readonly result: number;
}

export const SMALL: NativeReactorOptions = Object.freeze({
  memoryBytes: 4 * MiB,
  queueDepth: 64,
  submissionCapacity: 1024,
  completionCapacity: 1024,
  workerThreads: 4,
  reapInUserSpace: true,
  busyPollAuto: false,
  busyPollMicroseconds: 0,
});

/** One native reactor, and everything that it has reported. */
export class RawReactor {
  readonly native: NativeReactor;
  readonly bytes: Buffer;
  readonly done: Done[] = [];
  readonly options: NativeReactorOptions;
  /** Calls of onTurn so far. */
  turns = 0;
  /** Called within each turn, when its completions have been taken. */
  onTurn: (() => void) | undefined;
  readonly #submissions: DataView;
  readonly #completions: DataView;
  #count = 0;
  #nextTag = 1_000_000;
  #waiting: (() => void)[] = [];
  #closed: Promise<void> | undefined;

  constructor(options: Partial<NativeReactorOptions> = {}) {
    this.options = { ...SMALL, ...options };
    const { Reactor } = loadAddon();
    this.native = new Reactor(this.options, (count) => {
      this.turns++;
      this.#collect(count);
      this.onTurn?.();
    });
    this.bytes = Buffer.from(this.native.memory);
    this.#submissions = new DataView(this.native.submissions);
    this.#completions = new DataView(this.native.completions);
  }

  /** Writes an entry; its tag is the one given, or else one that was not used before. Returns the tag. */
  put(entry: Entry): number {
    const at = this.#count++ * SUBMISSION_BYTES;
    const tag = entry.tag ?? this.#nextTag++;
    const view = this.#submissions;
    view.setUint32(at, entry.op, LITTLE);
    view.setUint32(at + 4, entry.flags ?? 0, LITTLE);
    view.setInt32(at + 8, entry.target ?? 0, LITTLE);
    view.setUint32(at + 12, tag, LITTLE);
    view.setFloat64(at + 16, entry.buffer ?? 0, LITTLE);
    view.setFloat64(at + 24, entry.length ?? 0, LITTLE);
    view.setFloat64(at + 32, entry.offset ?? 0, LITTLE);
    view.setFloat64(at + 40, entry.auxBuffer ?? 0, LITTLE);
    view.setFloat64(at + 48, entry.auxLength ?? 0, LITTLE);
    return tag;
  }

  /** Hands over what was put and takes what is complete. Returns how many completions came at once. */
  submit(): number {
    const count = this.#count;
    this.#count = 0;
    const completed = this.native.submit(count);
    this.#collect(completed);
    return completed;
  }

  /** Hands over what was put; what is complete is left for later. */
  push(): void {
    const count = this.#count;
    this.#count = 0;
    this.native.push(count);
  }

  /** Resolves when `condition` holds, which is looked at after each batch of completions. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves to the result of the entry with this tag. */
  async result(tag: number): Promise<number> {
    let found: Done | undefined;
    await this.until(() => {
      found = this.done.find((d) => d.tag === tag);
      return found !== undefined;
    });
    return found!.result;
  }

  /** Submits the entries as one batch and resolves to their results, in the entries' order. */
  async run(...entries: readonly Entry[]): Promise<number[]> {
    const tags = entries.map((entry) => this.put(entry));
    this.submit();
    const wanted = new Set(tags);
    const from = this.done.length;
    const results = new Map<number, number>();
    let seen = Math.max(0, from - this.options.completionCapacity);
    await this.until(() => {
      for (; seen < this.done.length; seen++) {
        const { tag, result } = this.done[seen]!;
        if (wanted.has(tag)) results.set(tag, result);
      }
      return results.size === tags.length;
    });
    return tags.map((tag) => results.get(tag)!);
  }

  /** Submits one entry and resolves to its result. */
  async one(entry: Entry): Promise<number> {
    return (await this.run(entry))[0]!;
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.native.close(resolve));
    return this.#closed;
  }

  #collect(count: number): void {
    let batch = count;
    for (;;) {
      for (let i = 0; i < batch; i++) {
        const at = i * COMPLETION_BYTES;
        this.done.push({
          op: this.#completions.getUint32(at, LITTLE),
          tag: this.#completions.getUint32(at + 4, LITTLE),
          result: this.#completions.getFloat64(at + 8, LITTLE),
        });
      }
      if (batch < this.options.completionCapacity) break;
      batch = this.native.submit(0);
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A reactor that is closed when the test ends. */
export function openReactor(t: Test, options: Partial<NativeReactorOptions> = {}): RawReactor {
  const reactor = new RawReactor(options);
  t.teardown(() => reactor.close());
  return reactor;
}

export { KiB, MiB };
