import { LARGEST_BLOCK_BYTES } from './slab.js';

/** How a job holds its place in a volume; {@link HOLD_NONE}: not at all. */
export const HOLD_NONE = 0;
/** An aligned write: the only one on its stripes, whatever has become of its client; wide ones go beside it. */
export const HOLD_SHARED = 1;
/** Alone: an unaligned write, which reads before it writes. */
export const HOLD_EXCLUSIVE = 2;
/** What an abandoned write still holds: nobody may come after it until it is done. */
export const HOLD_ABANDONED = 3;
/** A range too long to be looked at stripe by stripe, with others like it and with {@link HOLD_SHARED}. */
export const HOLD_WIDE = 4;
export const HOLD_WIDE_ABANDONED = 5;

/** A job that could not be let in is counted among those who wait; and its stripes are kept from those who come later. */
const WAIT_COUNTED = 1 << 0;
const WAIT_CLAIMED = 1 << 1;

const STRIPES = 1 << 16;
const SMALLEST_STRIPE_BYTES = 4096;

// A stripe, as counts of which most are 0 or 1: held shared · abandoned · claims · held exclusively.
const ONE_SHARED = 1;
const SHARED_MASK = 0xfff;
const ONE_ABANDONED = 1 << 12;
const ABANDONED_MASK = 0xfff << 12;
const ONE_CLAIM = 1 << 24;
const CLAIM_MASK = 0x7f << 24;
const EXCLUSIVE = 1 << 31;

// What concerns the volume as a whole. What each write reads is not in the cache line that unaligned writes change.
const WIDE = 0;
const WIDE_ABANDONED = 1;
const WIDE_WAITING = 2;
/** Changes that have to come before all that other threads begin now, and hold nothing yet. */
const MARKS = 3;
/** Narrow jobs that hold exclusively, or abandoned. */
const STRICT = 16;
const EXCLUSIVE_WAITING = 17;
/** Who goes next when wide and exclusive jobs both wait: they can't be in a volume together. */
const TURN = 18;
const FIRST_STRIPE = 32;

const TURN_OF_WIDE = 0;
const TURN_OF_EXCLUSIVE = 1;

/** What one volume's locks take, bytes. */
export const LOCK_MEMORY_BYTES = (FIRST_STRIPE + STRIPES) * 4;

/**
 * Keeps the changes of several threads to one volume apart, as the list of mutators in a {@link Volume} does within a
 * thread, and more strictly: of two writes to one stripe the younger waits, so that it can't be overtaken by an older one
 * that nobody wants any more. It is a table of
 * words in memory that the threads share; a word stands for every 65,536th stripe of 4 KiB (or of a unit, if that is more).
 *
 * Nobody waits in here: a job gets all it needs or nothing, and tries again later. So whoever holds something is at work,
 * and gets done. Two things keep those who try from trying for ever: claims, which keep later shared holders off the
 * stripes of an unaligned write, and a turn between jobs that want a volume's whole width and those.
 */
export class VolumeLocks {
  readonly #words: Int32Array;
  readonly #perByte: number;

  /** `memory` has {@link LOCK_MEMORY_BYTES}, zero at first; `unitBytes` is the volume's, a power of two. */
  constructor(memory: SharedArrayBuffer, unitBytes: number) {
    this.#words = new Int32Array(memory);
    this.#perByte = 1 / Math.max(unitBytes, SMALLEST_STRIPE_BYTES);
  }

