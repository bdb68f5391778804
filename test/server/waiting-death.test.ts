// Clients that go while they wait for memory that others hold, over real sockets.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { LARGEST_BLOCK_BYTES, Slab } from '../../src/engine/slab.js';
import { Core } from '../../src/transmission/core.js';
import { KiB, MiB, scratch, sparseFile } from '../support/files.js';
import { start } from '../transmission/in-process.js';
import { type Address, RawClient } from '../transmission/raw-client.js';
import { DISC, MODES, WRITE } from '../transmission/wire.js';

const PATIENCE_MS = 20_000;

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await sleep(5);
  }
}

interface Watched {
  /** The server's memory, once it has taken some. */
  slab?: Slab;
  /** Connections that have had to wait, and those that got memory for data. */
  readonly waited: Set<number>;
  readonly served: Set<number>;
}

function watch(t: Test): Watched {
  const watched: Watched = { waited: new Set(), served: new Set() };
  const { wait, takeBlockJob } = Core.prototype;
  const { take } = Slab.prototype;
  t.teardown(() => {
    Core.prototype.wait = wait;
    Core.prototype.takeBlockJob = takeBlockJob;
    Slab.prototype.take = take;
  });
  Core.prototype.wait = function (client) {
    watched.waited.add(client.connection);
    wait.call(this, client);
  };
  Core.prototype.takeBlockJob = function (client, ...rest) {
    const job = takeBlockJob.call(this, client, ...rest);
    if (job >= 0) watched.served.add(client.connection);
    return job;
  };
  Slab.prototype.take = function (bytes) {
    watched.slab = this;
    return take.call(this, bytes);
  };
  return watched;
}

for (const kind of ['unix', 'tcp'] as const) {
  for (const replies of MODES) {
    const title = `over ${kind}, ${replies} replies: a WRITE that waits goes with its client, unless DISC was said`;
    t.test(title, async (t) => {
      const watched = watch(t);
      const path = sparseFile(join(scratch(t), 'disk'), 4 * MiB);
      const exports = [{ name: '', path }];
      // Without a lock there is no scan for holes, whose memory would come back just when there is to be none.
      const options = { exports, bufferMemoryBytes: 8 * MiB, lock: false };
      const { server, address: unix } = await start(t, options);
      let address: Address = unix;
      if (kind === 'tcp') address = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
      const clients: RawClient[] = [];
      for (let i = 0; i < 4; i++) clients.push(await RawClient.open(address, '', { replies }));
      t.teardown(() => Promise.all(clients.map((client) => client.destroy())));
      const [dying, leaving, staying, holding] = clients as [RawClient, RawClient, RawClient, RawClient];

      // All memory is taken, and the block that is kept for such times as well.
      const slab = watched.slab!;
      const taken: number[] = [];
      for (let bytes = LARGEST_BLOCK_BYTES; bytes >= 4096; bytes /= 2) {
        for (let block = slab.take(bytes); block >= 0; block = slab.take(bytes)) taken.push(block);
      }
      const half = holding.bytesOf({ type: WRITE, cookie: 1n, payload: Buffer.alloc(256 * KiB) });
      holding.write(half.subarray(0, 1000));
      await until(() => watched.served.has(3), 'the kept block is taken');
      const payload = Buffer.alloc(64 * KiB, 0xaa);
      for (const [i, client] of [dying, leaving, staying].entries())
        client.send({ type: WRITE, cookie: 1n, offset: (1 + i) * MiB, payload });
      await until(() => [0, 1, 2].every((number) => watched.waited.has(number)), 'three wait');

      leaving.write(leaving.bytesOf({ type: DISC, cookie: 2n }));
      for (const gone of [dying, leaving]) {
        // The kernel has all of it before it hears of the end.
        await gone.drained();
        await new Promise<void>((resolve) => gone.socket.end(resolve));
      }
      for (const block of taken) slab.give(block);
      await holding.destroy();
      await staying.settled();
      await dying.closed;
      await leaving.closed;
      await server.close();
      const image = readFileSync(path);
      const found = [1, 2, 3].map((i) => image.subarray(i * MiB, i * MiB + payload.length).equals(payload));
      t.same(found, [false, true, true], 'of who died, who left and who stays');
    });
  }
}
