// The file behind a simulated reactor: its bytes, which of its blocks are allocated, and what clients have changed.

import { EXTENT_DATA, EXTENT_HOLE } from '../../src/engine/ring.js';

const BLOCK_BYTES = 4096;
/** How much is compared at once. */
const STEP_BYTES = 512;
const ZEROES = Buffer.alloc(BLOCK_BYTES);

export interface FoundExtent {
  readonly length: number;
  readonly kind: number;
}

export class SimulatedDisk {
  /** Whoever writes to it directly has done so before the file was opened. */
  readonly image: Buffer;
  /** 1 for each byte that a client has changed, as far as anybody can know. */
  readonly changed: Uint8Array;
  /** Told of each part that has new contents, when it has them. */
  onChange: (start: number, end: number) => void = () => {};
  readonly #allocated: Uint8Array;

  constructor(sizeBytes: number) {
    this.image = Buffer.alloc(sizeBytes);
    this.changed = new Uint8Array(sizeBytes);
    this.#allocated = new Uint8Array(Math.ceil(sizeBytes / BLOCK_BYTES));
  }

  /** What goes past the end is lost. */
  write(offset: number, bytes: Uint8Array): void {
    const end = Math.min(offset + bytes.length, this.image.length);
    if (end <= offset) return;
    const { image } = this;
    // Around what a client writes, a whole unit is written with what was there.
    let first = offset;
    let last = end;
    while (first + STEP_BYTES <= last && this.#holds(first, bytes, offset)) first += STEP_BYTES;
    while (last - STEP_BYTES >= first && this.#holds(last - STEP_BYTES, bytes, offset)) last -= STEP_BYTES;
    while (first < last && image[first] === bytes[first - offset]) first++;
    while (first < last && image[last - 1] === bytes[last - 1 - offset]) last--;
    this.changed.fill(1, first, last);
    image.set(bytes.subarray(0, end - offset), offset);
    this.#allocated.fill(1, Math.floor(offset / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES));
    this.onChange(offset, end);
  }

  /** Whether a step at `at` is what `bytes`, which begin at `offset`, have there. */
  #holds(at: number, bytes: Uint8Array, offset: number): boolean {
    return this.image.compare(bytes, at - offset, at - offset + STEP_BYTES, at, at + STEP_BYTES) === 0;
  }

  /** Punching gives whole blocks back; otherwise all of them stay, or are taken. */
  zero(offset: number, length: number, punches: boolean): void {
    const end = Math.min(offset + length, this.image.length);
    const { image, changed } = this;
    for (let at = offset; at < end; at++) if (image[at] !== 0) changed[at] = 1;
    image.fill(0, offset, end);
    const last = end === this.image.length ? this.#allocated.length : Math.floor(end / BLOCK_BYTES);
    if (punches) this.#allocated.fill(0, Math.ceil(offset / BLOCK_BYTES), Math.max(last, 0));
    else this.#allocated.fill(1, Math.floor(offset / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES));
    this.onChange(offset, end);
  }

  /** Clients know that this was changed. */
  markChanged(offset: number, length: number): void {
    this.changed.fill(1, offset, offset + length);
  }

  /** What the range consists of, neighbours differing, up to `most` extents. */
  extents(offset: number, length: number, most: number): FoundExtent[] {
    const end = Math.min(offset + length, this.image.length);
    const found: { length: number; kind: number }[] = [];
    for (let at = offset; at < end; ) {
      const block = Math.floor(at / BLOCK_BYTES);
      const next = Math.min((block + 1) * BLOCK_BYTES, end);
      const kind = this.#isHole(block) ? EXTENT_HOLE : EXTENT_DATA;
      const last = found.at(-1);
      if (last?.kind === kind) last.length += next - at;
      else if (found.length === most) break;
      else found.push({ length: next - at, kind });
      at = next;
    }
    return found;
  }

  /** A block with data in it that was put there directly is none. */
  #isHole(block: number): boolean {
    if (this.#allocated[block] === 1) return false;
    const bytes = this.image.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    return bytes.equals(ZEROES.subarray(0, bytes.length));
  }
}
