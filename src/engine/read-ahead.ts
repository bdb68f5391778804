/** Streams that are followed at once: as many as a client copies with, and a few connections beside it. */
const STREAMS = 8;
/** Longer reads keep the disk busy by themselves, and cost less if the kernel chooses the pages that they need. */
const LONGEST_READ_BYTES = 64 * 1024;
/** So many reads in a row make a stream. Random readers get there by chance only. */
const SEQUENTIAL_READS = 4;
/** A read that comes late, out of order, is still part of a stream, this far behind its end, bytes. */
const LATE_BYTES = 1024 * 1024;
/** And one that comes early may leave out so many times its length; more is a reader that skips. */
const EARLY_LENGTHS = 4;
const FIRST_WINDOW_BYTES = 256 * 1024;
/** Most that is read ahead of one stream, bytes. */
export const LARGEST_WINDOW_BYTES = 8 * 1024 * 1024;
/** A stream that so many other reads have passed by is over. */
const FORGOTTEN_AFTER_READS = 4096;

/**
 * Finds sequential streams among the reads of a volume that go through the page cache, and says what to read ahead of
 * them. The kernel does so too, but loses a stream whose reads come from several threads, and never sees what was
 * served from the cache without waiting.
 *
 * The window in front of a stream begins small, doubles with each step, and is gone with the first jump.
 */
export class ReadAhead {
  readonly #sizeBytes: number;
  /** By stream: where its next read begins if it goes on; how far was read ahead, and in what window. */
  readonly #end = new Float64Array(STREAMS).fill(Number.NEGATIVE_INFINITY);
  readonly #aheadEnd = new Float64Array(STREAMS);
  readonly #windowBytes = new Float64Array(STREAMS);
  /** By stream: reads in a row, and when the last of them came, counted in reads of the volume. */
  readonly #reads = new Int32Array(STREAMS);
  readonly #lastRead = new Float64Array(STREAMS);
  #clock = 0;
  #latest = 0;

  /** Whether what was advised last is still being worked on. */
  busy = false;
  /** What to read ahead, set by {@link follow}, bytes. */
  offset = 0;
  length = 0;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** Sees a read. True if {@link length} bytes at {@link offset} should be read ahead, by whoever calls this. */
  follow(offset: number, length: number): boolean {
    if (length > LONGEST_READ_BYTES) return false;
    this.#clock++;
    const stream = this.#find(offset, length);
    if (stream < 0) {
      this.#begin(offset + length);
      return false;
    }
    this.#latest = stream;
    this.#lastRead[stream] = this.#clock;
    const end = offset + length;
    if (end <= this.#end[stream]!) return false;
    this.#end[stream] = end;
    if (++this.#reads[stream]! < SEQUENTIAL_READS || this.busy) return false;
    return this.#step(stream, end);
  }

  #step(stream: number, end: number): boolean {
    const start = Math.max(this.#aheadEnd[stream]!, end);
    const window = this.#windowBytes[stream]!;
    if (start - end > window / 2) return false;
    const target = Math.min(end + window, this.#sizeBytes);
    if (target <= start) return false;
    this.#windowBytes[stream] = Math.min(window * 2, LARGEST_WINDOW_BYTES);
    this.#aheadEnd[stream] = target;
    this.offset = start;
    this.length = target - start;
    return true;
  }

  #find(offset: number, length: number): number {
    if (this.#continues(this.#latest, offset, length)) return this.#latest;
    for (let stream = 0; stream < STREAMS; stream++) {
      if (this.#continues(stream, offset, length)) return stream;
    }
    return -1;
  }

  #continues(stream: number, offset: number, length: number): boolean {
    const gap = offset - this.#end[stream]!;
    return gap <= EARLY_LENGTHS * length && gap >= -LATE_BYTES;
  }

  /** Takes the place of the oldest that is no stream yet or no more, or else of the oldest. */
  #begin(end: number): void {
    let victim = 0;
    let oldest = Number.POSITIVE_INFINITY;
    for (let stream = 0; stream < STREAMS; stream++) {
      const age = this.#clock - this.#lastRead[stream]!;
      const isStream = this.#reads[stream]! >= SEQUENTIAL_READS && age < FORGOTTEN_AFTER_READS;
      // Streams come after everything that is none.
      const rank = this.#lastRead[stream]! + (isStream ? this.#clock : 0);
      if (rank >= oldest) continue;
      oldest = rank;
      victim = stream;
    }
    this.#end[victim] = end;
    this.#aheadEnd[victim] = end;
    this.#windowBytes[victim] = FIRST_WINDOW_BYTES;
    this.#reads[victim] = 0;
    this.#lastRead[victim] = this.#clock;
    this.#latest = victim;
  }
}
