import { closeSync } from 'node:fs';

const EMPTY = -1;

/**
 * Descriptors on their way from the main thread to another. Whoever takes one out of its slot owns it from then on, so it is
 * closed exactly once, whenever the other thread may end.
 */
export class Handover {
  readonly memory: SharedArrayBuffer;
  readonly #slots: Int32Array;
  #next = 0;

  /** For the thread that gives: room for `capacity` descriptors at a time. */
  static allocate(capacity: number): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(capacity * Int32Array.BYTES_PER_ELEMENT);
    new Int32Array(memory).fill(EMPTY);
    return memory;
  }

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#slots = new Int32Array(memory);
  }

  /** Puts a descriptor into a slot; its number, or -1 if all are full. */
  give(fd: number): number {
    const { length } = this.#slots;
    for (let i = 0; i < length; i++) {
      const slot = this.#next;
      this.#next = (slot + 1) % length;
      if (Atomics.compareExchange(this.#slots, slot, EMPTY, fd) === EMPTY) return slot;
    }
    return -1;
  }

  /** Takes the descriptor out of a slot; -1 if it is empty. */
  take(slot: number): number {
    return Atomics.exchange(this.#slots, slot, EMPTY);
  }

  /** Closes what nobody has taken. */
  closeAll(): void {
    for (let slot = 0; slot < this.#slots.length; slot++) {
      const fd = this.take(slot);
      if (fd !== EMPTY) closeSync(fd);
    }
  }
}
