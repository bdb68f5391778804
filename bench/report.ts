import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatIdle, formatMicro, formatProfiles } from './documents.js';
import { BenchFailure, runProgram } from './failure.js';
import { formatLimits } from './limits.js';
import { readResults, writeCharts, writeTables } from './output.js';
import { KINDS, keepAlso, makePage, type Results, staleCharts } from './performance-page.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const USAGE = `Usage: npm run bench:report -- [FILE.json ...] [--out DIR] [--docs]

Makes tables and charts anew from what bench, bench:idle, bench:micro and bench:profile wrote.

  --out DIR   write tables.md, limits.md and a chart for each case there
  --docs      keep the figures in docs/performance/, and make the tables of docs/performance.md and README.md and the
              charts of all that is kept there; without a FILE, of what was kept before
`;

await runProgram(async () => {
  const { files, out, docs, help } = readArguments();
  if (help || (out === undefined && !docs) || (files.length === 0 && (out !== undefined || !docs))) {
    process.stdout.write(USAGE);
    process.exitCode = help ? 0 : 1;
    return;
  }
  const all = await Promise.all(files.map((file) => readResults<Results>(file, KINDS)));
  if (out !== undefined) for (const results of all) await writeReport(results, out);
  if (docs) await writeDocuments(all);
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

/** Writes nothing unless all of it can be made. */
async function writeDocuments(all: readonly Results[]): Promise<void> {
  const kept = await keepAlso(ROOT, all);
  const page = await makePage(ROOT, kept);
  const stale = await staleCharts(ROOT, page);
  for (const path of stale) await rm(join(ROOT, path));
  for (const [path, text] of page) await writeFile(join(ROOT, path), text);
  process.stdout.write([...page.keys(), ...stale.map((path) => `${path} removed`), ''].join('\n'));
}

function readArguments(): {
  files: readonly string[];
  out: string | undefined;
  docs: boolean;
  help: boolean;
} {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { out: { type: 'string' }, docs: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    return {
      files: positionals,
      out: values.out,
      docs: values.docs === true,
      help: values.help === true,
    };
  } catch (error) {
    throw new BenchFailure(error instanceof Error ? error.message : String(error));
  }
}
