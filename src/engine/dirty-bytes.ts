import { NO_JOB } from './gate.js';
import { FRAME_BYTES } from './slab.js';

/**
 * Most that writes through the page cache of one volume may leave there unwritten, bytes. A client that writes faster
 * than the disk does fills memory otherwise, up to what the kernel allows all processes together (a fifth of it).
 */
export const DIRTY_LIMIT_BYTES = 128 * 1024 * 1024;

/**
 * An upper bound of what is dirty of one file: each write counts in whole pages, also one to a page that is dirty already.
 * A *cycle* writes back what there is; what was complete when it began is clean when it ends. See {@link WriteBack}.
 */
export class DirtyBytes {
  /** The file for cycles, as numbered by the addon. */
  readonly file: number;
  #limitBytes: number;
  #writingBytes = 0;
  #freshBytes = 0;
  #leavingBytes = 0;
  #firstWaiting = NO_JOB;
  #lastWaiting = NO_JOB;
  /** Whether a cycle runs, or waits for its turn. */
  inCycle = false;

  constructor(file: number, limitBytes = DIRTY_LIMIT_BYTES) {
    this.file = file;
    this.#limitBytes = limitBytes;
  }

  /** What a write leaves dirty, bytes. */
  static ofWrite(offset: number, length: number): number {
    return (
      Math.ceil((offset + length) / FRAME_BYTES) * FRAME_BYTES -
      Math.floor(offset / FRAME_BYTES) * FRAME_BYTES
    );
  }

  /** At most what is dirty now, and what writes at work may add. */
  get bytes(): number {
    return this.#writingBytes + this.#freshBytes + this.#leavingBytes;
  }

  /**
   * Half of what is allowed is written back while the other half is filled. Nobody waits for nothing: a write is less than
   * half, so one that waits when all others have ended has at least half in front of it.
   */
  get isCycleDue(): boolean {
    return !this.inCycle && this.#freshBytes >= this.#limitBytes / 2;
  }

  /** A write begins: true. Or has to wait, as do those that came before it: false. */
  enter(job: number, bytes: number, next: Int32Array): boolean {
    if (this.#firstWaiting === NO_JOB && this.bytes + bytes <= this.#limitBytes) {
      this.#writingBytes += bytes;
      return true;
    }
    next[job] = NO_JOB;
    if (this.#firstWaiting === NO_JOB) this.#firstWaiting = job;
    else next[this.#lastWaiting] = job;
    this.#lastWaiting = job;
    return false;
  }

  /** The first of those that wait, or NO_JOB. */
  get firstWaiting(): number {
    return this.#firstWaiting;
  }

  /** Whether the first of those that wait may begin; then it does. */
  release(bytes: number, next: Int32Array): boolean {
    if (this.bytes + bytes > this.#limitBytes) return false;
    this.leave(this.#firstWaiting, next);
    this.#writingBytes += bytes;
    return true;
  }

  /** Gives up a job that waits. */
  leave(job: number, next: Int32Array): void {
    let before = NO_JOB;
    for (let other = this.#firstWaiting; other !== job; other = next[other]!) before = other;
    if (before === NO_JOB) this.#firstWaiting = next[job]!;
    else next[before] = next[job]!;
    if (this.#lastWaiting === job) this.#lastWaiting = before;
  }

  /** A write has ended, in whatever way; a durable one has left nothing behind. */
  written(bytes: number, isDurable: boolean): void {
    this.#writingBytes -= bytes;
    if (!isDurable) this.#freshBytes += bytes;
  }

  beginCycle(): void {
    this.#leavingBytes = this.#freshBytes;
    this.#freshBytes = 0;
  }

  endCycle(): void {
    this.#leavingBytes = 0;
    this.inCycle = false;
  }

  /** The file can't be written back early: nobody waits any more. */
  giveUp(): void {
    this.#limitBytes = Number.POSITIVE_INFINITY;
  }
}
