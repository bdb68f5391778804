/**
 * Takes pieces of known length from a stream that arrives in pieces of any length. Input is copied only where a piece
 * is not complete yet, and the copy grows with what has really arrived, not with what was announced.
 */
const EMPTY = new Uint8Array(0);
const SMALLEST_HOLD_BYTES = 64;
/** A larger copy is given back to the collector once its piece is taken. */
const LARGEST_KEPT_HOLD_BYTES = 4096;

export class Gather {
  #input: Uint8Array = EMPTY;
  #position = 0;
  #held: Uint8Array = EMPTY;
  #heldBytes = 0;

  /** Memory held between inputs, bytes. */
  get capacityBytes(): number {
    return this.#held.length;
  }

  /** Starts on the next piece of input, which must stay as it is until `release`. */
  feed(input: Uint8Array): void {
    this.#input = input;
    this.#position = 0;
  }

  /** Lets go of the input and returns how much of it was used, bytes. */
  release(): number {
    const used = this.#position;
    this.#input = EMPTY;
    this.#position = 0;
    return used;
  }

  /**
   * The next `length` bytes, valid until the next call; undefined if they are not there yet, in which case ask for the
   * same length again after more input.
   */
  take(length: number): Uint8Array | undefined {
    if (this.#heldBytes === 0 && length <= this.#available()) return this.#advance(length);
    this.#hold(Math.min(length - this.#heldBytes, this.#available()));
    if (this.#heldBytes < length) return undefined;

    const taken = this.#held.subarray(0, length);
    this.#heldBytes = 0;
    if (this.#held.length > LARGEST_KEPT_HOLD_BYTES) this.#held = EMPTY;
    return taken;
  }

  /** Passes over up to `length` bytes and returns over how many. */
  skip(length: number): number {
    return this.#advance(Math.min(length, this.#available())).length;
  }

  #available(): number {
    return this.#input.length - this.#position;
  }

  #advance(length: number): Uint8Array {
    const start = this.#position;
    this.#position = start + length;
    return this.#input.subarray(start, start + length);
  }

  #hold(length: number): void {
    const needed = this.#heldBytes + length;
    if (needed > this.#held.length) {
      const grown = new Uint8Array(Math.max(SMALLEST_HOLD_BYTES, this.#held.length * 2, needed));
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(this.#advance(length), this.#heldBytes);
    this.#heldBytes = needed;
  }
}
