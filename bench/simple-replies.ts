import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BenchFailure } from './failure.js';

const SOURCE = fileURLToPath(new URL('../bench/simple-replies.c', import.meta.url));
const LIBRARY = fileURLToPath(new URL('../build-bench/simple-replies.so', import.meta.url));

/** Compiles the library that keeps fio's libnbd from asking for structured replies, and returns its path. */
export function buildSimpleReplies(): string {
  const result = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', LIBRARY, SOURCE], { encoding: 'utf8' });
  if (result.status !== 0) {
    throw new BenchFailure(
      `cannot compile ${SOURCE} (apt-get install gcc): ${result.stderr ?? result.error}`,
    );
  }
  return LIBRARY;
}
