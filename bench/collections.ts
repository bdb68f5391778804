/** `[123:0x5581]  1804 ms: Scavenge 29.0 (48.0) -> 21.1 (45.2) MB, …` */
const COLLECTION = /^\[\d+:0x[0-9a-f]+\]\s+\d+ ms: \S+ /;

/** Counts garbage collections in what `node --trace-gc` prints: one line for each, of whichever thread. */
export class CollectionCounter {
  #count = 0;

  get count(): number {
    return this.#count;
  }

  line(text: string): void {
    if (COLLECTION.test(text)) this.#count++;
  }

  reset(): void {
    this.#count = 0;
  }
}
