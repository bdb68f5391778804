import { OP_READ, type Ring } from './ring.js';
import type { Volume } from './volume.js';

const EIO = 5;

/** {@link Fills.filled}: the other one of two units is still being read. */
export const STILL_FILLING = -1;

/** Where jobs lie on the volume and in memory, bytes, by their number. */
export interface Blocks {
  readonly block: Float64Array;
  readonly offset: Float64Array;
  readonly length: Float64Array;
}

/**
 * What an unaligned write lacks of whole units. Its block holds the units with the data in their middle, and behind them room for
 * what the first and the last unit hold on disk; that is read, and the outer parts of it go around the data.
 */
export class Fills {
  readonly #ring: Ring;
  readonly #blocks: Blocks;
  /** Reads that have not ended. */
  readonly #left: Uint8Array;
  /** What went wrong first, or at last: a positive errno. */
  readonly #errno: Int32Array;

  constructor(ring: Ring, blocks: Blocks, jobs: number) {
    this.#ring = ring;
    this.#blocks = blocks;
    this.#left = new Uint8Array(jobs);
    this.#errno = new Int32Array(jobs);
  }

  /** Reads the outer units. */
  begin(job: number, volume: Volume): void {
    const unit = volume.unitBytes;
    const offset = this.#blocks.offset[job]!;
    const end = offset + this.#blocks.length[job]!;
    const start = volume.unitStart(offset);
    const lastUnit = volume.unitStart(end);
    const scratch = this.#blocks.block[job]! + volume.unitEnd(end) - start;
    this.#errno[job] = 0;
    const needsFirst = offset !== start;
    const needsLast = end !== lastUnit && !(needsFirst && lastUnit === start);
    this.#left[job] = (needsFirst ? 1 : 0) + (needsLast ? 1 : 0);
    if (needsFirst) this.#ring.file(OP_READ, volume.directFile, scratch, unit, start, 0, job);
    if (needsLast) {
      this.#ring.file(OP_READ, volume.directFile, scratch + (needsFirst ? unit : 0), unit, lastUnit, 0, job);
    }
  }

  /** The job is not to go on when its units have been read, but to end with `errno`. */
  fail(job: number, errno: number): void {
    this.#errno[job] = errno;
  }

  /** A read has ended: STILL_FILLING, or a positive errno, or 0 and the units in the block are whole. */
  filled(job: number, volume: Volume, result: number): number {
    if (result < 0) this.#errno[job] = -result;
    else if (result < volume.unitBytes) this.#errno[job] = EIO;
    if (--this.#left[job]! > 0) return STILL_FILLING;
    if (this.#errno[job] === 0) this.#merge(job, volume);
    return this.#errno[job]!;
  }

  #merge(job: number, volume: Volume): void {
    const unit = volume.unitBytes;
    const offset = this.#blocks.offset[job]!;
    const end = offset + this.#blocks.length[job]!;
    const start = volume.unitStart(offset);
    const lastUnit = volume.unitStart(end);
    const block = this.#blocks.block[job]!;
    const coveringEnd = volume.unitEnd(end);
    const scratch = block + coveringEnd - start;
    const { bytes } = this.#ring;
    if (offset !== start) bytes.copyWithin(block, scratch, scratch + offset - start);
    if (end !== coveringEnd) {
      const unitOnDisk = offset !== start && lastUnit !== start ? scratch + unit : scratch;
      bytes.copyWithin(block + end - start, unitOnDisk + end - lastUnit, unitOnDisk + unit);
    }
  }
}
