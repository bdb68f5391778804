// Counters, as libnbd sees them: what it asked for, with every kind of reply that it knows, is what the server counts.

import { join } from 'node:path';
import t from 'tap';
import { createServer } from '../../src/index.js';
import { MiB, patternFile, scratch } from '../support/files.js';
import { pythonOutput } from '../support/python.js';

interface Tally {
  readonly requests: number;
  readonly bytes: number;
  readonly errors: Readonly<Record<string, number>>;
}

const NOTHING: Tally = { requests: 0, bytes: 0, errors: {} };

t.test('each operation, its bytes and its errors are counted as libnbd counts them', async (t) => {
  const folder = scratch(t);
  const path = patternFile(join(folder, 'disk'), 4 * MiB, 1);
  const server = await createServer({ exports: [{ name: 'disk', path }] });
  t.teardown(() => server.close(500));
  const socket = join(folder, 's');
  await server.listen({ kind: 'unix', path: socket });
  const output = await pythonOutput('counted.py', [`nbd+unix:///disk?socket=${socket}`]);
  const counted = JSON.parse(output) as Readonly<Record<string, Tally>>;
  const [target] = (await server.snapshot()).exports;
  for (const [operation, { latency, diskLatency, ...tally }] of Object.entries(target!.operations)) {
    t.same(tally, counted[operation] ?? NOTHING, operation);
    t.equal(
      latency.counts.reduce((sum, count) => sum + count, 0),
      tally.requests,
      `${operation}: each was timed`,
    );
  }
  t.ok(Object.keys(counted).length >= 7, 'all were asked for');
  t.match(target, { inFlight: 0, requestsGivenUp: 0, connectionsTotal: 1 });
  t.ok(target!.inFlightMost >= 1);
});
