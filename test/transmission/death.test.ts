// Connections that die in the middle of something, over real sockets and files.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { makeBacking } from '../support/backing.js';
import { KiB, MiB, pattern, patternFile, scratch } from '../support/files.js';
import { memoryLog, start } from './in-process.js';
import type { RawClient, Wishes } from './raw-client.js';
import { randomNumbers } from './simulation.js';
import { FLUSH, FUA, MODES, READ, requestBytes, TRIM, WRITE, WRITE_ZEROES } from './wire.js';

const SIZE = 8 * MiB;

const STAGES: readonly { readonly title: string; readonly play: (c: RawClient) => void | Promise<void> }[] = [
  {
    title: 'in the middle of a header',
    play: (c) => void c.write(c.bytesOf({ type: READ, cookie: 1n }).subarray(0, 13)),
  },
  {
    title: 'in the middle of a small payload',
    play: (c) =>
      void c.write(c.bytesOf({ type: WRITE, cookie: 1n, length: 5000, payload: Buffer.alloc(100) })),
  },
  {
    title: 'in the middle of a large payload, some of it written already',
    play: async (c) => {
      c.write(
        c.bytesOf({
          type: WRITE,
          cookie: 1n,
          offset: 4 * MiB,
          length: 4 * MiB,
          payload: Buffer.alloc(MiB),
        }),
      );
      await c.drained();
    },
  },
  {
    title: 'in the middle of a payload that is refused',
    play: (c) =>
      void c.write(
        c.bytesOf({ type: WRITE, cookie: 1n, offset: SIZE, length: MiB, payload: Buffer.alloc(10) }),
      ),
  },
  {
    title: 'with replies that it never read',
    play: async (c) => {
      c.stopReading();
      for (let i = 0; i < 20; i++) c.send({ type: READ, cookie: BigInt(i), length: SIZE });
      await sleep(20);
    },
  },
  {
    title: 'with unaligned writes queued on the same block',
    play: (c) => {
      for (let i = 0; i < 200; i++)
        c.send({ type: WRITE, cookie: BigInt(i), offset: 4 * MiB + 3 * i, payload: Buffer.alloc(2, i) });
    },
  },
  {
    title: 'with everything in flight at once',
    play: (c) => {
      for (let i = 0; i < 40; i++) {
        const at = { cookie: BigInt(i), offset: 4 * MiB + i * 10_000 };
        c.send({ type: WRITE, flags: FUA, ...at, payload: Buffer.alloc(9000, i) });
        c.send({ type: FLUSH, ...at }, { type: READ, ...at, length: 70_000 });
        c.send({ type: WRITE_ZEROES, ...at, length: 50_000 }, { type: TRIM, ...at, length: 100_000 });
      }
    },
  },
];

/** Each mode in its turn. */
function wishes(round: number): Wishes {
  return { replies: MODES[round % MODES.length]! };
}

for (const kind of ['file', 'file4k'] as const) {
  for (const direct of ['on', 'off'] as const) {
    t.test(`on ${kind}, direct=${direct}, a connection dies`, async (t) => {
      const backing = await makeBacking(t, kind, SIZE);
      const { logger, lines } = memoryLog();
      const { server, client } = await start(t, {
        exports: [{ name: '', path: backing.path, direct }],
        bufferMemoryBytes: 8 * MiB,
        logger,
      });
      const good = await client();
      const kept = pattern(3 * MiB, 1);
      await good.call({ type: WRITE, offset: 0, payload: kept });
      for (const { title, play } of STAGES) {
        for (let round = 0; round < 6; round++) {
          const dying = await client('', wishes(round));
          await play(dying);
          if (round % 2) await new Promise(setImmediate);
          await dying.destroy();
        }
        const next = await client();
        const payload = pattern(100_001, 5);
        const offset = 4 * MiB + 77;
        t.equal(
          await next.errorOf({ type: WRITE, flags: FUA, offset, payload }),
          0,
          `${title}: the next is served`,
        );
        await sleep(30); // whatever is left over of the dead ones would happen now
        const back = await next.call({ type: READ, offset, length: payload.length });
        t.ok(back?.data.equals(payload), 'and what it wrote stays');
        t.ok(
          (await good.call({ type: READ, length: kept.length }))?.data.equals(kept),
          'others notice nothing',
        );
        t.equal(await good.errorOf({ type: FLUSH }), 0, 'and can flush');
        await next.destroy();
      }
      t.same(
        lines.filter((line) => line.includes('I/O error')),
        [],
        'none of it is an I/O error',
      );
      await server.close();
    });
  }
}

t.test('an old write of a dead connection never undoes a newer one of its successor', async (t) => {
  const random = randomNumbers(5);
  for (const kind of ['file', 'file4k', 'device4k'] as const) {
    const backing = await makeBacking(t, kind, SIZE);
    const { client, server } = await start(t, { exports: [{ name: '', path: backing.path }] });
    const undone: number[] = [];
    for (let round = 0; round < 60; round++) {
      const old = await client('', wishes(round));
      const requests = Array.from({ length: 100 }, (_, i) => {
        const isAligned = random(2) === 0;
        const offset = isAligned ? 4096 * random(4) : random(16 * KiB);
        const payload = Buffer.alloc(isAligned ? 4096 : 1 + random(5000), 0xdd);
        return { type: WRITE, cookie: BigInt(i), offset, payload };
      });
      old.send(...requests);
      for (let turns = random(4); turns > 0; turns--) await new Promise(setImmediate);
      await old.destroy();
      // The server may not have heard of the end yet: what it then still reads came before the newer write as well.
      while (server.exports[0]!.counters.connections[0]! > 0) await new Promise(setImmediate);
      const successor = await client('', wishes(round + 1));
      const payload = pattern(24 * KiB, round);
      await successor.call({ type: WRITE, offset: 0, payload });
      await sleep(random(5));
      const back = await successor.call({ type: READ, offset: 0, length: payload.length });
      if (!back?.data.equals(payload)) undone.push(round);
      await successor.destroy();
    }
    t.same(undone, [], kind);
    await server.close();
  }
});

t.test('the end of the client’s stream after DISC is no death: what was asked for is done', async (t) => {
  const path = patternFile(join(scratch(t), 'disk'), SIZE, 1);
  const { client, server } = await start(t, { exports: [{ name: '', path }] });
  const c = await client();
  const payload = pattern(70_000, 9);
  const requests = Array.from({ length: 50 }, (_, i) => ({
    type: WRITE,
    cookie: BigInt(i),
    offset: 80_000 * i + 1,
    payload,
  }));
  c.send(...requests);
  c.write(requestBytes({ type: 2, cookie: 0n }));
  c.socket.end();
  await c.closed;
  await server.close();
  const image = readFileSync(path);
  t.ok(requests.every(({ offset }) => image.subarray(offset, offset + payload.length).equals(payload)));
});
