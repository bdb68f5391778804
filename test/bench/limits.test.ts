// What the floors say of targets that are missed.

import t from 'tap';
import { isFloor } from '../../bench/floors.js';
import { findLimits, formatLimits } from '../../bench/limits.js';
import type { MetricKey } from '../../bench/metrics.js';
import { BOUNDED_METRICS, TARGETS, type Target } from '../../bench/targets.js';
import { suite } from './suite.js';

const ROW: Target = {
  what: 'reads',
  case: 'c',
  metric: 'iops',
  server: 'aionbd',
  against: { label: 'the peer', servers: ['peer'] },
  bound: 'at least',
  value: 2,
  floors: { withIo: ['floor-aio'], withoutIo: ['floor'] },
};
const LEAST_CPU: Target = {
  ...ROW,
  metric: 'cpuMicrosecondsPerRequest',
  bound: 'at most',
  value: 0.5,
  floors: { withIo: ['floor-aio'] },
};
const SHORTEST: Target = { ...ROW, metric: 'p50Microseconds', bound: 'at most', value: 0.5 };

/** A run of one case, by server. */
function run(metric: MetricKey, figures: Readonly<Record<string, number>>) {
  return suite({
    c: Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, [{ [metric]: value }]])),
  });
}

/** The verdict on `target`, with a peer of 100 and ours where the target is missed. */
function reach(target: Target, figures: Readonly<Record<string, number>>): string | undefined {
  return findLimits(run(target.metric, { aionbd: 110, peer: 100, ...figures }), [target])[0]?.reach;
}

t.test('more requests than a floor has are out of reach, with its own edge', async (t) => {
  t.equal(reach(ROW, { floor: 199, 'floor-aio': 150 }), 'no server could');
  t.equal(reach(ROW, { floor: 200, 'floor-aio': 199 }), 'not with direct I/O');
  t.equal(reach(ROW, { floor: 200, 'floor-aio': 200 }), 'within reach');
});

t.test('what one floor reaches is within reach, whatever the other does', async (t) => {
  t.equal(reach(ROW, { floor: 190, 'floor-aio': 210 }), 'within reach');
});

t.test('a floor that is worse than ours bounds nothing', async (t) => {
  t.equal(reach(ROW, { floor: 109, 'floor-aio': 109 }), 'better than the floor', 'ours has 110');
  t.equal(reach(ROW, { floor: 110, 'floor-aio': 109 }), 'no server could');
  t.equal(reach(ROW, { floor: 200, 'floor-aio': 109 }), 'better than the floor');
  t.equal(reach(ROW, { floor: 109, 'floor-aio': 120 }), 'not with direct I/O');
  t.equal(reach(SHORTEST, { floor: 111, 'floor-aio': 112 }), 'better than the floor', 'more is worse here');
});

t.test('less latency than a floor has is out of reach', async (t) => {
  t.equal(reach(SHORTEST, { floor: 51, 'floor-aio': 60 }), 'no server could');
  t.equal(reach(SHORTEST, { floor: 50, 'floor-aio': 51 }), 'not with direct I/O');
  t.equal(reach(SHORTEST, { floor: 40, 'floor-aio': 50 }), 'within reach');
});

t.test('less processor time than direct I/O takes is out of reach, and no I/O bounds nothing', async (t) => {
  t.equal(reach(LEAST_CPU, { 'floor-aio': 51 }), 'not with direct I/O');
  t.equal(reach(LEAST_CPU, { 'floor-aio': 50, floor: 99 }), 'within reach');
  const results = run('cpuMicrosecondsPerRequest', { aionbd: 110, peer: 100, 'floor-aio': 51, floor: 99 });
  t.equal(findLimits(results, [LEAST_CPU])[0]?.withoutIo, undefined);
  t.match(formatLimits(results, [LEAST_CPU]), /0\.51× +\| +– \| not with direct I\/O \|$/);
});

t.test('where the target is no direct I/O only the floor without I/O counts', async (t) => {
  const buffered = { ...ROW, floors: { withoutIo: ['floor'] } };
  t.equal(reach(buffered, { floor: 300, 'floor-aio': 100 }), 'within reach');
  t.equal(reach(buffered, { floor: 150, 'floor-aio': 300 }), 'no server could');
});

