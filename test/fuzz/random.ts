// Chance that can be had again.

import { seededRandom } from '../support/random.js';

export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
  }

  /** A whole number from 0 to below `below`. */
  below(below: number): number {
    return Math.floor(this.#next() * below);
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** Up to `most` things. */
  some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  /** Small numbers are likelier than large ones. */
  small(below: number): number {
    return this.below(this.below(below) + 1);
  }
}
