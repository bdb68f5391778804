import type { LatencySnapshot } from '../metrics/snapshot.js';

/** What was counted between two snapshots of one histogram; all of `after` where there is no `before`. Never negative. */
export function histogramSince(before: LatencySnapshot | undefined, after: LatencySnapshot): number[] {
  return after.counts.map((count, i) => Math.max(count - (before?.counts[i] ?? 0), 0));
}

/** Adds `more` to `sum`, in place. */
export function addHistogram(sum: number[], more: readonly number[]): void {
  for (let i = 0; i < more.length; i++) sum[i] = (sum[i] ?? 0) + more[i]!;
}

/**
 * The time that this fraction of all was at or below, seconds: inside of a bucket as if all were spread evenly in it,
 * which is how Prometheus does it, so that all figures agree. Undefined where nothing was counted; beyond the last bound
 * it is that bound, since no more is known.
 *
 * @param bounds upper bounds of `counts`, seconds, which has one more
 */
export function percentile(
  counts: readonly number[],
  fraction: number,
  bounds: readonly number[],
): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = fraction * total;
  let below = 0;
  for (const [i, count] of counts.entries()) {
    if (count === 0 || below + count < rank) {
      below += count;
      continue;
    }
    const upper = bounds[i];
    if (upper === undefined) break;
    const lower = bounds[i - 1] ?? 0;
    return lower + (upper - lower) * ((rank - below) / count);
  }
  return bounds.at(-1);
}
