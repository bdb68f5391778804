import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { caseChart } from './charts.js';
import { BenchFailure } from './failure.js';
import type { SuiteResults } from './results.js';
import { formatSuite } from './tables.js';

/** The name of the file with all rounds. */
export const FIGURES = 'figures.json';

/** What a run measured, as its file has it. */
export function formatFigures(results: unknown): string {
  return `${JSON.stringify(results, null, 2)}\n`;
}

/** Writes figures.json, tables.md and a chart for each case into a folder, which is made if it is not there. */
export async function writeResults(results: SuiteResults, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, FIGURES), formatFigures(results));
  await writeTables(results, folder);
  await writeCharts(results, folder);
}

export async function writeTables(results: SuiteResults, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'tables.md'), formatSuite(results));
}

/** Writes NAME.json and NAME.md into a folder, which is made if it is not there. */
export async function writeFigures(
  folder: string,
  name: string,
  results: unknown,
  table: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), formatFigures(results));
  await writeFile(join(folder, `${name}.md`), `${table}\n`);
}

/** Writes a chart for each case that has one. */
export async function writeCharts(results: SuiteResults, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { file, svg } of caseCharts(results)) await writeFile(join(folder, file), svg);
}

/** The charts of a run: their files' names, what they show, and they themselves. */
export function caseCharts(
  results: SuiteResults,
): readonly { readonly file: string; readonly description: string; readonly svg: string }[] {
  return results.cases.flatMap((theCase) => {
    const svg = caseChart(theCase);
    return svg === undefined ? [] : [{ file: `${theCase.name}.svg`, description: theCase.description, svg }];
  });
}

/** Reads what a run wrote as JSON; throws BenchFailure if it is something else. */
export async function readResults<T extends { readonly kind: string }>(
  path: string,
  kinds: readonly T['kind'][],
): Promise<T> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new BenchFailure(`${path}: ${error instanceof Error ? error.message : error}`);
  }
  const kind = typeof parsed === 'object' && parsed !== null && 'kind' in parsed ? parsed.kind : undefined;
  if (!kinds.some((known) => known === kind)) {
    throw new BenchFailure(`${path}: these are not figures of ${kinds.join(' or ')}`);
  }
  return parsed as T;
}
