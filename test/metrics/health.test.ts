import t from 'tap';
import { HealthWatch } from '../../src/metrics/health.js';
import type { ServerObservation } from '../../src/metrics/observation.js';
import { monotonicMs } from '../../src/metrics/probe-record.js';
import { ThreadRecord } from '../../src/metrics/record.js';

const DEADLINE_MS = 2500;

/** A server with so many threads, whose parts are played by the test. */
function serverOf(names: readonly string[], threads = 1) {
  const memories = Array.from({ length: threads }, () => ThreadRecord.allocate(4, names.length));
  const records = memories.map((memory) => new ThreadRecord(memory));
  for (const record of records) record.alive(Date.now(), 0);
  const observation = {
    exports: names.map((name) => ({ name, sizeBytes: name === 'empty' ? 0 : 4096 })),
    threads: memories,
    acceptor: undefined,
  } as unknown as ServerObservation;
  const watch = new HealthWatch(observation, DEADLINE_MS);
  /** The record of the probes of an export, where the thread that makes them writes it. */
  const probe = (index: number) => records[index % threads]!.exports[index]!.probe;
  return { watch, records, probe };
}

t.test('before the first probe an export counts as healthy', async (t) => {
  const { watch } = serverOf(['a']);
  t.same(watch.report(), {
    healthy: true,
    reasons: [],
    exports: { a: { healthy: true, reason: '', probeSeconds: undefined } },
  });
});

t.test('a probe that came back in time is health, and one that failed or was slow is not', async (t) => {
  const { watch, probe } = serverOf(['a', 'b', 'c'], 2);
  const nowMs = monotonicMs();
  for (const [index, tookMs, errno] of [
    [0, 3, 0],
    [1, 1, 5],
    [2, 2600, 0],
  ] as const) {
    probe(index).begin(nowMs - tookMs, 4096);
    probe(index).done(nowMs, errno);
  }
  const { healthy, reasons, exports } = watch.report();
  t.notOk(healthy);
  t.match(exports.a, { healthy: true, reason: '' });
  t.ok(Math.abs(exports.a!.probeSeconds! - 0.003) < 1e-6);
  t.same(reasons, ['export "b": the last read failed with EIO', 'export "c": the last read took 2.6 s']);
});

t.test(
  'a probe that does not come back is a disk that hangs, from the deadline on until it does',
  async (t) => {
    const { watch, probe } = serverOf(['a']);
    probe(0).begin(monotonicMs() - DEADLINE_MS + 1000, 4096);
    t.ok(watch.report().healthy);
    probe(0).begin(monotonicMs() - 7000, 4096);
    t.same(watch.report().reasons, ['export "a": a read has been waiting for its disk for 7 s']);
    probe(0).done(monotonicMs(), 0);
    t.match(watch.report().reasons, [/the last read took 7/], 'it was slow');
    probe(0).begin(monotonicMs(), 4096);
    probe(0).done(monotonicMs(), 0);
    t.ok(watch.report().healthy);
  },
);

t.test('an event loop that does not turn makes a server unhealthy, and not ready', async (t) => {
  const { watch, records } = serverOf(['a'], 2);
  t.same(watch.readiness('serving'), { ready: true, reasons: [] });
  records[1]!.alive(Date.now(), 0, monotonicMs() - 8000);
  t.same(watch.report().reasons, ['the event loop of thread 1 has not turned for 8 s']);
  t.equal((await watch.freshReport()).healthy, false, 'nothing is waited for then');
  t.notOk(watch.readiness('serving').ready);
});

t.test('the date may be set without making a server unhealthy', async (t) => {
  const { watch, records } = serverOf(['a']);
  records[0]!.alive(Date.now() - 3_600_000, 0);
  t.same(watch.report().reasons, []);
});

t.test('an export without a byte, which nobody can read, is not waited for', async (t) => {
  const { watch } = serverOf(['empty']);
  const begun = monotonicMs();
  t.ok((await watch.freshReport()).healthy);
  t.ok(monotonicMs() - begun < DEADLINE_MS);
});

t.test('a server that is stopping is not ready, but healthy', async (t) => {
  const { watch } = serverOf(['a']);
  t.match(watch.readiness('draining'), { ready: false, reasons: [/stopping/] });
  t.ok(watch.report().healthy);
});

t.test('a fresh report asks for probes on all threads, and waits for them', async (t) => {
  const { watch, records, probe } = serverOf(['a', 'b'], 2);
  t.same(
    records.map((record) => record.probesWantedAtMs),
    [0, 0],
  );
  let isDone = false;
  const report = watch.freshReport().then((found) => {
    isDone = true;
    return found;
  });
  t.ok(records.every((record) => record.probesWantedAtMs > 0));
  for (const index of [0, 1]) {
    await new Promise((resolve) => setImmediate(resolve));
    t.notOk(isDone);
    probe(index).begin(monotonicMs(), 4096);
    probe(index).done(monotonicMs(), 0);
  }
  t.match(await report, { healthy: true, exports: { a: { healthy: true }, b: { healthy: true } } });
  t.match(await watch.freshReport(), { healthy: true }, 'what is known is told at once');
});
