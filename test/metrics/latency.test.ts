import fc from 'fast-check';
import t from 'tap';
import { LATENCY_BOUNDS_SECONDS, LATENCY_BUCKETS, latencyBucket } from '../../src/metrics/latency.js';

const BEYOND = LATENCY_BOUNDS_SECONDS.length;

/** What a histogram says by its definition: the first bound that is not exceeded. */
function firstBound(microseconds: number): number {
  const at = LATENCY_BOUNDS_SECONDS.findIndex((bound) => microseconds <= bound * 1e6);
  return at < 0 ? BEYOND : at;
}

t.test('the bounds are powers of two of microseconds, in order, from 4 µs to half a minute', async (t) => {
  t.equal(LATENCY_BOUNDS_SECONDS[0], 4e-6);
  t.equal(LATENCY_BOUNDS_SECONDS.at(-1), 33.554432);
  t.equal(LATENCY_BUCKETS, LATENCY_BOUNDS_SECONDS.length + 1);
  for (const [i, bound] of LATENCY_BOUNDS_SECONDS.entries()) t.equal(Math.round(bound * 1e6), 4 * 2 ** i);
});

t.test(
  'a time that is a bound lies in the bucket of that bound, and a little more in the next',
  async (t) => {
    for (let i = 0; i < BEYOND; i++) {
      const bound = 4 * 2 ** i;
      t.equal(latencyBucket(bound), i, `${bound} µs`);
      t.equal(latencyBucket(bound - 0.001), i, `just below ${bound} µs`);
      t.equal(latencyBucket(bound + 0.001), i + 1, `just above ${bound} µs`);
      t.equal(latencyBucket(bound + 1), i + 1, `${bound + 1} µs`);
    }
  },
);

t.test('nothing, and whatever is too long for any bound, have a bucket', async (t) => {
  t.equal(latencyBucket(0), 0);
  t.equal(latencyBucket(-1), 0, 'of a clock that was read twice in the wrong order');
  for (const much of [2 ** 31, 2 ** 32, 2 ** 40, Number.POSITIVE_INFINITY]) {
    t.equal(latencyBucket(much), BEYOND, `${much} µs`);
  }
});

t.test('any time lies in the first bucket whose bound it does not exceed', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.oneof(fc.double({ min: 0, max: 1e8, noNaN: true }), fc.nat({ max: 2 ** 27 })),
        (microseconds) => latencyBucket(microseconds) === firstBound(microseconds),
      ),
      { numRuns: 2000 },
    ),
  );
});
