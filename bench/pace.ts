import { type Summary, summarize } from './statistics.js';

/** So many that they take some tens of milliseconds. */
const STEPS = 20_000_000;

/**
 * How fast the processor is, again and again: neighbours on the same hardware, which no counter of this machine shows, make the same
 * arithmetic take longer. One figure a round says whether a run had the machine for itself.
 */
export class Pace {
  readonly #samples: number[] = [];

  constructor() {
    // Compiled once it has run for a while.
    arithmetic();
  }

  /** To be called before each round, while nothing else runs. */
  sample(): void {
    const start = performance.now();
    arithmetic();
    this.#samples.push(performance.now() - start);
  }

  /** Milliseconds; undefined without a sample. */
  get summary(): Summary | undefined {
    return this.#samples.length === 0 ? undefined : summarize(this.#samples);
  }
}

function arithmetic(): number {
  let x = 1;
  for (let i = 0; i < STEPS; i++) x = (Math.imul(x, 1103515245) + 12345) | 0;
  return x;
}
