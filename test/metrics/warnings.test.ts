import t from 'tap';
import { DIRECT_IS_OFF } from '../../src/metrics/observation.js';
import type { ServerSnapshot } from '../../src/metrics/snapshot.js';
import { type Sample, sampleOf, WarningWatch, WINDOW_MS, warningsOf } from '../../src/metrics/warnings.js';
import { connectionOf, exportOf, operationOf, reactorOf, snapshotOf } from './snapshots.js';

const GiB = 1024 ** 3;
const START_MS = 1_700_000_000_000;

const kinds = (snapshot: ServerSnapshot, earlier?: Sample) =>
  warningsOf(snapshot, earlier).map(({ kind }) => kind);

/** An export that nothing is to be said about. */
const quiet = (name = 'disk', rest: Parameters<typeof exportOf>[1] = {}) =>
  exportOf(name, {
    sizeBytes: 4 * GiB,
    filesystemFreeBytes: 500 * GiB,
    filesystemSizeBytes: 1000 * GiB,
    ...rest,
  });

const before = (rest: Partial<ServerSnapshot> = {}) => sampleOf(snapshotOf({ takenAtMs: START_MS, ...rest }));
const after = (rest: Partial<ServerSnapshot> = {}) =>
  snapshotOf({ takenAtMs: START_MS + WINDOW_MS, ...rest });

t.test('of a server that is well nothing is said', async (t) => {
  const exports = [quiet()];
  t.same(
    warningsOf(after({ exports, reactors: [reactorOf()] }), before({ exports, reactors: [reactorOf()] })),
    [],
  );
});

t.test('an export that does not answer is told of with its reason', async (t) => {
  const health = { healthy: false, reason: 'a read has been waiting for its disk for 7 s', probeSeconds: 1 };
  const [warning] = warningsOf(snapshotOf({ exports: [quiet('a'), quiet('b', { health })] }), undefined);
  t.match(warning, { kind: 'export-unhealthy', exportName: 'b', text: /“b”.*waiting for its disk for 7 s/ });
});

t.test('a fallback to buffered I/O is told of with its reason; not where it was asked for', async (t) => {
  const because = (bufferedBecause: string) =>
    snapshotOf({ exports: [quiet('x', { direct: false, bufferedBecause })] });
  const [warning] = warningsOf(because('its filesystem does not do direct I/O'), undefined);
  t.match(warning, {
    kind: 'buffered-fallback',
    exportName: 'x',
    text: /its filesystem does not do direct I\/O/,
  });
  t.same(kinds(because(DIRECT_IS_OFF)), []);
});

t.test('a filesystem is nearly full if a sparse export may outgrow it', async (t) => {
  const filling = (rest: Parameters<typeof exportOf>[1]) =>
    kinds(snapshotOf({ exports: [quiet('x', { sizeBytes: 100 * GiB, allocatedBytes: 10 * GiB, ...rest })] }));
  t.same(filling({ filesystemFreeBytes: 49 * GiB }), ['filesystem-nearly-full'], 'below a twentieth');
  t.same(filling({ filesystemFreeBytes: 50 * GiB }), [], 'a twentieth');
  t.same(
    filling({ filesystemFreeBytes: 0.9 * GiB, filesystemSizeBytes: 10 * GiB }),
    ['filesystem-nearly-full'],
    'below a GiB',
  );
  t.same(filling({ filesystemFreeBytes: 1 * GiB, filesystemSizeBytes: 10 * GiB }), [], 'a GiB');
  t.same(filling({ filesystemFreeBytes: 0, readOnly: true }), [], 'nothing is written');
  t.same(filling({ filesystemFreeBytes: 0, allocatedBytes: 100 * GiB }), [], 'it has all that it can take');
  t.same(
    filling({ filesystemFreeBytes: 40 * GiB, allocatedBytes: 70 * GiB }),
    [],
    'there is enough for this one',
  );
  t.same(filling({ filesystemFreeBytes: undefined }), [], 'nobody knows');
});

