// What deploy/ has for Prometheus and Grafana fits what the server shows.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { FAMILIES } from '../../src/metrics/families.js';
import { DIRECT_IS_OFF } from '../../src/metrics/observation.js';
import { PROCESS_FAMILIES } from '../../src/metrics/process-families.js';
import { scratch } from '../support/files.js';
import { run } from '../support/programs.js';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const RULES = readFileSync(`${DEPLOY}/prometheus/rules.yml`, 'utf8');
const RULES_TEST = readFileSync(`${DEPLOY}/prometheus/rules.test.yml`, 'utf8');

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}
const dashboard = JSON.parse(readFileSync(`${DEPLOY}/grafana/aionbd.json`, 'utf8')) as Dashboard;

/** Names of series, with their labels. */
const series = new Map<string, readonly string[]>();
for (const { name, type, labels } of [...FAMILIES, ...PROCESS_FAMILIES]) {
  const plain = labels.filter((label) => label !== 'le');
  if (type !== 'histogram' && type !== 'summary') series.set(name, labels);
  if (type === 'histogram') series.set(`${name}_bucket`, labels);
  if (type === 'histogram' || type === 'summary') {
    series.set(`${name}_sum`, plain);
    series.set(`${name}_count`, plain);
  }
}
const recorded = [...RULES.matchAll(/record: (\S+)/g)].map(([, name = '']) => name);
const alerts = [...RULES.matchAll(/alert: (\S+)/g)].map(([, name = '']) => name);

/** What is asked of metrics in a query: their names, and the labels that are selected by. */
function used(query: string) {
  const bare = query.replaceAll(/\[[^\]]*\]/g, '');
  return [...bare.matchAll(/\b((?:aionbd|process|nodejs)_\w+|\w+:[\w:]+)(\{[^}]*\})?/g)].map(
    ([, name = '', selector = '']) => ({
      name,
      labels: [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label),
    }),
  );
}

function checkQuery(t: Test, query: string, where: string): void {
  const uses = used(query);
  t.ok(uses.length > 0 || query.startsWith('up{'), `${where}: has a metric`);
  for (const { name, labels } of uses) {
    const known = series.get(name);
    t.ok(known !== undefined || recorded.includes(name), `${where}: ${name} exists`);
    for (const label of labels) {
      t.ok(
        known === undefined || ['job', 'instance', ...known].includes(label),
        `${where}: ${name} has the label ${label}`,
      );
    }
  }
  for (const [, by = ''] of query.matchAll(/\bby \(([^)]*)\)/g)) {
    const there = new Set(['job', 'instance', ...uses.flatMap(({ name }) => series.get(name) ?? [])]);
    for (const label of by.split(','))
      t.ok(there.has(label.trim()), `${where}: there is a label ${label.trim()}`);
  }
}

t.test(
  'promtool accepts the rules and the examples, and each rule does in its tests what it should',
  async (t) => {
    for (const args of [
      ['check', 'rules', 'rules.yml'],
      ['check', 'config', 'scrape.yml'],
      ['test', 'rules', 'rules.test.yml'],
    ]) {
      const { code, stdout, stderr } = await run('promtool', args, { cwd: `${DEPLOY}/prometheus` });
      t.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`);
    }
  },
);

t.test('each alert fires in one test of the rules and is silent in another', async (t) => {
  t.ok(alerts.length > 8);
  const tested = [
    ...RULES_TEST.matchAll(/alertname: (\w+)(?:, exp_alerts: (\[\])|\n\s+exp_alerts:\n\s+- )/g),
  ];
  const names = (silent: boolean) =>
    tested.filter(([, , empty]) => (empty !== undefined) === silent).map(([, name]) => name);
  t.strictSame(names(true).sort(), [...alerts].sort(), 'silent');
  t.strictSame(names(false).sort(), [...alerts].sort(), 'fires');
});

t.test('every metric and label that a rule asks for is there', async (t) => {
  const queries = [...RULES.matchAll(/expr: (?:>-\n((?:\s{10,}\S.*\n)+)|(.+)\n)/g)].map(
    ([, folded, plain]) => folded ?? plain ?? '',
  );
  t.equal(queries.length, recorded.length + alerts.length);
  for (const query of queries) checkQuery(t, query, query.trim().slice(0, 60));
});

t.test('every metric and label that the dashboard asks for is there', async (t) => {
  const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ title, expr })),
  );
  t.ok(queries.length > 30);
  for (const { title, expr } of queries) checkQuery(t, expr, title);
  for (const { expr } of dashboard.annotations.list) checkQuery(t, expr, 'annotation');
  const variables = dashboard.templating.list.map(({ name }) => name);
  for (const { name, definition } of dashboard.templating.list) {
    if (definition === undefined) continue;
    const [, query = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? [];
    checkQuery(t, query, `variable ${name}`);
    t.equal(label, name);
  }
  const asked = JSON.stringify(dashboard).matchAll(/\$(?!__)\{?(\w+)/g);
  for (const [, name = ''] of asked) t.ok(variables.includes(name), `there is a variable ${name}`);
});

t.test('a metric that is not there would be found out', async (t) => {
  t.match(used('rate(aionbd_nothing_total{export="x", colour="y"}[5m])'), [
    { name: 'aionbd_nothing_total', labels: ['export', 'colour'] },
  ]);
  t.notOk(series.has('aionbd_nothing_total'));
});

t.test('Prometheus can parse every query of the dashboard', async (t) => {
  const groups = dashboard.panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }, i) => ({
      record: `panel:query${i}:x`,
      expr: expr.replaceAll('$__rate_interval', '1m'),
    }));
  const rules = JSON.stringify({ groups: [{ name: 'dashboard', rules: groups }] });
  const file = join(scratch(t), 'rules.json');
  writeFileSync(file, rules);
  const { code, stdout, stderr } = await run('promtool', ['check', 'rules', file]);
  t.equal(code, 0, stdout + stderr);
  t.match(stdout, `${groups.length} rules found`);
});

t.test('panels of the dashboard lie beside each other', async (t) => {
  const cells = new Set<string>();
  for (const { title, gridPos } of dashboard.panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        if (cells.has(`${x},${y}`) || x > 23) t.fail(`${title} lies on another one at ${x},${y}`);
        cells.add(`${x},${y}`);
      }
    }
  }
  t.ok(cells.size > 24 * 30);
});

t.test('what is buffered because it was asked for is no fallback to the alert', async (t) => {
  const pattern = /aionbd_export_buffered_info\{reason!~"([^"]*)"\}/.exec(RULES)?.[1];
  t.ok(new RegExp(`^${pattern}$`).test(DIRECT_IS_OFF), `${pattern} matches "${DIRECT_IS_OFF}"`);
  t.ok(
    RULES_TEST.includes(`reason="${DIRECT_IS_OFF}"`),
    'and the rules are tested with what the server says',
  );
});
