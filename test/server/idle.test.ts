// What a thousand connections cost that have been busy and are quiet now.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { FRAME_BYTES, Slab } from '../../src/engine/slab.js';
import { KiB, MiB, pattern, scratch, sparseFile } from '../support/files.js';
import { serve } from '../support/server.js';
import { start } from '../transmission/in-process.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ, type Request, WRITE } from '../transmission/wire.js';

const CONNECTIONS = 1000;
/** That many, and V8 has compiled what a handshake takes. */
const FIRST_CONNECTIONS = 500;
const SIZE = 16 * MiB;
const PATIENCE_MS = 30_000;

/** Fills a receive buffer of any size: the payload of a request that is refused is read and thrown away. */
const REFUSED: Omit<Request, 'cookie'> = { type: WRITE, offset: SIZE, payload: Buffer.alloc(256 * KiB) };

/** Opens them all and has each fill its receive buffer; `each` is called when one has. */
async function busyConnections(
  address: Parameters<typeof RawClient.open>[0],
  each: () => void = () => {},
): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let i = 0; i < CONNECTIONS; i++) clients.push(await RawClient.open(address));
  for (const client of clients) {
    await client.errorOf(REFUSED);
    each();
  }
  return clients;
}

t.test('a thousand connections hold 4 KiB of buffer memory each after a quiet spell', async (t) => {
  let slab: Slab | undefined;
  const take = Slab.prototype.take;
  t.teardown(() => {
    Slab.prototype.take = take;
  });
  Slab.prototype.take = function (bytes: number) {
    slab = this;
    return take.call(this, bytes);
  };
  const started = await start(t, {
    exports: [{ name: '', path: sparseFile(join(scratch(t), 'disk'), SIZE) }],
  });
  const atRest = slab!.freeBytes;
  const held = () => atRest - slab!.freeBytes;
  // On a busy machine the first ones have gone back before the last are through.
  let mostHeld = 0;
  const clients = await busyConnections(started.address, () => {
    mostHeld = Math.max(mostHeld, held());
  });
  t.teardown(() => Promise.all(clients.map((client) => client.destroy())));
  t.ok(mostHeld >= (CONNECTIONS + 3) * FRAME_BYTES, 'busy ones may hold more', { mostHeld });
  const deadline = Date.now() + PATIENCE_MS;
  while (held() > CONNECTIONS * FRAME_BYTES && Date.now() < deadline) await sleep(50);
  t.equal(held(), CONNECTIONS * FRAME_BYTES);
  const errors = await Promise.all(
    clients.map((client) => client.errorOf({ type: READ, offset: 0, length: 512 })),
  );
  t.ok(
    errors.every((error) => error === 0),
    'and all are served as before',
  );
});

t.test('memory of the server grows by no more than 16 KiB for each connection', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), SIZE);
  const server = await serve(t, { exports: [{ name: 'disk', path }], args: ['--log-level', 'warn'] });
  const address = { kind: 'unix', path: server.socketPath } as const;
  // The first ones bring what is loaded, compiled and allocated once.
  const first = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(address)));
  for (let i = 0; i < FIRST_CONNECTIONS; i++) await (await RawClient.open(address)).destroy();
  const before = anonymousKiB(server.child.pid!);
  const clients: RawClient[] = [];
  for (let i = 0; i < CONNECTIONS; i++) clients.push(await RawClient.open(address));
  const growthKiB = () => anonymousKiB(server.child.pid!) - before;
  // V8 collects when it likes, so what handshakes have left behind is in here too, for a while.
  const deadline = Date.now() + PATIENCE_MS;
  while (growthKiB() / CONNECTIONS > 16 && Date.now() < deadline) await sleep(200);
  t.ok(growthKiB() / CONNECTIONS <= 16, `${growthKiB()} KiB for ${CONNECTIONS} connections`);
  await Promise.all([...first, ...clients].map((client) => client.destroy()));
  await server.stop(t);
});

t.test('after a burst the memory that it took goes back, and what is written then is right', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), SIZE);
  const server = await serve(t, { exports: [{ name: 'disk', path }], args: ['--log-level', 'warn'] });
  const address = { kind: 'unix', path: server.socketPath } as const;
  const first = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(address)));
  const before = anonymousKiB(server.child.pid!);
  const clients = await busyConnections(address);
  const payload = pattern(MiB, 3);
  const errors = await Promise.all(
    clients.slice(0, 16).map((client, i) => client.errorOf({ type: WRITE, offset: (i % 16) * MiB, payload })),
  );
  t.ok(errors.every((error) => error === 0));
  const growth = () => (anonymousKiB(server.child.pid!) - before) / CONNECTIONS;
  const burst = growth();
  const deadline = Date.now() + 2 * PATIENCE_MS;
  while (growth() > 16 && Date.now() < deadline) await sleep(200);
  t.ok(growth() <= 16, `${burst} KiB each after the burst, ${growth()} KiB when it is quiet`);
  const back = await Promise.all(
    clients.slice(0, 16).map((client, i) => client.call({ type: READ, offset: i * MiB, length: MiB })),
  );
  t.ok(back.every((reply) => reply?.data.equals(payload)));
  await Promise.all([...first, ...clients].map((client) => client.destroy()));
  await server.stop(t);
});

/** Memory of a process that is in no file: heaps, buffers, stacks. */
function anonymousKiB(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(text)?.[1];
  if (found === undefined) throw new Error(`no RssAnon of ${pid}: ${text}`);
  return Number(found);
}
