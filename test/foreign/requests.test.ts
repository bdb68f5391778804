// libnbd and a small client of our own send what a server must refuse, and the server refuses it by the rules.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MiB, patternFile, scratch, sparseFile } from '../support/files.js';
import { assertVerdicts } from '../support/python.js';
import { serve } from '../support/server.js';

for (const direct of ['on', 'off'] as const) {
  t.test(`wrong requests get the right error, direct=${direct}`, async (t) => {
    const directory = scratch(t);
    const size = 130 * MiB;
    const server = await serve(t, {
      exports: [
        { name: 'disk', path: sparseFile(join(directory, 'disk'), size), direct },
        { name: 'locked', path: patternFile(join(directory, 'locked'), MiB, 1), readOnly: true, direct },
      ],
    });
    await assertVerdicts(t, 'wrong_requests.py', [server.socketPath, String(size)]);
    await server.stop(t);
    t.equal(statSync(join(directory, 'disk')).size, size, 'the file is as long as before');
  });
}

t.test('exports are offered, described, found and not found as the protocol says', async (t) => {
  const directory = scratch(t);
  const server = await serve(t, {
    exports: [
      { name: 'first', path: sparseFile(join(directory, '1'), 3 * MiB), description: 'the first, one' },
      { name: 'second', path: sparseFile(join(directory, '2'), 5 * MiB), readOnly: true },
    ],
  });
  await assertVerdicts(t, 'handshake.py', [server.socketPath]);
  await server.stop(t);
});
