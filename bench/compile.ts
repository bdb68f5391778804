import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { oneLine } from './command.js';
import { BenchFailure } from './failure.js';

/** What this process has compiled: once is enough, and always of the source as it is. */
const compiled = new Set<string>();

/**
 * Compiles `bench/SOURCE` to `build-bench/RESULT` and returns the result's path; throws BenchFailure where there is no
 * compiler or it refuses.
 */
export function compileC(source: string, result: string, flags: readonly string[]): string {
  const from = fileURLToPath(new URL(`../bench/${source}`, import.meta.url));
  const to = fileURLToPath(new URL(`../build-bench/${result}`, import.meta.url));
  if (compiled.has(to)) return to;
  mkdirSync(dirname(to), { recursive: true });
  // Another program may be running the one of before, or be about to.
  const unfinished = `${to}.${process.pid}`;
  const { status, stderr, error } = spawnSync('cc', [...flags, '-o', unfinished, from], { encoding: 'utf8' });
  if (status !== 0) {
    const why = error === undefined ? oneLine(stderr) : error.message;
    throw new BenchFailure(`cannot compile ${from} (apt-get install gcc): ${why}`);
  }
  renameSync(unfinished, to);
  compiled.add(to);
  return to;
}
