/** Smallest block, and the alignment of every block. */
export const FRAME_BYTES = 4096;
/** Largest block. */
export const LARGEST_BLOCK_BYTES = 256 * 1024;
/** What the kernel may hold in one piece. */
export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;

const FRAME_SHIFT = 12;
const CHUNK_SHIFT = 18;
const FRAMES_PER_CHUNK = LARGEST_BLOCK_BYTES / FRAME_BYTES;
const CLASSES = CHUNK_SHIFT - FRAME_SHIFT + 1;
const NONE = -1;

/** Looks at a chunk, one a second, that find nothing taken from it and nothing given back, before its memory goes. */
const QUIET_LOOKS = 10;
/** Given back in one look at most: about half a millisecond's work. */
const MOST_RELEASED_BYTES = 8 * 1024 * 1024;
const MOST_RELEASES = 64;

/** Takes memory that nobody uses; what is in it afterwards is unspecified. */
export interface Releaser {
  release(offset: number, bytes: number): void;
  /** Whether the kernel may make a huge page of what is used of these huge pages and fill up the rest of it. */
  allowHugePages(offset: number, bytes: number, allowed: boolean): void;
}

/**
 * Hands out blocks of 4 KiB to 256 KiB (powers of two) of a fixed piece of memory, as numbers. Memory is divided into
 * chunks of 256 KiB; a chunk serves one size at a time and goes back when all of its blocks are free. The block that
 * was freed last is handed out first, while it is still in the processor's cache. Nothing here allocates.
 */
export class Slab {
  readonly totalBytes: number;
  #freeBytes: number;
  readonly #base: number;
  /** Next free block of the same chunk, by frame. */
  readonly #nextFree: Int32Array;
  readonly #chunkClass: Int8Array;
  readonly #chunkFreeHead: Int32Array;
  readonly #chunkUsed: Int32Array;
  /** Looks since a block of the chunk was taken or given; 0: what is free in it has not been touched since it was released. */
  readonly #chunkQuiet: Uint8Array;
  /** By huge page of memory: 1 while a part of it is released, which the kernel may not fill up again by itself. */
  readonly #hugePageSparse: Uint8Array;
  /** Chunks of one class that have free blocks, or unused chunks: doubly linked. */
  readonly #chunkNext: Int32Array;
  readonly #chunkPrevious: Int32Array;
  readonly #classHead = new Int32Array(CLASSES).fill(NONE);
  #unusedHead = NONE;

  /** `base` is a multiple of 4096 in bytes from the start of memory; `bytes` is rounded down to whole chunks. */
  constructor(base: number, bytes: number) {
    const chunks = Math.floor(bytes / LARGEST_BLOCK_BYTES);
    this.#base = base;
    this.totalBytes = chunks * LARGEST_BLOCK_BYTES;
    this.#freeBytes = this.totalBytes;
    this.#nextFree = new Int32Array(chunks * FRAMES_PER_CHUNK).fill(NONE);
    this.#chunkClass = new Int8Array(chunks).fill(NONE);
    this.#chunkFreeHead = new Int32Array(chunks).fill(NONE);
    this.#chunkUsed = new Int32Array(chunks);
    this.#chunkQuiet = new Uint8Array(chunks);
    this.#hugePageSparse = new Uint8Array(Math.ceil((base + this.totalBytes) / HUGE_PAGE_BYTES));
    this.#chunkNext = new Int32Array(chunks).fill(NONE);
    this.#chunkPrevious = new Int32Array(chunks).fill(NONE);
    for (let chunk = chunks - 1; chunk >= 0; chunk--) {
      this.#chunkNext[chunk] = this.#unusedHead;
      this.#unusedHead = chunk;
    }
  }

  /** Bytes not handed out; blocks count with their whole size. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** The size of the block that `bytes` would get. */
  static blockBytes(bytes: number): number {
    return FRAME_BYTES << classOf(bytes);
  }

