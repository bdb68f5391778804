// Tables, charts and the places in the document, from figures that are made up.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { caseChart } from '../../bench/charts.js';
import {
  BLOCK_NAMES,
  fillPlaces,
  formatIdle,
  formatMicro,
  formatModel,
  formatProfiles,
  idleBlocks,
  microBlocks,
  profileBlocks,
  README_BLOCK,
  suiteBlocks,
} from '../../bench/documents.js';
import type { IdleResults } from '../../bench/idle-results.js';
import type { MicroResults } from '../../bench/micro-results.js';
import { Pace } from '../../bench/pace.js';
import type { ProfileResults } from '../../bench/profile-results.js';
import { formatReadme } from '../../bench/readme.js';
import { medianOf, metricsOf } from '../../bench/results.js';
import { summarize } from '../../bench/statistics.js';
import { formatCase, formatOverview, formatSuite, markdownTable } from '../../bench/tables.js';
import { suite } from './suite.js';

const RESULTS = suite({
  'some-reads': {
    aionbd: [
      { iops: 1000, mibPerSecond: 3.90625, cpuMicrosecondsPerRequest: 4 },
      { iops: 3000, mibPerSecond: 11.71875, cpuMicrosecondsPerRequest: 6 },
      { iops: 2000, mibPerSecond: 7.8125, cpuMicrosecondsPerRequest: 5 },
    ],
    peer: [{ iops: 500, cpuMicrosecondsPerRequest: 20 }],
  },
  start: { aionbd: [{ startMs: 120 }] },
});
const IDLE: IdleResults = {
  kind: 'idle',
  connections: 1000,
  bufferMemoryMib: 64,
  commit: 'abc',
  stages: [
    { name: 'quiet', pssKibPerConnection: 3.72, rssKibPerConnection: 6, bufferKibPerConnection: undefined },
  ],
};
const MICRO: MicroResults = {
  kind: 'micro',
  commit: 'abc',
  node: 'v20',
  tasks: [{ name: 'parse', nanoseconds: 12.5, errorPercent: 0.25 }],
};
const PROFILE: ProfileResults = {
  kind: 'profile',
  machine: { ...RESULTS.machine, processors: 2 },
  secondsPerCase: 2,
  profiles: [
    {
      ...{ case: 'some-reads', server: 'aionbd', iops: 50_000 },
      ...{ serverMicroseconds: 12, clientMicroseconds: 20, shares: { io_submit: 0.25, TypeScript: 0.75 } },
    },
  ],
};

const tight = (text: string): readonly string[] =>
  text.split('\n').map((line) => line.replaceAll(/ +/g, ' ').replaceAll(/-+/g, '-'));

t.test('a run tells how steady the machine was', async (t) => {
  t.match(formatSuite(RESULTS), /\| the same arithmetic before each round +\| 25 ms \(24–61\) +\|/);
  const before = suite({});
  const { paceMs, ...machine } = before.machine;
  t.notMatch(formatSuite({ ...before, machine }), /arithmetic/, 'figures of an older run');
  const pace = new Pace();
  t.equal(pace.summary, undefined);
  pace.sample();
  pace.sample();
  const { min, median, max } = pace.summary!;
  t.ok(min > 0 && min <= median && median <= max, `${min} ${median} ${max}`);
});

