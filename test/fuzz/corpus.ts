// The fixtures: one file a case, under corpus/<target>. What fails is written to the current directory's place for it.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { FuzzCase } from './case.js';
import { parseCase, printCase } from './text.js';

export interface Fixture {
  readonly file: string;
  readonly fuzzCase: FuzzCase;
}

/** The project's own directory, also for what was compiled to another place in it. */
export function projectDirectory(): string {
  let directory = import.meta.dirname ?? process.cwd();
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('there is no package.json above the fuzzer');
    directory = parent;
  }
  return directory;
}

export function corpusOf(target: string): Fixture[] {
  const directory = join(projectDirectory(), 'test/fuzz/corpus', target);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((name) => readFixture(join(directory, name)));
}

/** Throws for a file that is no case, and says where. */
export function readFixture(path: string): Fixture {
  try {
    return { file: basename(path, '.txt'), fuzzCase: parseCase(readFileSync(path, 'utf8')) };
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}

/** Writes what fails where `--replay` finds it, and returns the path. */
export function writeFailure(
  directory: string,
  target: string,
  seed: number,
  fault: string,
  fuzzCase: FuzzCase,
): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${target}-${seed}-${Date.now()}.txt`);
  const why = fault.split('\n').map((line) => `# ${line}\n`);
  writeFileSync(path, `# target: ${target}, seed ${seed}\n${why.join('')}${printCase(fuzzCase)}`);
  return path;
}
