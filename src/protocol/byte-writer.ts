/**
 * Collects big-endian bytes whose number is not known beforehand. For the handshake, where an answer may be a list of
 * thousands of exports; the transmission phase writes into memory it already has.
 */
const INITIAL_BYTES = 256;
const EMPTY = new Uint8Array(0);
const TWO_TO_THE_32 = 0x1_0000_0000;

export class ByteWriter {
  #bytes = EMPTY;
  #view = new DataView(EMPTY.buffer);
  #length = 0;

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.#length;
  }

  u16(value: number): void {
    const at = this.#extend(2);
    this.#view.setUint16(at, value);
  }

  u32(value: number): void {
    const at = this.#extend(4);
    this.#view.setUint32(at, value);
  }

  /** A whole number from 0 to 2^53 − 1 as 64 bits. */
  u64(value: number): void {
    const at = this.#extend(8);
    this.#view.setUint32(at, Math.floor(value / TWO_TO_THE_32));
    this.#view.setUint32(at + 4, value % TWO_TO_THE_32);
  }

  bytes(value: Uint8Array): void {
    const at = this.#extend(value.length);
    this.#bytes.set(value, at);
  }

  zeroes(count: number): void {
    const at = this.#extend(count);
    this.#bytes.fill(0, at, at + count);
  }

  /** Hands over what was written, which is the caller's from then on, and starts empty again. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#view = new DataView(EMPTY.buffer);
    this.#length = 0;
    return taken;
  }

  /** Makes room for `count` more bytes and returns where they start. It may replace the view: call it first. */
  #extend(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#length = needed;
    return at;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(INITIAL_BYTES, this.#bytes.length * 2, needed));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
