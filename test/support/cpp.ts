// Programs in C++ that walk a part of the addon through what no test can wait for.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Test } from 'tap';
import { scratch } from './files.js';

const FLAGS = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-Werror'];

/** Compiles `sources` and runs what comes of it: it says on stderr what is not so, and is silent otherwise. */
export function assertWalk(t: Test, sources: readonly string[]): void {
  const program = join(scratch(t), 'walk');
  const compiled = spawnSync('c++', [...FLAGS, '-o', program, ...sources], { encoding: 'utf8' });
  t.equal(compiled.status, 0, compiled.stderr ?? String(compiled.error));
  const { status, stderr } = spawnSync(program, { encoding: 'utf8' });
  t.same({ status, stderr }, { status: 0, stderr: '' });
}
