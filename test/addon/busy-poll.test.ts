// When the reactor looks for requests and when it sleeps is decided by times that no test can wait for: the policy alone, in C++.

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { scratch } from '../support/files.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

t.test('--busy-poll auto looks while that finds events soon, and else tries now and then', async (t) => {
  t.ok(availableParallelism() > 1, 'with one processor it never looks');
  const program = join(scratch(t), 'busy-poll');
  const sources = [here('busy-poll.cc'), here('../../addon/busy_poll.cc')];
  const flags = ['-std=c++17', '-O1', '-Wall', '-Wextra', '-Werror'];
  const compiled = spawnSync('c++', [...flags, '-o', program, ...sources], { encoding: 'utf8' });
  t.equal(compiled.status, 0, compiled.stderr ?? String(compiled.error));
  const { status, stderr } = spawnSync(program, { encoding: 'utf8' });
  t.same({ status, stderr }, { status: 0, stderr: '' });
});