  /**
   * Tries to get hold of a range. The kind of hold, or HOLD_NONE. A wide range is never held exclusively. Who is `marked`, or
   * is waited for by one who is, need not wait for his turn.
   */
  tryTake(offset: number, length: number, exclusive: boolean, marked = false): number {
    if (!marked && Atomics.load(this.#words, MARKS) !== 0) return HOLD_NONE;
    if (length > LARGEST_BLOCK_BYTES) return this.#tryWide(marked) ? HOLD_WIDE : HOLD_NONE;
    const first = Math.floor(offset * this.#perByte);
    const last = Math.floor((offset + length - 1) * this.#perByte);
    if (exclusive) return this.#tryExclusive(first, last, marked) ? HOLD_EXCLUSIVE : HOLD_NONE;
    if (Atomics.load(this.#words, WIDE_ABANDONED) !== 0) return HOLD_NONE;
    for (let stripe = first; stripe <= last; stripe++) {
      if (this.#tryShared(stripe, marked)) continue;
      this.#addToEach(first, stripe - 1, -ONE_SHARED);
      return HOLD_NONE;
    }
    return HOLD_SHARED;
  }

  /** Lets go of a range that is held in this way. */
  release(offset: number, length: number, hold: number): void {
    const words = this.#words;
    const first = Math.floor(offset * this.#perByte);
    const last = Math.floor((offset + length - 1) * this.#perByte);
    switch (hold) {
      case HOLD_SHARED:
        this.#addToEach(first, last, -ONE_SHARED);
        return;
      case HOLD_EXCLUSIVE:
        this.#openEach(first, last);
        Atomics.store(words, TURN, TURN_OF_WIDE);
        Atomics.sub(words, STRICT, 1);
        return;
      case HOLD_ABANDONED:
        this.#addToEach(first, last, -ONE_ABANDONED);
        Atomics.sub(words, STRICT, 1);
        return;
      case HOLD_WIDE_ABANDONED:
        Atomics.sub(words, WIDE_ABANDONED, 1);
        this.#releaseWide();
        return;
      case HOLD_WIDE:
        this.#releaseWide();
        return;
    }
  }

  /** A hold becomes one that nobody may come after. The kind that it is from now on. */
  abandon(offset: number, length: number, hold: number): number {
    if (hold === HOLD_SHARED) {
      Atomics.add(this.#words, STRICT, 1);
      const first = Math.floor(offset * this.#perByte);
      const last = Math.floor((offset + length - 1) * this.#perByte);
      this.#addToEach(first, last, ONE_ABANDONED - ONE_SHARED);
      return HOLD_ABANDONED;
    }
    if (hold === HOLD_WIDE) {
      Atomics.add(this.#words, WIDE_ABANDONED, 1);
      return HOLD_WIDE_ABANDONED;
    }
    return hold;
  }

  /**
   * A job that holds nothing yet must come before everything that other threads begin from now on. That stops all new changes
   * to the volume for a moment; it happens only when a client has left before its changes could begin.
   */
  mark(): void {
    Atomics.add(this.#words, MARKS, 1);
  }

  unmark(): void {
    Atomics.sub(this.#words, MARKS, 1);
  }

  /** A job begins to wait for a range. What {@link endWait} has to be told. */
  beginWait(offset: number, length: number, exclusive: boolean): number {
    if (length > LARGEST_BLOCK_BYTES) {
      Atomics.add(this.#words, WIDE_WAITING, 1);
      return WAIT_COUNTED;
    }
    // Aligned writes come by chance: who is refused takes the next one that offers.
    if (!exclusive) return 0;
    Atomics.add(this.#words, EXCLUSIVE_WAITING, 1);
    const first = Math.floor(offset * this.#perByte);
    const last = Math.floor((offset + length - 1) * this.#perByte);
    for (let stripe = first; stripe <= last; stripe++) {
      if (this.#tryClaim(stripe)) continue;
      this.#addToEach(first, stripe - 1, -ONE_CLAIM);
      return WAIT_COUNTED;
    }
    return WAIT_COUNTED | WAIT_CLAIMED;
  }

  /** It waits no more: it got what it wanted, or gave up. */
  endWait(offset: number, length: number, waits: number): void {
    if ((waits & WAIT_COUNTED) !== 0) {
      Atomics.sub(this.#words, length > LARGEST_BLOCK_BYTES ? WIDE_WAITING : EXCLUSIVE_WAITING, 1);
    }
    if ((waits & WAIT_CLAIMED) !== 0) {
      const first = Math.floor(offset * this.#perByte);
      const last = Math.floor((offset + length - 1) * this.#perByte);
      this.#addToEach(first, last, -ONE_CLAIM);
    }
  }

  // ---- stripes ----

  #tryShared(stripe: number, marked: boolean): boolean {
    const words = this.#words;
    const at = wordOf(stripe);
    const inTheWay = EXCLUSIVE | ABANDONED_MASK | (marked ? 0 : CLAIM_MASK);
    for (;;) {
      const word = Atomics.load(words, at);
      if ((word & inTheWay) !== 0) return false;
      if ((word & SHARED_MASK) !== 0) return false;
      if (Atomics.compareExchange(words, at, word, word + ONE_SHARED) === word) return true;
    }
  }

  /** Claims of others don't count: they are there against those who share. */
  #tryExclusive(first: number, last: number, marked: boolean): boolean {
    const words = this.#words;
    const otherTurn = !marked && Atomics.load(words, TURN) === TURN_OF_WIDE;
    if (otherTurn && Atomics.load(words, WIDE_WAITING) !== 0) return false;
    // Announced before it looks; a wide job does the same, so of two at a time at least one sees the other.
    Atomics.add(words, STRICT, 1);
    if (Atomics.load(words, WIDE) === 0) {
      let stripe = first;
      while (stripe <= last && this.#tryClose(stripe)) stripe++;
      if (stripe > last) return true;
      this.#openEach(first, stripe - 1);
    }
    Atomics.sub(words, STRICT, 1);
    return false;
  }

  #tryClose(stripe: number): boolean {
    const words = this.#words;
    const at = wordOf(stripe);
    for (;;) {
      const word = Atomics.load(words, at);
      if ((word & (EXCLUSIVE | ABANDONED_MASK | SHARED_MASK)) !== 0) return false;
      if (Atomics.compareExchange(words, at, word, word | EXCLUSIVE) === word) return true;
    }
  }

  #tryClaim(stripe: number): boolean {
    const words = this.#words;
    const at = wordOf(stripe);
    for (;;) {
      const word = Atomics.load(words, at);
      if ((word & CLAIM_MASK) === CLAIM_MASK) return false;
      if (Atomics.compareExchange(words, at, word, word + ONE_CLAIM) === word) return true;
    }
  }

  #openEach(first: number, last: number): void {
    for (let stripe = first; stripe <= last; stripe++) {
      Atomics.and(this.#words, wordOf(stripe), ~EXCLUSIVE);
    }
  }

  #addToEach(first: number, last: number, difference: number): void {
    for (let stripe = first; stripe <= last; stripe++) Atomics.add(this.#words, wordOf(stripe), difference);
  }

  // ---- the whole width ----

  #tryWide(marked: boolean): boolean {
    const words = this.#words;
    const otherTurn = !marked && Atomics.load(words, TURN) === TURN_OF_EXCLUSIVE;
    if (otherTurn && Atomics.load(words, EXCLUSIVE_WAITING) !== 0) return false;
    Atomics.add(words, WIDE, 1);
    if (Atomics.load(words, STRICT) === 0 && Atomics.load(words, WIDE_ABANDONED) === 0) return true;
    Atomics.sub(words, WIDE, 1);
    return false;
  }

  #releaseWide(): void {
    Atomics.store(this.#words, TURN, TURN_OF_EXCLUSIVE);
    Atomics.sub(this.#words, WIDE, 1);
  }
}

/** ToInt32 keeps the lower bits of any exact whole number. */
function wordOf(stripe: number): number {
  return FIRST_STRIPE + (stripe & (STRIPES - 1));
}
