// What the status page makes of snapshots.

import t from 'tap';
import { age, bytes, count, time } from '../../page/format.js';
import { HISTORY_SECONDS, History } from '../../page/history.js';
import { between, IDLE, quantile } from '../../page/rates.js';
import { LATENCY_BOUNDS_SECONDS } from '../../src/metrics/latency.js';
import { connectionOf, exportOf, latencyOf, operationOf, snapshotOf } from './snapshots.js';

const at = (takenAtMs: number, requests: number, rest = {}) =>
  snapshotOf({
    takenAtMs,
    exports: [
      exportOf('a', {
        operations: {
          read: operationOf({ requests, bytes: requests * 4096, latency: latencyOf({ 2: requests }, 1) }),
          write: operationOf({ requests: 2 * requests, errors: { EIO: requests } }),
        },
      }),
      exportOf('b'),
    ],
    connections: [connectionOf({ id: 1, requests, readBytes: 10 * requests })],
    ...rest,
  });

t.test('rates are what happened between two snapshots, by export, connection and in all', async (t) => {
  const interval = between(at(1000, 10), at(3000, 30))!;
  const expected = {
    readBytes: 40960,
    writeBytes: 0,
    readRequests: 10,
    writeRequests: 20,
    requests: 30,
    errors: 10,
    p50: 12e-6,
  };
  t.match(interval.exports.get('a'), expected);
  t.match(interval.all, expected);
  t.same(interval.exports.get('b'), IDLE);
  t.same(interval.connections.get(1), { readBytes: 100, writeBytes: 0, requests: 10 });
});

t.test('there are no rates without a snapshot before, across a restart, or of no time', async (t) => {
  t.equal(between(undefined, at(1000, 1)), undefined);
  t.equal(between(at(1000, 9), at(2000, 1, { startedAtMs: 1500 })), undefined);
  t.equal(between(at(1000, 9), at(2000, 1, { pid: 2 })), undefined);
  t.equal(between(at(1000, 1), at(1000, 2)), undefined);
});

t.test('a counter that a reader saw torn makes no rate below zero', async (t) => {
  t.match(between(at(1000, 10), at(2000, 9))!.all, { readBytes: 0, requests: 0 });
});

t.test('quantiles lie within their buckets', async (t) => {
  t.ok(Number.isNaN(quantile([], 0.5)));
  t.ok(Number.isNaN(quantile([0, 0], 0.5)));
  t.equal(quantile([4], 0.5), LATENCY_BOUNDS_SECONDS[0]! / 2);
  t.equal(quantile([0, 4], 1), LATENCY_BOUNDS_SECONDS[1]);
  t.equal(quantile([50, 0, 50], 0.5), LATENCY_BOUNDS_SECONDS[0]);
  const beyond = new Array<number>(LATENCY_BOUNDS_SECONDS.length).fill(0);
  t.equal(quantile([...beyond, 1], 0.5), Number.POSITIVE_INFINITY);
});

t.test('the history holds five minutes, and a gap where nothing is known', async (t) => {
  const history = new History();
  for (let second = 1; second <= 1000; second++) {
    const interval =
      second === 900 ? undefined : between(at(second * 1000 - 1000, second), at(second * 1000, second + 7));
    history.add(second * 1000, interval);
  }
  t.equal(history.times.length, HISTORY_SECONDS);
  t.equal(history.times.at(-1), 1000);
  for (const scope of [undefined, 'a', 'b']) {
    const line = history.line(scope, 'readRequests');
    t.equal(line.length, HISTORY_SECONDS);
    t.equal(line.at(-1), scope === 'b' ? 0 : 7);
    t.equal(line[history.times.indexOf(900)], scope === 'b' ? 0 : null);
  }
  history.add(1_006_000, undefined);
  t.same(history.times.slice(-3), [1000, 1001, 1006], 'nothing came for a while');
  history.add(999_000, undefined);
  t.equal(history.times.at(-1), 1006, 'time does not run backward');
});

t.test('an export that is first used later has a history of the same length', async (t) => {
  const history = new History();
  history.add(1000, between(at(0, 0), at(1000, 0)));
  history.add(2000, between(at(1000, 0), at(2000, 5)));
  t.same(history.line('a', 'readRequests'), [0, 5]);
  t.same(history.line('a', 'p50'), [null, 12e-6]);
});

t.test('numbers are short, and never apart from their units', async (t) => {
  const unbroken = (texts: readonly string[]) => texts.map((text) => text.replaceAll('_', '\u00a0'));
  t.same(
    [0, 1023, 1024, 1536, 1024 ** 3 * 12.34, 1024 ** 6].map(bytes),
    unbroken(['0_B', '1023_B', '1.00_KiB', '1.50_KiB', '12.3_GiB', '1024_PiB']),
  );
  t.same([0, 7, 999, 1000, 12_345, 1e9].map(count), ['0', '7', '999', '1.00k', '12.3k', '1.00G']);
  t.same(
    [undefined, Number.NaN, 12e-6, 1.5e-3, 2, Number.POSITIVE_INFINITY].map(time),
    unbroken(['–', '–', '12.0_µs', '1.50_ms', '2.00_s', '>_33_s']),
  );
  t.same(
    [-5, 59_000, 3_599_000, 86_399_000, 90_000_000].map(age),
    unbroken(['0_s', '59_s', '59_min', '23_h 59_min', '1_d 1_h']),
  );
});
