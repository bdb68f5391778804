import type { Backing } from './backing.js';

/** Smallest granule; larger ones keep the maps of huge volumes small. */
const SMALLEST_GRANULE_BYTES = 64 * 1024;
/** Most granules of a volume: half a megabyte for each of the two maps. */
const MOST_GRANULES = 1 << 22;

/** What a {@link Volume} asks its map, and tells it. Offsets and ends in bytes. */
export interface ContentMap {
  readonly granuleBytes: number;
  readonly tracksHoles: boolean;
  /** Whether {@link zeroed} is of use. */
  readonly remembersZeroes: boolean;
  /** Whether anything is known to be a hole. */
  readonly hasHoles: boolean;
  /** Somebody else writes to the file: nothing is known of holes any more, and never will be. */
  distrust(): void;
  /** True once, where the file is worth being scanned for holes: then it is up to the caller to do so. */
  claimScan(): boolean;
  /** A write of `length` bytes (1 or more) at `offset` starts. */
  written(offset: number, length: number): void;
  /** Something that makes zeroes, or gives blocks back, starts. */
  changed(offset: number, length: number): void;
  /** The range reads as zeroes, for certain. Granules that are not whole in it are left alone. */
  zeroed(offset: number, end: number): void;
  /** The range was a hole at some moment since the file was opened. */
  foundHole(offset: number, end: number): void;
  /** Whether the byte at `offset` is known to be in a hole. */
  isHole(offset: number): boolean;
  /** End of the run of granules that are known to be holes, or not, as the one at `offset`; `end` at most. */
  holeRunEnd(offset: number, end: number, isHole: boolean): number;
  isChanged(offset: number): boolean;
  /** End of the run of granules that were changed, or not, as the one at `offset`; `end` at most. */
  changedRunEnd(offset: number, end: number, isChanged: boolean): number;
}

export function granuleBytesOf(sizeBytes: number): number {
  let granuleBytes = SMALLEST_GRANULE_BYTES;
  while (sizeBytes > granuleBytes * MOST_GRANULES) granuleBytes *= 2;
  return granuleBytes;
}

/** Whether what is seen of a file's holes stays true. A block device may be written by whatever lies below it. */
export function tracksHoles(backing: Backing): boolean {
  return backing.locked && !backing.blockDevice;
}

/**
 * What is known of a volume without asking the disk, one bit per granule (64 KiB; more where the volume is larger than
 * 256 GiB): whether a client has changed it since the file was opened, and whether all of it is known to read as zeroes.
 *
 * The second is safe to believe only while nobody else writes the file, so it is kept only where {@link tracksHoles}. A
 * granule loses it when a write to it *starts*; it gets it when zeroing is complete that no write has met, or from a
 * scan of the file, which may be stale wherever something was changed, and so counts only where nothing was.
 */
export class GranuleMap implements ContentMap {
  readonly granuleBytes: number;
  #tracksHoles: boolean;
  readonly #sizeBytes: number;
  readonly #granules: number;
  /** Its reciprocal, exact, since it is a power of two. */
  readonly #perByte: number;
  readonly #changed: Int32Array;
  readonly #holes: Int32Array;
  #holeCount = 0;
  #scanned = false;

  constructor(sizeBytes: number, tracksHoles: boolean) {
    this.granuleBytes = granuleBytesOf(sizeBytes);
    this.#tracksHoles = tracksHoles;
    this.#sizeBytes = sizeBytes;
    this.#perByte = 1 / this.granuleBytes;
    this.#granules = Math.ceil(sizeBytes * this.#perByte);
    const words = Math.ceil(this.#granules / 32);
    this.#changed = new Int32Array(words);
    this.#holes = new Int32Array(tracksHoles ? words : 0);
  }

  get tracksHoles(): boolean {
    return this.#tracksHoles;
  }

  get remembersZeroes(): boolean {
    return this.#tracksHoles;
  }

  claimScan(): boolean {
    if (this.#scanned || !this.#tracksHoles) return false;
    this.#scanned = true;
    return true;
  }

  distrust(): void {
    this.#tracksHoles = false;
    this.#holeCount = 0;
  }

  get hasHoles(): boolean {
    return this.#holeCount > 0;
  }

  written(offset: number, length: number): void {
    const last = ((offset + length - 1) * this.#perByte) | 0;
    for (let granule = (offset * this.#perByte) | 0; granule <= last; granule++) {
      const word = granule >> 5;
      const bit = 1 << (granule & 31);
      this.#changed[word]! |= bit;
      if (this.#holeCount > 0 && (this.#holes[word]! & bit) !== 0) {
        this.#holes[word]! ^= bit;
        this.#holeCount--;
      }
    }
  }

  changed(offset: number, length: number): void {
    const last = ((offset + length - 1) * this.#perByte) | 0;
    for (let granule = (offset * this.#perByte) | 0; granule <= last; granule++) {
      this.#changed[granule >> 5]! |= 1 << (granule & 31);
    }
  }

  zeroed(offset: number, end: number): void {
    this.#addHoles(offset, end, false);
  }

  foundHole(offset: number, end: number): void {
    this.#addHoles(offset, end, true);
  }

  #addHoles(offset: number, end: number, unchangedOnly: boolean): void {
    if (!this.#tracksHoles) return;
    const first = Math.ceil(offset * this.#perByte);
    // The last granule is whole although the volume ends inside it.
    const behind = end === this.#sizeBytes ? this.#granules : Math.floor(end * this.#perByte);
    for (let granule = first; granule < behind; ) {
      // A word at a time: a file of hundreds of GiB may be one hole.
      const word = granule >> 5;
      const from = granule & 31;
      const count = Math.min(32 - from, behind - granule);
      let bits = count === 32 ? -1 : ((1 << count) - 1) << from;
      if (unchangedOnly) bits &= ~this.#changed[word]!;
      bits &= ~this.#holes[word]!;
      this.#holes[word]! |= bits;
      this.#holeCount += bitCount(bits);
      granule += count;
    }
  }

  isHole(offset: number): boolean {
    if (this.#holeCount === 0) return false;
    const granule = (offset * this.#perByte) | 0;
    return (this.#holes[granule >> 5]! & (1 << (granule & 31))) !== 0;
  }

  holeRunEnd(offset: number, end: number): number {
    return this.#holeCount === 0 ? end : this.#runEnd(this.#holes, offset, end);
  }

  isChanged(offset: number): boolean {
    const granule = (offset * this.#perByte) | 0;
    return (this.#changed[granule >> 5]! & (1 << (granule & 31))) !== 0;
  }

  changedRunEnd(offset: number, end: number): number {
    return this.#runEnd(this.#changed, offset, end);
  }

  #runEnd(bits: Int32Array, offset: number, end: number): number {
    const behind = Math.ceil(end * this.#perByte);
    let granule = (offset * this.#perByte) | 0;
    const isSet = (bits[granule >> 5]! & (1 << (granule & 31))) !== 0;
    const whole = isSet ? -1 : 0;
    granule++;
    while (granule < behind) {
      const word = bits[granule >> 5]!;
      if ((granule & 31) === 0 && word === whole) {
        granule += 32;
        continue;
      }
      if (((word & (1 << (granule & 31))) !== 0) !== isSet) return granule * this.granuleBytes;
      granule++;
    }
    return end;
  }
}

function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
