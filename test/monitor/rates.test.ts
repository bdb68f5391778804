import fc from 'fast-check';
import t from 'tap';
import { percentile } from '../../src/monitor/percentile.js';
import { compare } from '../../src/monitor/rates.js';
import { connection, latencyOf, operation, reactor, snapshot, target } from './made-up.js';

const AT_MS = 1_700_000_000_000;

t.test('a percentile lies in the bucket that holds it, spread evenly as Prometheus does', async (t) => {
  const bounds = [1, 2, 4];
  t.equal(percentile([0, 0, 0, 0], 0.5, bounds), undefined, 'of nothing there is none');
  t.equal(percentile([0, 10, 0, 0], 0.5, bounds), 1.5);
  t.equal(percentile([10, 10, 0, 0], 0.5, bounds), 1);
  t.equal(percentile([10, 10, 0, 0], 0.99, bounds), 1.98);
  t.equal(percentile([1, 0, 0, 99], 0.5, bounds), 4, 'beyond the last bound no more is known');
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.001, max: 3.9, noNaN: true }), { minLength: 1 }), (values) => {
      const counts = [0, 0, 0, 0];
      for (const value of values) counts[bounds.findIndex((bound) => value <= bound)]!++;
      const sorted = values.toSorted((a, b) => a - b);
      const exact = sorted[Math.ceil(0.9 * sorted.length) - 1]!;
      const told = percentile(counts, 0.9, bounds)!;
      const bucket = bounds.findIndex((bound) => exact <= bound);
      return told <= bounds[bucket]! && told >= (bounds[bucket - 1] ?? 0);
    }),
  );
});

t.test('rates are what was added between two snapshots, by the second', async (t) => {
  const before = snapshot({
    takenAtMs: AT_MS,
    exports: [target('a', {}, { read: operation(1000, 4_096_000), write: operation(5, 100) })],
    connections: [connection(1, 'a', { requests: 10, readBytes: 100, errors: 1 })],
    reactors: [reactor(0, { turns: 100, ioSubmitCalls: 10, ioSubmitted: 40 })],
  });
  const after = snapshot({
    takenAtMs: AT_MS + 2000,
    exports: [
      target(
        'a',
        { inFlight: 3 },
        {
          read: operation(3000, 12_288_000, {
            latency: { ...latencyOf(1000, 100e-6), ...both(1000, 2000) },
          }),
          write: operation(9, 500, { errors: { EIO: 3, ENOSPC: 1 } }),
          flush: operation(2),
        },
      ),
      target('new', {}, { read: operation(10, 4096) }),
    ],
    connections: [
      connection(1, 'a', { requests: 30, readBytes: 300, errors: 5 }),
      connection(2, 'a', { requests: 8 }),
    ],
    reactors: [reactor(0, { turns: 300, ioSubmitCalls: 20, ioSubmitted: 120 })],
  });
  const picture = compare(before, after);
  t.equal(picture.seconds, 2);
  t.match(picture.exports[0], {
    readIops: 1000,
    writeIops: 2,
    otherIops: 1,
    readBytes: 4_096_000,
    errors: 2,
  });
  t.equal(picture.exports[0]!.iops, 1003);
  t.ok(picture.exports[0]!.p50! > 0.008, 'only what came between the two decides the latency');
  t.equal(picture.exports[0]!.errorsTotal, 4);
  t.match(picture.exports[1], { readIops: 5 }, 'an export that was not there before began with nothing');
  t.equal(picture.total.readIops, 1005);
  t.equal(picture.inFlight, 3);
  t.match(picture.connections, [{ iops: 10, readBytes: 100, errors: 2 }, { iops: 4 }]);
  t.match(picture.threads, [{ turns: 100, ioSubmitCalls: 5, ioSubmitted: 40 }]);
});

/** `fast` of 100 µs, `slow` of 10 ms. */
function both(fast: number, slow: number) {
  const counts = latencyOf(fast, 100e-6).counts.map((count, i) => count + latencyOf(slow, 0.01).counts[i]!);
  return { counts };
}

t.test('a server that was started anew has no rates yet, and none is ever negative', async (t) => {
  const old = snapshot({ takenAtMs: AT_MS, pid: 1, exports: [target('a', {}, { read: operation(1000) })] });
  const anew = snapshot({
    takenAtMs: AT_MS + 1000,
    pid: 2,
    exports: [target('a', {}, { read: operation(10) })],
  });
  t.match(compare(old, anew), { seconds: 0, total: { iops: 0 } });
  const torn = snapshot({
    takenAtMs: AT_MS + 1000,
    pid: 1,
    exports: [target('a', {}, { read: operation(990) })],
  });
  t.match(compare(old, torn), { seconds: 1, total: { iops: 0, p99: undefined } });
  t.match(compare(undefined, old), { seconds: 0, total: { iops: 0 } });
  t.match(compare(old, old), { seconds: 0, total: { iops: 0 } });
});

t.test('operations that a server leaves out have never been used', async (t) => {
  const whole = target('a', {}, { read: operation(10) });
  const partial = { ...whole, operations: { read: whole.operations.read } } as typeof whole;
  t.match(compare(undefined, snapshot({ exports: [partial] })).exports, [{ requestsTotal: 10 }]);
});
