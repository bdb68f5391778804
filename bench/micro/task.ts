/** One thing to measure. */
export interface Task {
  readonly name: string;
  /** How many operations one call of `run` does: a clock can't see less than some hundred nanoseconds. */
  readonly operations: number;
  readonly run: () => void;
}

/** How often a task of nanoseconds is repeated within one call. */
export const REPEATS = 1024;

let sink = 0;

/** Keeps the compiler from leaving out what nobody looks at. */
export function consume(value: number): void {
  sink = (sink + value) | 0;
}
