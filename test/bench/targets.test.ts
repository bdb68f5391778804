// What is to be reached: every row is about something that is measured, and is judged by medians.

import t from 'tap';
import { caseNamed } from '../../bench/cases.js';
import { METRIC_KEYS } from '../../bench/metrics.js';
import { misfit } from '../../bench/round.js';
import { contenderNamed } from '../../bench/servers.js';
import { SETS } from '../../bench/sets.js';
import { formatVerdicts, judgeTargets, TARGETS, type Target } from '../../bench/targets.js';
import { suite } from './suite.js';

const iops = (...values: readonly number[]) => values.map((value) => ({ iops: value }));

const ROW: Target = {
  what: 'reads',
  case: 'c',
  metric: 'iops',
  server: 'aionbd',
  against: { label: 'best of two', servers: ['a', 'b'] },
  bound: 'at least',
  value: 2,
};

t.test('every target names a case, a metric and servers that the targets set measures', async (t) => {
  t.equal(TARGETS.length, 27);
  for (const target of TARGETS) {
    const entry = SETS.targets.entries.find((candidate) => candidate.case === target.case);
    const measured: readonly string[] = entry?.servers ?? [];
    t.ok(METRIC_KEYS.includes(target.metric), target.metric);
    for (const server of [
      target.server,
      ...(target.against?.servers ?? []),
      ...(target.forComparison ?? []),
      ...(target.floors?.withIo ?? []),
      ...(target.floors?.withoutIo ?? []),
    ]) {
      t.ok(measured.includes(server), `${target.case}: ${server}`);
      t.equal(misfit(caseNamed(target.case), contenderNamed(server)), undefined);
    }
  }
});

t.test('the ratio is of medians, against the best of the others', async (t) => {
  const results = suite({ c: { aionbd: iops(90, 100, 900), a: iops(10, 20, 30), b: iops(1, 40, 41) } });
  const [verdict] = judgeTargets(results, [ROW]);
  t.equal(verdict?.measured, 2.5);
  t.same(verdict?.best, { name: 'b', median: 40 });
  t.equal(verdict?.reached, true);
});

t.test('where less is better the best is the lowest', async (t) => {
  const cpu = (value: number) => [{ cpuMicrosecondsPerRequest: value }];
  const results = suite({ c: { aionbd: cpu(5), a: cpu(20), b: cpu(10) } });
  const row: Target = { ...ROW, metric: 'cpuMicrosecondsPerRequest', bound: 'at most', value: 0.42 };
  const [verdict] = judgeTargets(results, [row]);
  t.same(verdict?.best, { name: 'b', median: 10 });
  t.equal(verdict?.reached, false, 'half is more than 0.42');
});

t.test('a figure on its own is measured by itself, and each bound has its own edge', async (t) => {
  const results = suite({ c: { aionbd: iops(2) } });
  const { against: _, ...alone } = ROW;
  const judged = (bound: Target['bound'], value: number) =>
    judgeTargets(results, [{ ...alone, bound, value }])[0]?.reached;
  t.equal(judged('at least', 2), true);
  t.equal(judged('at least', 2.01), false);
  t.equal(judged('at most', 2), true);
  t.equal(judged('at most', 1.99), false);
  t.equal(judged('below', 2), false);
  t.equal(judged('below', 2.01), true);
});

t.test('what was not measured is neither reached nor missed', async (t) => {
  for (const results of [
    suite({}),
    suite({ c: { aionbd: iops(5) } }),
    suite({ c: { aionbd: [], a: iops(1), b: iops(1) } }),
    suite({ c: { a: iops(1), b: iops(1) } }),
    suite({ c: { aionbd: iops(5), b: iops(2) } }),
    suite({ c: { aionbd: iops(5), a: [], b: iops(2) } }),
  ]) {
    t.equal(judgeTargets(results, [ROW])[0]?.reached, undefined);
  }
  const some = suite({ c: { aionbd: iops(5), b: iops(2) } });
  t.equal(judgeTargets(some, [ROW])[0]?.best, undefined, 'the best of some is not the best of all');
});

t.test('the table tells the figures, the bound and the count', async (t) => {
  const results = suite({ c: { aionbd: iops(100_000), a: iops(40_000), b: iops(30_000) } });
  const rows = [ROW, { ...ROW, value: 3 }, { ...ROW, case: 'other' }];
  const text = formatVerdicts(results, judgeTargets(results, rows));
  const lines = text.split('\n').map((line) => line.replaceAll(/ +/g, ' '));
  t.equal(lines[2], '| reads: IOPS, aionbd | 100,000 | best of two: 40,000 (a) | ≥ 2× | 2.50× | reached |');
  t.match(lines[3], /≥ 3× \| 2\.50× \| not reached \|$/);
  t.match(lines[4], /\| – \| best of two: – \| ≥ 2× \| –× \| not measured \|$/);
  t.equal(lines.at(-1), '1 of 3 reached.');
});
