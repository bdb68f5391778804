import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { Live } from '../../src/metrics/live.js';
import type { ServerSnapshot } from '../../src/metrics/snapshot.js';
import { exportOf, operationOf, snapshotOf } from './snapshots.js';

const MOST_LISTENERS = 16;

async function open(t: Test, take: () => ServerSnapshot) {
  let taken = 0;
  const live = new Live({
    snapshot: () => {
      taken++;
      return take();
    },
    fresh: async () => {},
  });
  const server = createServer((request, response) => live.answer(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const listen = async () => {
    const [response] = (await once(get({ port, host: '127.0.0.1', agent: false }), 'response')) as [
      IncomingMessage,
    ];
    response.on('error', () => {});
    return response;
  };
  const connections = promisify(server.getConnections.bind(server));
  return { listen, taken: () => taken, connections };
}

/** The next events, as they come. */
async function events(response: IncomingMessage, count: number): Promise<ServerSnapshot[]> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) {
    text += chunk;
    const found = [...text.matchAll(/^data: (.*)\n\n/gm)];
    if (found.length >= count) return found.map((match) => JSON.parse(match[1]!));
  }
  throw new Error(`ended after ${text}`);
}

t.test('listeners get a snapshot at once and then each second, without what was never used', async (t) => {
  const target = exportOf('disk', { operations: { read: operationOf({ requests: 3 }) } });
  const { listen, taken } = await open(t, () => snapshotOf({ exports: [target] }));
  const response = await listen();
  t.match(response.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const found = await events(response, 3);
  t.equal(found.length, 3);
  t.same(found[0]!.exports[0], {
    ...JSON.parse(JSON.stringify(target)),
    operations: { read: found[0]!.exports[0]!.operations.read },
  });
  t.equal(taken(), 3);
  // Leaving the loop has closed it, so nobody is listening any more.
  const again = await listen();
  await events(again, 1);
  t.equal(taken(), 4, 'nothing was taken in between');
});

t.test('no more than so many listen at once', async (t) => {
  const { listen } = await open(t, () => snapshotOf());
  const responses = await Promise.all(Array.from({ length: MOST_LISTENERS }, listen));
  t.same([...new Set(responses.map(({ statusCode }) => statusCode))], [200]);
  const refused = await listen();
  t.equal(refused.statusCode, 503);
  refused.resume();
  for (const response of responses) response.destroy();
  for (;;) {
    const next = await listen();
    next.destroy();
    if (next.statusCode === 200) break;
  }
  t.pass('a place is free again when one leaves');
});

t.test('one that does not read is cut off, and nothing is kept for it', async (t) => {
  // More than the kernel keeps for a connection.
  const exports = [exportOf('x'.repeat(16 * 1024 * 1024))];
  const { listen, taken, connections } = await open(t, () => snapshotOf({ exports }));
  const response = await listen();
  response.pause();
  // Who does not read does not see the end either, so it is seen from the other side.
  while ((await connections()) > 0) await sleep(50);
  t.equal(taken(), 1, 'no event was made for it after the first');
});
