import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Blocks, fillPlaces, idleBlocks, microBlocks, profileBlocks, suiteBlocks } from './documents.js';
import { BenchFailure } from './failure.js';
import type { IdleResults } from './idle-results.js';
import type { MicroResults } from './micro-results.js';
import { caseCharts, formatFigures, readResults } from './output.js';
import type { ProfileResults } from './profile-results.js';
import type { SuiteResults } from './results.js';

// The documents' measured parts, made of figures that are kept in the repository beside the charts: whoever changes how
// a table looks writes the documents anew without measuring, and whoever doubts one finds every round.

export type Results = SuiteResults | IdleResults | MicroResults | ProfileResults;

export const KINDS: readonly Results['kind'][] = ['suite', 'idle', 'micro', 'profile'];

/** Relative to the repository: charts, and a file of figures for each kind. */
export const KEPT_FOLDER = 'docs/performance';
/** Places are filled in all of them. */
const DOCUMENTS = ['docs/performance.md', 'README.md'] as const;
/** From docs/performance.md, which is the only one with charts. */
const CHARTS_PATH = 'performance';

/** Where figures of a kind are kept, relative to the repository. */
export function keptFile(kind: Results['kind']): string {
  return `${KEPT_FOLDER}/${kind}.json`;
}

/**
 * The figures that the documents are made of: of each kind what is in `also`, or else what is kept in `root`. Throws
 * BenchFailure if a kind is missing, or there twice.
 */
export async function keepAlso(root: string, also: readonly Results[]): Promise<readonly Results[]> {
  const kept: Results[] = [];
  // One after the other: of several that are missing it is always the first that is named.
  for (const kind of KINDS) {
    const [given, second] = also.filter((results) => results.kind === kind);
    if (second !== undefined) throw new BenchFailure(`two files have figures of ${kind}: give one of them`);
    kept.push(given ?? (await readResults<Results>(join(root, keptFile(kind)), [kind])));
  }
  return kept;
}

/** The documents, charts and kept figures as they are to be: texts by their paths relative to `root`. */
export async function makePage(root: string, kept: readonly Results[]): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const blocks: Blocks = Object.assign({}, ...kept.map(blocksOf));
  for (const path of DOCUMENTS) {
    files.set(path, fillPlaces(await readFile(join(root, path), 'utf8'), blocks));
  }
  for (const results of kept) {
    files.set(keptFile(results.kind), formatFigures(results));
    if (results.kind !== 'suite') continue;
    for (const { file, svg } of caseCharts(results)) files.set(`${KEPT_FOLDER}/${file}`, svg);
  }
  return files;
}

/** Charts in `root` that the page is not made of any more: paths relative to it. */
export async function staleCharts(
  root: string,
  page: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const paths = (await readdir(join(root, KEPT_FOLDER))).map((name) => `${KEPT_FOLDER}/${name}`);
  return paths.filter((path) => path.endsWith('.svg') && !page.has(path));
}

function blocksOf(results: Results): Blocks {
  switch (results.kind) {
    case 'suite': {
      const charts = caseCharts(results);
      return suiteBlocks(
        results,
        charts.map(({ file, description }) => ({ path: `${CHARTS_PATH}/${file}`, description })),
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