t.test('the median of an even number is between the two in the middle', async (t) => {
  t.same(summarize([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
  t.same(summarize([3, 1, 2]), { median: 2, min: 1, max: 3 });
  t.same(summarize([7]), { median: 7, min: 7, max: 7 });
});

t.test('a figure is the median of its rounds, or nothing', async (t) => {
  t.equal(medianOf(RESULTS, 'some-reads', 'aionbd', 'iops'), 2000);
  t.equal(medianOf(RESULTS, 'some-reads', 'aionbd', 'startMs'), undefined);
  t.equal(medianOf(RESULTS, 'some-reads', 'nobody', 'iops'), undefined);
  t.same(metricsOf(RESULTS.cases[1]!), ['startMs']);
});

t.test('a table is aligned, its first column to the left', async (t) => {
  t.same(markdownTable(['a', 'n'], [['long name', '1']]).split('\n'), [
    '| a         |   n |',
    '| --------- | --: |',
    '| long name |   1 |',
  ]);
});

t.test('the table of a case has median, lowest, highest, and the ratio of two servers', async (t) => {
  const lines = tight(formatCase(RESULTS.cases[0]!));
  t.ok(lines.includes('what some-reads does; a file'));
  t.ok(
    lines.includes('| aionbd | 2,000 (1,000–3,000) | 8 (4–12) | 5.00 (4.00–6.00) | 3 |'),
    lines.join('\n'),
  );
  t.ok(lines.includes('| peer | 500 | – | 20.00 | 1 |'), lines.join('\n'));
  t.ok(lines.includes('| aionbd ÷ peer | 4.00× | – | 0.25× | |'), lines.join('\n'));
});

t.test('a server that was given up is named with the reason', async (t) => {
  const [first] = RESULTS.cases;
  const failed = { name: 'x', description: 'x', rounds: [], failure: 'it fell over' };
  t.match(formatCase({ ...first!, servers: [failed] }), /^x was given up: it fell over$/m);
});

t.test('the whole report tells the machine, the programs and every case', async (t) => {
  const text = formatSuite(RESULTS);
  for (const wanted of ['2 × A Processor', 'node v20, fio 3.33', '0123456789', '2,048 MiB', '1.5 %']) {
    t.ok(text.includes(wanted), wanted);
  }
  t.match(text, /^## some-reads$/m);
  t.match(text, /^## start$/m);
});

t.test('an overview has only cases with its figure', async (t) => {
  t.same(tight(formatOverview(RESULTS, 'iops')), [
    '| IOPS | some-reads |',
    '| - | -: |',
    '| aionbd | 2,000 |',
    '| peer | 500 |',
  ]);
});

t.test('an overview has ours first, floors last, and a gap where a server was not measured', async (t) => {
  const of = (iops: number) => [{ iops }];
  const results = suite({
    one: { aionbd: of(1), peer: of(2), floor: of(3) },
    two: { aionbd: of(4), 'floor-aio': of(5), peer: of(6), 'aionbd-threads2': of(7) },
  });
  t.same(tight(formatOverview(results, 'iops')).slice(2), [
    '| aionbd | 1 | 4 |',
    '| aionbd-threads2 | | 7 |',
    '| peer | 2 | 6 |',
    '| floor | 3 | |',
    '| floor-aio | | 5 |',
  ]);
});

t.test('the model divides a second by the CPU time of a request', async (t) => {
  // 5 µs: 200,000 a second; of 4 KiB each that is 6.55 Gbit/s.
  const [, , row] = tight(formatModel(RESULTS));
  t.equal(row, '| some-reads | 5.00 | 200,000 | 6.6 | 1.53 | 3.81 | 15.26 |');
});

t.test('a chart has a bar for each server and figure, and asks for nothing from elsewhere', async (t) => {
  const svg = caseChart({ ...RESULTS.cases[0]!, description: 'a < b & "c"' }) ?? '';
  t.equal([...svg.matchAll(/<rect class="(?:ours|peer)"/g)].length, 4);
  t.match(svg, 'a &lt; b &amp; &quot;c&quot;');
  t.match(svg, 'prefers-color-scheme: dark');
  t.notMatch(svg.replace('http://www.w3.org/2000/svg', ''), /http|url\(|@import|<script|<image/);
  t.notMatch(svg, /NaN|undefined|Infinity/);
});

t.test('a bound is drawn apart from those that compete', async (t) => {
  const of = (iops: number) => [{ iops }];
  const [theCase] = suite({ c: { aionbd: of(1), nbdkit: of(2), 'floor-aio': of(3) } }).cases;
  const classes = [...(caseChart(theCase!) ?? '').matchAll(/<rect class="(\w+)" x="170/g)].map((m) => m[1]);
  t.same(classes, ['ours', 'peer', 'floor']);
});

t.test('a longer bar is a larger figure', async (t) => {
  const svg = caseChart(RESULTS.cases[0]!) ?? '';
  const widths = [...svg.matchAll(/<rect class="(?:ours|peer)" .*? width="([\d.]+)"/g)].map((m) =>
    Number(m[1]),
  );
  t.equal((widths[0]! / widths[1]!).toFixed(1), '4.0', 'IOPS');
  t.equal((widths[3]! / widths[2]!).toFixed(1), '4.0', 'CPU');
});

t.test('a case without IOPS is drawn with what it has, and one without figures is not', async (t) => {
  t.match(caseChart(RESULTS.cases[1]!), /start, ms/);
  const nothing = { ...RESULTS.cases[1]!, servers: [{ name: 'x', description: 'x', rounds: [] }] };
  t.equal(caseChart(nothing), undefined);
  const zero = suite({ collections: { aionbd: [{ collectionsPerMillion: 0 }] } }).cases[0]!;
  t.notMatch(caseChart(zero), /NaN|Infinity/);
});

t.test('idle connections and micro-benchmarks have tables', async (t) => {
  t.match(tight(formatIdle(IDLE)).join('\n'), '| quiet | 3.7 | 6.0 | – |');
  t.match(tight(formatMicro(MICRO)).join('\n'), '| parse | 12.5 | 0.3 % | 80,000,000 |');
});

t.test('a profile tells what a request costs both sides, and what the server is busy with', async (t) => {
  const table = tight(formatProfiles(PROFILE)).join('\n');
  t.match(table, '| some-reads, aionbd | 50,000 | 12.00 | 20.00 | 20.0 % |\n');
  t.match(table, '| some-reads, aionbd | 25.0 % | – |');
});

t.test('places are filled, filled again, and left alone without a block', async (t) => {
  const document =
    'a\n<!-- table: one -->\n<!-- /table -->\nb\n<!-- table: two -->\nold\n<!-- /table -->\nc\n';
  const once = fillPlaces(document, { one: 'x $& y', three: 'nobody' });
  t.equal(
    once,
    'a\n<!-- table: one -->\n\nx $& y\n\n<!-- /table -->\nb\n<!-- table: two -->\nold\n<!-- /table -->\nc\n',
  );
  t.equal(fillPlaces(once, { one: 'x $& y' }), once);
  t.match(fillPlaces(once, { two: 'new' }), 'b\n<!-- table: two -->\n\nnew\n\n<!-- /table -->\nc');
});

const placesOf = (path: string): (string | undefined)[] => {
  const document = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  return [...document.matchAll(/<!-- table: (.+?) -->\n[\s\S]*?<!-- \/table -->/g)].map((m) => m[1]);
};

t.test(
  'docs/performance.md has each place once, for a block that there is, and README.md its own',
  async (t) => {
    t.same(placesOf('docs/performance.md').sort(), [...BLOCK_NAMES].sort());
    t.same(placesOf('README.md'), [README_BLOCK]);
    const blocks = {
      ...suiteBlocks(RESULTS, []),
      ...idleBlocks(IDLE),
      ...microBlocks(MICRO),
      ...profileBlocks(PROFILE),
    };
    t.same(Object.keys(blocks).sort(), [...BLOCK_NAMES, README_BLOCK].sort());
  },
);

t.test('README.md shows ours beside the best of each peer, and claims no more than that', async (t) => {
  const results = suite({
    'randread-qd32-unix': {
      aionbd: [{ iops: 30_000, cpuMicrosecondsPerRequest: 3 }],
      'qemu-nbd-native': [{ iops: 20_000, cpuMicrosecondsPerRequest: 6 }],
      'qemu-nbd-threads': [{ iops: 10_000, cpuMicrosecondsPerRequest: 4 }],
      nbdkit: [{ iops: 40_000, cpuMicrosecondsPerRequest: 12 }],
    },
    'page-cache-4g': { aionbd: [{ pageCachePercent: 0 }], nbdkit: [{ pageCachePercent: 100 }] },
  });
  const text = formatReadme(results);
  const lines = tight(text);
  t.ok(lines.includes('| 4 KiB random reads, depth 32: IOPS | 30,000 | 20,000 | 40,000 | – |'), text);
  t.ok(lines.includes('| the same: server CPU, µs/request | 3.00 | 4.00 | 12.00 | – |'), text);
  t.match(text, '30,000 random reads of 4 KiB at depth 32, 1.50× what qemu-nbd does');
  t.match(text, '0.75× what nbdkit does');
  t.match(text, '3.00 µs of the server for each of them, 0.75× that of qemu-nbd and 0.25× that of nbdkit');
  t.match(text, '0 % of it is in the page cache; with nbdkit 100 %, with nbd-server – %');
  t.notMatch(text, /NaN|undefined|Infinity/);
  t.notMatch(formatReadme(RESULTS), /NaN|undefined|Infinity/);
});
