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

/** Frames in a huge page, as a shift. */
const HUGE_PAGE_SHIFT = 9;
/** Looks at a huge page, one a second, that find nothing taken from it and nothing given back, before its memory goes. */
const QUIET_LOOKS = 10;
/** Huge pages given back in one look at most: about half a millisecond's work. */
const MOST_RELEASED_PAGES = 4;
/** Huge pages allowed again in one look at most: each changes the kernel's list of mappings. */
const MOST_ALLOWED = 64;
/** Stops after a page with that many pieces, about. */
const MOST_RELEASES = 64;

interface Piece {
  readonly start: number;
  end: number;
}

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
  readonly #baseFrame: number;
  /** By huge page of memory: looks since a block in it was taken or given; 0: not since it was released, or never. */
  readonly #pageQuiet: Uint8Array;
  /** By huge page: 1 while a part of it is released, which the kernel may not fill up by itself. */
  readonly #pageSparse: Uint8Array;
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
    this.#baseFrame = base / FRAME_BYTES;
    const pages = Math.ceil((base + this.totalBytes) / HUGE_PAGE_BYTES);
    this.#pageQuiet = new Uint8Array(pages);
    this.#pageSparse = new Uint8Array(pages);
    // Whoever uses what lies around the slab brings the huge pages that both are in.
    if (base % HUGE_PAGE_BYTES !== 0) this.#pageQuiet[Math.floor(base / HUGE_PAGE_BYTES)] = 1;
    if ((base + this.totalBytes) % HUGE_PAGE_BYTES !== 0) this.#pageQuiet[pages - 1] = 1;
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
    this.#touch(frame, 1 << size);
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
    this.#touch(frame, 1 << size);
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
   * Gives back memory that is free and has not been used for a while. Call it once a second: what is free of a huge page
   * of which nothing has been taken or given back for ten of its calls is released, a bounded number of bytes a call, and
   * once until something of it is used again. Of a huge page that goes in part the kernel may make none until then: it
   * would fill it up within a minute, without anybody's use of it.
   */
  releaseQuiet(to: Releaser): void {
    let allowed = 0;
    let pages = 0;
    let pieces = 0;
    for (let page = 0; page < this.#pageQuiet.length; page++) {
      const quiet = this.#pageQuiet[page]!;
      if (quiet === 0) continue;
      if (quiet <= QUIET_LOOKS) {
        this.#pageQuiet[page] = quiet + 1;
        if (allowed < MOST_ALLOWED && this.#allowHugePage(page, true, to)) allowed++;
        continue;
      }
      if (pages >= MOST_RELEASED_PAGES || pieces >= MOST_RELEASES) continue;
      this.#pageQuiet[page] = 0;
      pages++;
      pieces += this.#releasePage(page, to);
    }
  }

  /** Releases what is free of a huge page. Returns in how many pieces. */
  #releasePage(page: number, to: Releaser): number {
    const start = page * HUGE_PAGE_BYTES;
    const end = start + HUGE_PAGE_BYTES;
    const pieces = this.#freePieces(start, end);
    if (pieces.length === 0) return 0;
    this.#allowHugePage(page, pieces[0]!.start === start && pieces[0]!.end === end, to);
    for (const piece of pieces) to.release(piece.start, piece.end - piece.start);
    return pieces.length;
  }

  /** True if that was not so already. */
  #allowHugePage(page: number, allowed: boolean, to: Releaser): boolean {
    const sparse = allowed ? 0 : 1;
    if (this.#pageSparse[page] === sparse) return false;
    this.#pageSparse[page] = sparse;
    to.allowHugePages(page * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES, allowed);
    return true;
  }

  /** What is free from `start` to `end`, chunks that nobody has taken yet included: in order, and neighbours in one. */
  #freePieces(start: number, end: number): Piece[] {
    const pieces: Piece[] = [];
    const add = (from: number, bytes: number): void => {
      const piece = { start: Math.max(from, start), end: Math.min(from + bytes, end) };
      if (piece.end <= piece.start) return;
      const last = pieces.at(-1);
      if (last?.end === piece.start) last.end = piece.end;
      else pieces.push(piece);
    };
    const first = Math.max(0, Math.floor((start - this.#base) / LARGEST_BLOCK_BYTES));
    const endChunk = Math.min(this.#chunkUsed.length, Math.ceil((end - this.#base) / LARGEST_BLOCK_BYTES));
    for (let chunk = first; chunk < endChunk; chunk++) {
      if (this.#chunkUsed[chunk] === 0) add(this.#base + chunk * LARGEST_BLOCK_BYTES, LARGEST_BLOCK_BYTES);
      else for (const block of this.#freeBlocks(chunk)) add(block, FRAME_BYTES << this.#chunkClass[chunk]!);
    }
    return pieces;
  }

  /** The free blocks of a chunk of which others are taken, in order. */
  #freeBlocks(chunk: number): number[] {
    const free: number[] = [];
    for (let frame = this.#chunkFreeHead[chunk]!; frame !== NONE; frame = this.#nextFree[frame]!)
      free.push(this.#base + frame * FRAME_BYTES);
    return free.sort((a, b) => a - b);
  }

  /** Something of these frames of the slab has been taken or given back. */
  #touch(frame: number, frames: number): void {
    const first = this.#baseFrame + frame;
    this.#pageQuiet[first >> HUGE_PAGE_SHIFT] = 1;
    this.#pageQuiet[(first + frames - 1) >> HUGE_PAGE_SHIFT] = 1;
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
