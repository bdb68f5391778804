import { type ContentMap, granuleBytesOf } from './granule-map.js';

// The words that say something about the map as a whole.
const SCAN_CLAIMED = 0;
const DISTRUSTED = 1;
const HOLES_FOUND = 2;
const WORDS = 3;

/** The memory of a {@link SharedMap}, zero at first. */
export interface SharedMapMemory {
  readonly words: SharedArrayBuffer;
  /** A bit for each granule. */
  readonly changed: SharedArrayBuffer;
  readonly holes: SharedArrayBuffer;
}

/**
 * What several threads know of a volume in common. Changes are noted as in a {@link GranuleMap}; of holes only those are
 * known that a scan has found, and only where nothing was changed since the file was opened. So no order between a scan
 * and a write matters: a write marks its granules before it is submitted, and a mark is never taken back.
 */
export class SharedMap implements ContentMap {
  readonly granuleBytes: number;
  readonly remembersZeroes = false;
  readonly #mayTrackHoles: boolean;
  readonly #sizeBytes: number;
  readonly #granules: number;
  readonly #perByte: number;
  readonly #words: Int32Array;
  readonly #changed: Int32Array;
  readonly #holes: Int32Array;

  static allocate(sizeBytes: number): SharedMapMemory {
    const bytes = Math.ceil(sizeBytes / granuleBytesOf(sizeBytes) / 32) * 4;
    return {
      words: new SharedArrayBuffer(WORDS * 4),
      changed: new SharedArrayBuffer(bytes),
      holes: new SharedArrayBuffer(bytes),
    };
  }

  constructor(memory: SharedMapMemory, sizeBytes: number, tracksHoles: boolean) {
    this.granuleBytes = granuleBytesOf(sizeBytes);
    this.#mayTrackHoles = tracksHoles;
    this.#sizeBytes = sizeBytes;
    this.#perByte = 1 / this.granuleBytes;
    this.#granules = Math.ceil(sizeBytes * this.#perByte);
    this.#words = new Int32Array(memory.words);
    this.#changed = new Int32Array(memory.changed);
    this.#holes = new Int32Array(memory.holes);
  }

  get tracksHoles(): boolean {
    return this.#mayTrackHoles && Atomics.load(this.#words, DISTRUSTED) === 0;
  }

  /** On all threads. */
  distrust(): void {
    Atomics.store(this.#words, DISTRUSTED, 1);
  }

  /** True for one of all threads. */
  claimScan(): boolean {
    return this.tracksHoles && Atomics.compareExchange(this.#words, SCAN_CLAIMED, 0, 1) === 0;
  }

  get hasHoles(): boolean {
    return Atomics.load(this.#words, HOLES_FOUND) !== 0 && this.tracksHoles;
  }

  written(offset: number, length: number): void {
    this.changed(offset, length);
  }

  changed(offset: number, length: number): void {
    const last = ((offset + length - 1) * this.#perByte) | 0;
    for (let granule = (offset * this.#perByte) | 0; granule <= last; granule++) {
      const word = granule >> 5;
      const bit = 1 << (granule & 31);
      if ((Atomics.load(this.#changed, word) & bit) === 0) Atomics.or(this.#changed, word, bit);
    }
  }

  /** Not remembered: some other thread may be writing there. */
  zeroed(): void {}

  foundHole(offset: number, end: number): void {
    if (!this.tracksHoles) return;
    const first = Math.ceil(offset * this.#perByte);
    // The last granule is whole although the volume ends inside it.
    const behind = end === this.#sizeBytes ? this.#granules : Math.floor(end * this.#perByte);
    if (first < behind) Atomics.store(this.#words, HOLES_FOUND, 1);
    for (let granule = first; granule < behind; ) {
      const from = granule & 31;
      const count = Math.min(32 - from, behind - granule);
      Atomics.or(this.#holes, granule >> 5, count === 32 ? -1 : ((1 << count) - 1) << from);
      granule += count;
    }
  }

  isHole(offset: number): boolean {
    if (!this.hasHoles) return false;
    const granule = (offset * this.#perByte) | 0;
    return (this.#holesOf(granule >> 5) & (1 << (granule & 31))) !== 0;
  }

  holeRunEnd(offset: number, end: number, isHole: boolean): number {
    return isHole || this.hasHoles ? this.#runEnd(true, isHole, offset, end) : end;
  }

  isChanged(offset: number): boolean {
    const granule = (offset * this.#perByte) | 0;
    return (Atomics.load(this.#changed, granule >> 5) & (1 << (granule & 31))) !== 0;
  }

  changedRunEnd(offset: number, end: number, isChanged: boolean): number {
    return this.#runEnd(false, isChanged, offset, end);
  }

  /** The granules of a word that are known to be holes. */
  #holesOf(word: number): number {
    return Atomics.load(this.#holes, word) & ~Atomics.load(this.#changed, word);
  }

  #runEnd(ofHoles: boolean, isSet: boolean, offset: number, end: number): number {
    const behind = Math.ceil(end * this.#perByte);
    let granule = (offset * this.#perByte) | 0;
    let index = granule >> 5;
    let word = ofHoles ? this.#holesOf(index) : Atomics.load(this.#changed, index);
    const whole = isSet ? -1 : 0;
    granule++;
    while (granule < behind) {
      if (granule >> 5 !== index) {
        index = granule >> 5;
        word = ofHoles ? this.#holesOf(index) : Atomics.load(this.#changed, index);
        if (word === whole) {
          granule += 32;
          continue;
        }
      }
      if (((word & (1 << (granule & 31))) !== 0) !== isSet) return granule * this.granuleBytes;
      granule++;
    }
    return end;
  }
}
