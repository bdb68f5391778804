// Meta contexts: how they are chosen, and what the one of our own tells.

import { join } from 'node:path';
import t from 'tap';
import { KiB, MiB, scratch, sparseFile } from '../support/files.js';
import { assertVerdicts } from '../support/python.js';
import { serve } from '../support/server.js';

t.test('contexts are listed and selected as the protocol says', async (t) => {
  const directory = scratch(t);
  const server = await serve(t, {
    exports: [
      { name: 'first', path: sparseFile(join(directory, '1'), 3 * MiB) },
      { name: 'second', path: sparseFile(join(directory, '2'), 3 * MiB) },
    ],
  });
  await assertVerdicts(t, 'contexts.py', [server.socketPath]);
  await server.stop(t);
});

for (const direct of ['on', 'off'] as const) {
  t.test(`aionbd:changed tells what was changed since the server started, direct=${direct}`, async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), 64 * MiB + 3 * KiB + 1);
    // The second time, what the first has changed is not changed any more: it begins with that.
    for (const prefix of ['', 'after a restart: ']) {
      const server = await serve(t, { exports: [{ name: 'disk', path, direct }] });
      await assertVerdicts(t, 'changed.py', [server.uri('disk')], prefix);
      await server.stop(t);
    }
  });
}
