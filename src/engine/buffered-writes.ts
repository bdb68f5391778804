import { DirtyBytes } from './dirty-bytes.js';
import { NO_JOB } from './gate.js';
import type { Ring } from './ring.js';
import type { Volume } from './volume.js';
import { WriteBack } from './write-back.js';

/** Where writes lie on their volumes, bytes, and who waits behind whom, by number of the job. */
export interface WriteQueue {
  readonly offset: Float64Array;
  readonly length: Float64Array;
  readonly next: Int32Array;
}

/**
 * Writes through the page cache, none of which begins as long as too much of its volume is dirty: those wait in their order until
 * some of it has been written back.
 */
export class BufferedWrites {
  readonly #queue: WriteQueue;
  readonly #start: (job: number, volume: Volume) => void;
  readonly #writeBack: WriteBack;

  /** `start` submits a write that may begin. Tags from `firstTag` on are those of writing back. */
  constructor(ring: Ring, queue: WriteQueue, firstTag: number, start: (job: number, volume: Volume) => void) {
    this.#queue = queue;
    this.#start = start;
    this.#writeBack = new WriteBack(ring, firstTag);
  }

  /** Whether the write has begun; otherwise it waits. */
  begin(job: number, volume: Volume): boolean {
    const { dirty } = volume;
    if (dirty && !dirty.enter(job, this.#dirtyBytes(job), this.#queue.next)) {
      this.#writeBack.proceed(volume);
      return false;
    }
    this.#start(job, volume);
    return true;
  }

  /** Gives up a write that waits. */
  leave(job: number, volume: Volume): void {
    volume.dirty!.leave(job, this.#queue.next);
  }

  /** A write has ended, in whatever way; only for volumes that have {@link Volume.dirty}. */
  written(job: number, volume: Volume, isDurable: boolean): void {
    volume.dirty!.written(this.#dirtyBytes(job), isDurable);
    if (isDurable) this.#goOn(volume);
    else this.#writeBack.proceed(volume);
  }

  /** Some of a volume has been written back. */
  wroteBack(tag: number, result: number): void {
    this.#goOn(this.#writeBack.complete(tag, result));
  }

  /** Less is dirty: what waited for that begins, as far as there is room. */
  #goOn(volume: Volume): void {
    const dirty = volume.dirty!;
    for (let job = dirty.firstWaiting; job !== NO_JOB; job = dirty.firstWaiting) {
      if (!dirty.release(this.#dirtyBytes(job), this.#queue.next)) break;
      this.#start(job, volume);
    }
    this.#writeBack.proceed(volume);
  }

  #dirtyBytes(job: number): number {
    return DirtyBytes.ofWrite(this.#queue.offset[job]!, this.#queue.length[job]!);
  }
}
