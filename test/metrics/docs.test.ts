// docs/metrics.md says what there is: no more, no less.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { FAMILIES } from '../../src/metrics/families.js';
import { LATENCY_BOUNDS_SECONDS } from '../../src/metrics/latency.js';
import { PROCESS_FAMILIES } from '../../src/metrics/process-families.js';
import { ROUTES } from '../../src/metrics/routes.js';
import { HANDSHAKE_FAILURES, OPERATIONS } from '../../src/metrics/snapshot.js';

const TEXT = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');

const rows = TEXT.split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const words = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);

t.test('docs/metrics.md lists exactly the metrics there are, with their types and labels', async (t) => {
  const documented = rows
    .filter(([cell]) => !cell?.includes('/'))
    .map(([name, type, labels]) => ({ name: words(name)[0], type, labels: words(labels) }));
  const byName = (a: { name: string | undefined }, b: { name: string | undefined }) =>
    (a.name ?? '') < (b.name ?? '') ? -1 : 1;
  t.strictSame(
    documented.sort(byName),
    [...FAMILIES, ...PROCESS_FAMILIES].map(({ name, type, labels }) => ({ name, type, labels })).sort(byName),
  );
});

t.test('docs/metrics.md says what each metric means', async (t) => {
  for (const [name, , , meaning] of rows.filter((cells) => cells.length === 4))
    t.match(meaning, /^[A-Z0-9].*\.$/, name);
});

t.test('docs/metrics.md names every operation, every reason and the bounds of the buckets', async (t) => {
  const labels = TEXT.slice(TEXT.indexOf('## Labels'), TEXT.indexOf('## Requests'));
  for (const operation of OPERATIONS) t.ok(words(labels).includes(operation), operation);
  const reasons = rows.find(([name]) => name === '`aionbd_handshake_failures_total`')?.[3];
  t.strictSame(words(reasons), [...HANDSHAKE_FAILURES]);
  const [first = 0] = LATENCY_BOUNDS_SECONDS;
  const last = LATENCY_BOUNDS_SECONDS.at(-1) ?? 0;
  t.match(
    TEXT,
    `${LATENCY_BOUNDS_SECONDS.length} buckets, powers of two from ${first * 1e6} µs to ${last.toFixed(1)} s`,
  );
});

t.test('docs/metrics.md lists paths that there are', async (t) => {
  const paths = rows.flatMap(([cell]) => /`GET (\/\S*)`/.exec(cell ?? '')?.[1] ?? []);
  t.ok(paths.length > 0);
  for (const path of paths) t.ok(Object.hasOwn(ROUTES, path), path);
});
