// The client that holds idle connections open, against a running server.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { IdleClient } from '../../bench/idle-client.js';
import { KiB, MiB, patternFile, scratch } from '../support/files.js';
import { serve } from '../support/server.js';

t.test('it writes what it is told, and counts a reply for each read', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 4 * MiB, 1);
  const server = await serve(t, { exports: [{ name: 'f', path }] });
  const client = await IdleClient.open({ kind: 'unix', path: server.socketPath });
  const data = Buffer.alloc(MiB, 7);
  await client.write(data, MiB);
  await client.readMany(256, 4 * KiB, MiB);
  await client.write(data, 2 * MiB);
  client.close();
  await server.stop(t);
  t.ok(
    readFileSync(path)
      .subarray(MiB, 3 * MiB)
      .equals(Buffer.alloc(2 * MiB, 7)),
  );
});

t.test('an error from the server is an error of the client', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), MiB, 1);
  const server = await serve(t, { exports: [{ name: 'f', path, readOnly: true }] });
  const client = await IdleClient.open({ kind: 'unix', path: server.socketPath });
  await t.rejects(client.write(Buffer.alloc(4 * KiB), 0), { message: /answered with (an )?error/ });
  await t.rejects(client.readMany(1, 4 * KiB, MiB), { message: /answered with (an )?error/ });
  client.close();
  await server.stop(t);
});
