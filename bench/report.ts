import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  type Blocks,
  fillPlaces,
  formatIdle,
  formatMicro,
  formatProfiles,
  idleBlocks,
  microBlocks,
  profileBlocks,
  suiteBlocks,
} from './documents.js';
import { BenchFailure, runProgram } from './failure.js';
import type { IdleResults } from './idle-results.js';
import { formatLimits } from './limits.js';
import type { MicroResults } from './micro-results.js';
import { readResults, writeCharts, writeTables } from './output.js';
import type { ProfileResults } from './profile-results.js';
import type { SuiteResults } from './results.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Places are filled in all of them. Charts lie beside the first. */
const DOCUMENTS = ['docs/performance.md', 'README.md'] as const;
const CHARTS_FOLDER = 'performance';

const USAGE = `Usage: npm run bench:report -- FILE.json ... [--out DIR] [--docs]

Makes tables and charts anew from what bench, bench:idle, bench:micro and bench:profile wrote.

  --out DIR   write tables.md, limits.md and a chart for each case there
  --docs      fill the tables of docs/performance.md and README.md, and put the charts into docs/performance/
`;

type Results = SuiteResults | IdleResults | MicroResults | ProfileResults;

await runProgram(async () => {
  const { files, out, docs } = readArguments();
  if (files.length === 0 || (out === undefined && !docs)) {
    process.stdout.write(USAGE);
    process.exitCode = files.length === 0 ? 0 : 1;
    return;
  }
  for (const file of files) {
    const results = await readResults<Results>(file, ['suite', 'idle', 'micro', 'profile']);
    if (out !== undefined) await writeReport(results, out);
    if (docs) await fillDocuments(await blocksOf(results), file);
  }
});

async function writeReport(results: Results, folder: string): Promise<void> {
  switch (results.kind) {
    case 'suite':
      await writeTables(results, folder);
      await writeText(folder, 'limits.md', formatLimits(results));
      await writeCharts(results, folder);
      return;
    case 'idle':
      return writeText(folder, 'idle.md', formatIdle(results));
    case 'micro':
      return writeText(folder, 'micro.md', formatMicro(results));
    case 'profile':
      return writeText(folder, 'profile.md', formatProfiles(results));
  }
}

async function writeText(folder: string, name: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), `${text}\n`);
}

async function fillDocuments(blocks: Blocks, source: string): Promise<void> {
  for (const name of DOCUMENTS) {
    const path = join(ROOT, name);
    const { text, filled } = fillPlaces(await readFile(path, 'utf8'), blocks);
    if (filled.length === 0) continue;
    await writeFile(path, text);
    process.stdout.write(`${name}: ${filled.join(', ')} from ${source}\n`);
  }
}

async function blocksOf(results: Results): Promise<Blocks> {
  switch (results.kind) {
    case 'suite': {
      const folder = join(ROOT, DOCUMENTS[0], '..', CHARTS_FOLDER);
      // Nothing of an older run stays behind.
      await rm(folder, { recursive: true, force: true });
      const charts = await writeCharts(results, folder);
      return suiteBlocks(
        results,
        charts.map(({ file, description }) => ({ path: `${CHARTS_FOLDER}/${file}`, description })),
      );
    }
    case 'idle':
      return idleBlocks(results);
    case 'micro':
      return microBlocks(results);
    case 'profile':
      return profileBlocks(results);
  }
}

function readArguments(): { files: readonly string[]; out: string | undefined; docs: boolean } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { out: { type: 'string' }, docs: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    return {
      files: values.help === true ? [] : positionals,
      out: values.out,
      docs: values.docs === true,
    };
  } catch (error) {
    throw new BenchFailure(error instanceof Error ? error.message : String(error));
  }
}