  /** Offset of a block of at least `bytes` (1 to 256 KiB), or -1 when there is none. */
  take(bytes: number): number {
    const size = classOf(bytes);
    let chunk = this.#classHead[size]!;
    if (chunk === NONE) {
      if (this.#unusedHead === NONE) this.#retireIdle();
      chunk = this.#unusedHead;
      if (chunk === NONE) return -1;
      this.#unusedHead = this.#chunkNext[chunk]!;
      this.#cut(chunk, size);
    }
    const frame = this.#chunkFreeHead[chunk]!;
    const next = this.#nextFree[frame]!;
    this.#chunkFreeHead[chunk] = next;
    this.#chunkUsed[chunk]!++;
    this.#chunkQuiet[chunk] = 1;
    if (next === NONE) this.#unlink(chunk, size);
    this.#freeBytes -= FRAME_BYTES << size;
    return this.#base + frame * FRAME_BYTES;
  }

  /** Gives a block back; `block` is exactly what {@link take} returned. */
  give(block: number): void {
    const frame = (block - this.#base) / FRAME_BYTES;
    const chunk = (frame / FRAMES_PER_CHUNK) | 0;
    const size = this.#chunkClass[chunk]!;
    if (size === NONE) throw new Error(`block ${block} is not handed out`);
    const wasFull = this.#chunkFreeHead[chunk] === NONE;
    this.#nextFree[frame] = this.#chunkFreeHead[chunk]!;
    this.#chunkFreeHead[chunk] = frame;
    this.#chunkUsed[chunk]!--;
    this.#chunkQuiet[chunk] = 1;
    this.#freeBytes += FRAME_BYTES << size;
    if (wasFull) this.#link(chunk, size);
    // The last chunk of a class is kept, or a single request at a time would cut and give it back each time.
    if (
      this.#chunkUsed[chunk] === 0 &&
      !(this.#classHead[size] === chunk && this.#chunkNext[chunk] === NONE)
    ) {
      this.#unlink(chunk, size);
      this.#retire(chunk);
    }
  }

  /**
   * Gives back memory that is free and has not been used for a while. Call it once a second: chunks that have been left
   * alone for ten of its calls are released, a bounded number of bytes a call, and once until they are used again.
   */
  releaseQuiet(to: Releaser): void {
    let bytes = 0;
    let releases = 0;
    // Chunks that lie side by side and are free go in one piece.
    let start = 0;
    let end = 0;
    for (let chunk = 0; chunk < this.#chunkQuiet.length; chunk++) {
      const quiet = this.#chunkQuiet[chunk]!;
      if (quiet === 0) continue;
      if (quiet <= QUIET_LOOKS) {
        this.#chunkQuiet[chunk] = quiet + 1;
        continue;
      }
      if (bytes >= MOST_RELEASED_BYTES || releases >= MOST_RELEASES) continue;
      this.#chunkQuiet[chunk] = 0;
      const from = this.#base + chunk * LARGEST_BLOCK_BYTES;
      if (this.#chunkUsed[chunk] !== 0) {
        releases += this.#releaseFree(chunk, to);
        continue;
      }
      if (from !== end) {
        if (end > start) this.#release(start, end, to);
        start = from;
        releases++;
      }
      end = from + LARGEST_BLOCK_BYTES;
      bytes += LARGEST_BLOCK_BYTES;
    }
    if (end > start) this.#release(start, end, to);
    this.#allowHugePages(to);
  }

  /**
   * Releases from `start` to `end`. Of huge pages that lie in there in part the kernel is told first not to make huge
   * pages any more: it would give back what has just been taken, without anybody's use of it.
   */
  #release(start: number, end: number, to: Releaser): void {
    for (const edge of [start, end]) {
      const page = Math.floor(edge / HUGE_PAGE_BYTES);
      if (edge % HUGE_PAGE_BYTES === 0 || this.#hugePageSparse[page] === 1) continue;
      this.#hugePageSparse[page] = 1;
      to.allowHugePages(page * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES, false);
      this.#releaseUntouched(page, start, end, to);
    }
    to.release(start, end - start);
  }

  /**
   * The kernel filled a huge page up when the first byte of it was used; so chunks of it go that nobody has taken yet.
   * Those from `start` to `end` are about to.
   */
  #releaseUntouched(page: number, start: number, end: number, to: Releaser): void {
    const endChunk = this.#endOfHugePage(page);
    for (let chunk = this.#startOfHugePage(page); chunk < endChunk; chunk++) {
      const from = this.#base + chunk * LARGEST_BLOCK_BYTES;
      if (from >= start && from < end) continue;
      if (this.#isUntouched(chunk)) to.release(from, LARGEST_BLOCK_BYTES);
    }
  }

  /** Huge pages again where every chunk has been used since, or where nothing is left to make them of. */
  #allowHugePages(to: Releaser): void {
    for (let page = 0; page < this.#hugePageSparse.length; page++) {
      if (this.#hugePageSparse[page] === 0) continue;
      const start = this.#startOfHugePage(page);
      const end = this.#endOfHugePage(page);
      let used = true;
      // What lies beside the slab is somebody else's, and in use.
      let empty =
        page * HUGE_PAGE_BYTES >= this.#base && (page + 1) * HUGE_PAGE_BYTES <= this.#base + this.totalBytes;
      for (let chunk = start; chunk < end; chunk++) {
        if (this.#chunkQuiet[chunk] === 0) used = false;
        if (!this.#isUntouched(chunk)) empty = false;
      }
      if (!used && !empty) continue;
      this.#hugePageSparse[page] = 0;
      to.allowHugePages(page * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES, true);
    }
  }

  /** Nothing of it is taken, and nothing has been since it was released. */
  #isUntouched(chunk: number): boolean {
    return this.#chunkQuiet[chunk] === 0 && this.#chunkUsed[chunk] === 0;
  }

  /** The first chunk of which something lies in a huge page. */
  #startOfHugePage(page: number): number {
    return Math.max(0, Math.floor((page * HUGE_PAGE_BYTES - this.#base) / LARGEST_BLOCK_BYTES));
  }

  /** The one behind the last of which something lies in a huge page. */
  #endOfHugePage(page: number): number {
    const end = Math.ceil(((page + 1) * HUGE_PAGE_BYTES - this.#base) / LARGEST_BLOCK_BYTES);
    return Math.min(this.#chunkQuiet.length, end);
  }

  /** Releases the free blocks of a chunk in which others are taken. Returns in how many pieces. */
  #releaseFree(chunk: number, to: Releaser): number {
    const blockBytes = FRAME_BYTES << this.#chunkClass[chunk]!;
    const free: number[] = [];
    for (let frame = this.#chunkFreeHead[chunk]!; frame !== NONE; frame = this.#nextFree[frame]!)
      free.push(this.#base + frame * FRAME_BYTES);
    free.sort((a, b) => a - b);
    let pieces = 0;
    for (let i = 0; i < free.length; ) {
      const start = free[i]!;
      let end = start;
      while (free[i] === end) {
        end += blockBytes;
        i++;
      }
      this.#release(start, end, to);
      pieces++;
    }
    return pieces;
  }

  /** Divides an unused chunk into blocks of one class. */
  #cut(chunk: number, size: number): void {
    const step = 1 << size;
    const first = chunk * FRAMES_PER_CHUNK;
    const last = first + FRAMES_PER_CHUNK - step;
    for (let frame = first; frame < last; frame += step) this.#nextFree[frame] = frame + step;
    this.#nextFree[last] = NONE;
    this.#chunkFreeHead[chunk] = first;
    this.#chunkClass[chunk] = size;
    this.#chunkUsed[chunk] = 0;
    this.#link(chunk, size);
  }

  #retire(chunk: number): void {
    this.#chunkClass[chunk] = NONE;
    this.#chunkFreeHead[chunk] = NONE;
    this.#chunkNext[chunk] = this.#unusedHead;
    this.#chunkPrevious[chunk] = NONE;
    this.#unusedHead = chunk;
  }

  /** With no unused chunk left, the classes give up the empty ones that they kept. */
  #retireIdle(): void {
    for (let chunk = 0; chunk < this.#chunkUsed.length; chunk++) {
      const size = this.#chunkClass[chunk]!;
      if (size === NONE || this.#chunkUsed[chunk] !== 0) continue;
      this.#unlink(chunk, size);
      this.#retire(chunk);
    }
  }

  #link(chunk: number, size: number): void {
    const head = this.#classHead[size]!;
    this.#chunkNext[chunk] = head;
    this.#chunkPrevious[chunk] = NONE;
    if (head !== NONE) this.#chunkPrevious[head] = chunk;
    this.#classHead[size] = chunk;
  }

  #unlink(chunk: number, size: number): void {
    const next = this.#chunkNext[chunk]!;
    const previous = this.#chunkPrevious[chunk]!;
    if (previous === NONE) this.#classHead[size] = next;
    else this.#chunkNext[previous] = next;
    if (next !== NONE) this.#chunkPrevious[next] = previous;
  }
}

function classOf(bytes: number): number {
  return bytes <= FRAME_BYTES ? 0 : 32 - FRAME_SHIFT - Math.clz32(bytes - 1);
}
