// The documents' tables and the charts are made of the figures that lie beside them, and of nothing else.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { IdleResults } from '../../bench/idle-results.js';
import { KEPT_FOLDER, keepAlso, keptFile, makePage, staleCharts } from '../../bench/performance-page.js';
import { scratch } from '../support/files.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

t.test('README.md, docs/performance.md and its charts are what the kept figures make of them', async (t) => {
  const page = await makePage(ROOT, await keepAlso(ROOT, []));
  t.ok(page.has('README.md') && page.has('docs/performance.md'));
  for (const [path, text] of page) {
    t.equal(readFileSync(join(ROOT, path), 'utf8'), text, `npm run bench:report -- --docs writes ${path}`);
  }
  t.same(await staleCharts(ROOT, page), []);
});

t.test('a figure that somebody types is found, and so is a chart of a case that is gone', async (t) => {
  const root = scratch(t);
  mkdirSync(join(root, 'docs'));
  for (const path of ['README.md', 'docs/performance.md', KEPT_FOLDER])
    cpSync(join(ROOT, path), join(root, path), { recursive: true });
  const path = join(root, 'README.md');
  const before = readFileSync(path, 'utf8');
  const typed = before.replace(/(<!-- table: readme -->[^0-9]*)[0-9]/, '$1x');
  t.not(typed, before);
  writeFileSync(path, typed);
  writeFileSync(join(root, KEPT_FOLDER, 'gone.svg'), '<svg/>');
  const page = await makePage(root, await keepAlso(root, []));
  t.equal(page.get('README.md'), before);
  t.same(await staleCharts(root, page), [`${KEPT_FOLDER}/gone.svg`]);
});

t.test('new figures take the place of those that are kept', async (t) => {
  const kept = await keepAlso(ROOT, []);
  const idle = kept.find((results): results is IdleResults => results.kind === 'idle')!;
  const page = await makePage(ROOT, await keepAlso(ROOT, [{ ...idle, commit: 'feedfacade' }]));
  t.match(page.get('docs/performance.md'), /aionbd feedfacade\./);
  t.match(page.get(keptFile('idle')), '"commit": "feedfacade"');
  t.equal(page.get(keptFile('suite')), readFileSync(join(ROOT, keptFile('suite')), 'utf8'));
});

t.test('figures that are missing are named, and so is a kind that is there twice', async (t) => {
  await t.rejects(keepAlso(scratch(t), []), { message: /docs\/performance\/suite\.json: ENOENT/ });
  const [suite] = await keepAlso(ROOT, []);
  await t.rejects(keepAlso(ROOT, [suite!, suite!]), { message: /two files have figures of suite/ });
});