t.test('a busy client with one connection is told of', async (t) => {
  const busy = connectionOf({ id: 7, peer: '10.0.0.5:4000', inFlight: 16 });
  const moved = { ...busy, readBytes: 8e9, writtenBytes: 5e9 };
  const [warning] = warningsOf(after({ connections: [moved] }), before({ connections: [busy] }));
  t.match(warning, {
    kind: 'single-connection',
    exportName: 'disk',
    text: /^10\.0\.0\.5:4000 moves 207 MiB\/s.*-C 4/,
  });
  const second = connectionOf({ id: 8, peer: '10.0.0.5:4001' });
  const other = connectionOf({ id: 8, peer: '10.0.0.6:4001' });
  t.same(kinds(after({ connections: [moved, second] }), before({ connections: [busy] })), [], 'it has two');
  t.same(
    kinds(after({ connections: [moved, other] }), before({ connections: [busy] })).length,
    1,
    'another client',
  );
  t.same(
    kinds(after({ connections: [{ ...moved, inFlight: 4 }] }), before({ connections: [busy] })),
    [],
    'not deep',
  );
  t.same(
    kinds(after({ connections: [{ ...moved, readBytes: 1e9 }] }), before({ connections: [busy] })),
    [],
    'slow',
  );
  t.same(kinds(after({ connections: [moved] }), before()), [], 'it is new');
});

t.test('memory or slots that run out are told of while that goes on', async (t) => {
  const at = (backpressureStops: number) => ({
    reactors: [reactorOf({ backpressureStops }), reactorOf({ index: 1 })],
  });
  const [warning] = warningsOf(after(at(12)), before(at(5)));
  t.match(warning, { kind: 'backpressure', exportName: undefined, text: /7 times.*--buffer-memory/ });
  t.same(kinds(after(at(5)), before(at(5))), []);
  t.same(kinds(after(at(5))), [], 'nothing is known of before');
});

t.test('handshakes that fail are told of by reason; clients may end them as they like', async (t) => {
  const { handshakeFailures: none } = snapshotOf();
  const failing = (of: Partial<typeof none>) =>
    kinds(after({ handshakeFailures: { ...none, ...of } }), before());
  const failures = { ...none, timeout: 2, unknown_export: 3, abort: 99 };
  const [warning] = warningsOf(after({ handshakeFailures: failures }), before());
  t.match(warning, { kind: 'handshake-failures', text: /^5 handshakes.*timeout: 2, unknown export: 3\)/ });
  t.same(failing({ timeout: 4 }), []);
  t.same(failing({ abort: 50, closed: 50, server_stopping: 50 }), []);
});

t.test('many unaligned requests are told of, with their share', async (t) => {
  const at = (alignmentFixes: number, requests: number) => ({
    exports: [quiet('x', { alignmentFixes, operations: { write: operationOf({ requests }) } })],
  });
  const [warning] = warningsOf(after(at(600, 2000)), before(at(100, 1000)));
  t.match(warning, { kind: 'alignment-fixes', exportName: 'x', text: /^50 % of the requests to “x”/ });
  t.same(kinds(after(at(199, 1200)), before(at(100, 1000))), [], 'few');
  t.same(kinds(after(at(1000, 100_000)), before(at(0, 0))), [], 'a small share');
  t.same(kinds(after(at(1000, 1000))), [], 'long ago, for all that is known');
});

t.test('an event loop that is late is told of', async (t) => {
  const [warning] = warningsOf(
    snapshotOf({ reactors: [reactorOf({ index: 2, loopLagSeconds: 0.25 })] }),
    undefined,
  );
  t.match(warning, { kind: 'loop-lag', text: /^Thread 2 was busy for 250 ms/ });
  t.same(kinds(snapshotOf({ reactors: [reactorOf({ loopLagSeconds: 0.09 })] })), []);
});

t.test('the watch compares with about a minute ago, however often it is asked', async (t) => {
  const watch = new WarningWatch();
  const at = (seconds: number, backpressureStops: number) =>
    watch.warnings(
      snapshotOf({ takenAtMs: START_MS + seconds * 1000, reactors: [reactorOf({ backpressureStops })] }),
    );
  t.same(at(0, 3), []);
  for (let seconds = 1; seconds < 60; seconds++) t.match(at(seconds, 4), [{ text: /1 times/ }]);
  t.match(at(74, 4), [{ text: /1 times/ }], 'the last sample before the window is the oldest');
  t.same(at(150, 4), []);
  t.match(at(151, 9), [{ text: /5 times/ }]);
});

t.test('what has risen while nobody looked has not risen in the last minute', async (t) => {
  const watch = new WarningWatch();
  const at = (seconds: number, backpressureStops: number) =>
    watch.warnings(
      snapshotOf({ takenAtMs: START_MS + seconds * 1000, reactors: [reactorOf({ backpressureStops })] }),
    );
  t.same(at(0, 0), []);
  t.same(at(8 * 3600, 5), []);
  t.match(at(8 * 3600 + 30, 9), [{ text: /4 times/ }]);
});
