const SHORTEST_MICROSECONDS = 4;
const LONGEST_MICROSECONDS = 2 ** 25;

/**
 * Upper bounds of the buckets that times are counted in: powers of two from 4 µs to about 33.6 s. What takes longer is
 * counted in one more bucket behind them.
 */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = Object.freeze(
  Array.from({ length: 24 }, (_, i) => (SHORTEST_MICROSECONDS * 2 ** i) / 1e6),
);

/** Buckets: one for each bound, and one for what is beyond them. */
export const LATENCY_BUCKETS = LATENCY_BOUNDS_SECONDS.length + 1;

const BEYOND = LATENCY_BUCKETS - 1;
/** `32 - clz32(n - 1)` is the power of two that n is at most; the first bucket's is 2. */
const FIRST_POWER_FROM_32 = 30;

/** The bucket of a time: the first whose bound is not below it. No division and no loop, since every request asks. */
export function latencyBucket(microseconds: number): number {
  if (microseconds <= SHORTEST_MICROSECONDS) return 0;
  if (microseconds > LONGEST_MICROSECONDS) return BEYOND;
  return FIRST_POWER_FROM_32 - Math.clz32(Math.ceil(microseconds) - 1);
}
