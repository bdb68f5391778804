// When the reactor looks for requests and when it sleeps is decided by times that no test can wait for: the policy alone, in C++.

import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { assertWalk } from '../support/cpp.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

t.test('--busy-poll auto looks while that finds events soon, and else tries now and then', async (t) => {
  t.ok(availableParallelism() > 1, 'with one processor it never looks');
  assertWalk(t, [here('busy-poll.cc'), here('../../addon/busy_poll.cc')]);
});