t.test('of several floors the best counts, whichever it is', async (t) => {
  const two = {
    withIo: ['floor-aio', 'floor-aio-threads2'],
    withoutIo: ['floor', 'floor-threads2'],
  };
  const row = { ...ROW, floors: two };
  const slow = { floor: 300, 'floor-threads2': 300, 'floor-aio': 150, 'floor-aio-threads2': 150 };
  t.equal(reach(row, slow), 'not with direct I/O');
  t.equal(reach(row, { ...slow, 'floor-aio': 250 }), 'within reach');
  t.equal(reach(row, { ...slow, 'floor-aio-threads2': 250 }), 'within reach');
  const latency = { ...SHORTEST, floors: two };
  const short = { floor: 40, 'floor-threads2': 90, 'floor-aio': 90, 'floor-aio-threads2': 45 };
  t.equal(reach(latency, short), 'within reach', 'the least is the best of latencies');
});

t.test(
  'a floor that was not measured leaves the question open, unless the other has settled it',
  async (t) => {
    t.equal(reach(ROW, {}), 'not measured');
    t.equal(reach(ROW, { floor: 300 }), 'not measured');
    t.equal(reach(ROW, { 'floor-aio': 300 }), 'within reach');
    t.equal(reach(ROW, { floor: 150 }), 'no server could');
    const { floors: _, ...without } = ROW;
    t.equal(reach(without, { floor: 100, 'floor-aio': 100 }), 'not measured', 'a target without floors');
    const two = { ...ROW, floors: { withIo: ['floor-aio', 'floor-aio-threads2'], withoutIo: ['floor'] } };
    t.equal(reach(two, { floor: 300, 'floor-aio': 150 }), 'not measured', 'the best of some bounds nothing');
  },
);

t.test('targets that are reached, were not measured, or have no such figure are left out', async (t) => {
  const floors = { floor: 300, 'floor-aio': 300 };
  t.equal(reach(ROW, { aionbd: 200, ...floors }), undefined, 'reached');
  t.notMatch(formatLimits(suite({}), [ROW]), /\|/, 'no table without a row');
  t.same(findLimits(run('iops', { aionbd: 110, ...floors }), [ROW]), [], 'nobody to compare with');
  const switches: Target = { ...ROW, metric: 'contextSwitchesPerRequest', bound: 'at most', value: 0.5 };
  t.equal(reach(switches, floors), undefined, 'a figure that has no floor');
  const { against: _, ...alone } = ROW;
  t.equal(reach({ ...alone, value: 1000 }, floors), undefined, 'a figure on its own');
});

t.test('the table has a row for each, with ratios to the same others', async (t) => {
  const results = run('iops', { aionbd: 110, peer: 100, floor: 300, 'floor-aio': 150 });
  const lines = formatLimits(results, [ROW])
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' '));
  t.equal(
    lines[0],
    '| | against | wanted | measured | the same I/O in a loop of C | no I/O at all | can it be reached? |',
  );
  t.same(lines.slice(2), [
    '| reads: IOPS, aionbd | the peer | ≥ 2× | 1.10× | 1.50× | 3.00× | not with direct I/O |',
  ]);
});

t.test('every target that floors can bound names the right ones', async (t) => {
  for (const { what, metric, server, against, floors, case: name } of TARGETS) {
    const names = { withIo: floors?.withIo ?? [], withoutIo: floors?.withoutIo ?? [] };
    const title = `${what}: ${metric}, ${server}`;
    t.ok([...names.withIo, ...names.withoutIo].every(isFloor), title);
    t.ok(
      names.withIo.every((floor) => floor.startsWith('floor-aio')),
      title,
    );
    t.notOk(
      names.withoutIo.some((floor) => floor.startsWith('floor-aio')),
      title,
    );
    const isBounded = against !== undefined && BOUNDED_METRICS.includes(metric);
    t.equal(floors !== undefined, isBounded, title);
    if (!isBounded) continue;
    t.equal(names.withIo.length > 0, server !== 'aionbd-buffered', title);
    t.equal(names.withoutIo.length > 0, metric !== 'cpuMicrosecondsPerRequest', title);
    const all = [...names.withIo, ...names.withoutIo];
    // What one sleeping thread needs of the processor is the least; what keeps looking answers first.
    const isToSleep = metric === 'cpuMicrosecondsPerRequest' || server === 'aionbd-no-busy-poll';
    t.equal(
      all.some((floor) => floor.endsWith('-spin')),
      !isToSleep,
      title,
    );
    t.equal(
      all.some((floor) => floor.endsWith('-threads2')),
      name === 'conns16-qd1-unix',
      title,
    );
  }
});
