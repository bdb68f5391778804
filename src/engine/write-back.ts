import { OP_WRITE_BACK, type Ring } from './ring.js';
import type { Volume } from './volume.js';

/** Cycles at work at once. Each keeps a worker waiting for a disk, and there have to be others for reads. */
const MOST_CYCLES = 4;

const EINVAL = 22;
const ESPIPE = 29;
const ENOSYS = 38;
const EOPNOTSUPP = 95;

/**
 * Keeps what is dirty of each volume below its limit (see {@link DirtyBytes}): has it written back by workers before
 * the kernel would, and lets writes wait while the disk is behind. Reads never wait.
 *
 * The tag of a cycle is its file's number behind `firstTag`.
 */
export class WriteBack {
  readonly #ring: Ring;
  readonly #firstTag: number;
  /** By file: of those whose cycle runs. */
  readonly #volumes: (Volume | undefined)[] = [];
  readonly #queue: Volume[] = [];
  #running = 0;

  constructor(ring: Ring, firstTag: number) {
    this.#ring = ring;
    this.#firstTag = firstTag;
  }

  /** Begins a cycle if it is time for one; call it after every change of {@link Volume.dirty}. */
  proceed(volume: Volume): void {
    const dirty = volume.dirty!;
    if (!dirty.isCycleDue) return;
    dirty.inCycle = true;
    if (this.#running < MOST_CYCLES) this.#begin(volume);
    else this.#queue.push(volume);
  }

  /**
   * A cycle has ended. Returns its volume, whose writes may go on. An error means that data is lost, and every later flush
   * of the volume fails.
   */
  complete(tag: number, result: number): Volume {
    const file = tag - this.#firstTag;
    const volume = this.#volumes[file]!;
    const dirty = volume.dirty!;
    this.#volumes[file] = undefined;
    dirty.endCycle();
    if (result === -EINVAL || result === -ESPIPE || result === -ENOSYS || result === -EOPNOTSUPP) {
      dirty.giveUp();
    } else if (result < 0 && volume.syncErrno === 0) {
      volume.syncErrno = -result;
    }
    this.#running--;
    const next = this.#queue.shift();
    if (next) this.#begin(next);
    return volume;
  }

  #begin(volume: Volume): void {
    const dirty = volume.dirty!;
    this.#running++;
    this.#volumes[dirty.file] = volume;
    dirty.beginCycle();
    this.#ring.file(OP_WRITE_BACK, dirty.file, 0, 0, 0, 0, this.#firstTag + dirty.file);
  }
}
