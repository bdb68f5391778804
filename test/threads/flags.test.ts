// Flags of node itself, which its threads get too.

import { join } from 'node:path';
import t from 'tap';
import { MiB, pattern, scratch, sparseFile } from '../support/files.js';
import { serve } from '../support/server.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ, WRITE } from '../transmission/wire.js';

for (const nodeArgs of [['--max-old-space-size=300'], ['--stack-size=900', '--no-warnings']]) {
  t.test(`a server on several threads starts and serves under node ${nodeArgs.join(' ')}`, async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    const exports = [{ name: 'disk', path }];
    const server = await serve(t, { exports, nodeArgs, args: ['--threads', '2'] });
    const payload = pattern(5000, 1);
    for (let i = 0; i < 2; i++) {
      const client = await RawClient.open({ kind: 'unix', path: server.socketPath }, 'disk');
      t.teardown(() => client.destroy());
      t.equal(await client.errorOf({ type: WRITE, offset: i * 7000, payload }), 0);
      const reply = await client.call({ type: READ, offset: i * 7000, length: payload.length });
      t.ok(reply?.data.equals(payload));
    }
    await server.stop(t);
  });
}
