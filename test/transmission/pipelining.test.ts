// X22 and memory, on real sockets and files: clients that send without reading, and requests of every size with as little
// memory as can be configured.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { DirectMode } from '../../src/index.js';
import { KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { start } from './in-process.js';
import type { RawClient } from './raw-client.js';
import { FLUSH, MODES, type Mode, READ, type Request, WRITE } from './wire.js';

/** Many times what the server may keep and what sockets hold; two pieces of the largest size do not fit into either. */
const SIZE = 67 * MiB + 3;
/** Of 1 MiB, read and written in turn. */
const PIECES = 33;
const LITTLE = { bufferMemoryBytes: 8 * MiB };
const DIRECT: readonly DirectMode[] = ['on', 'off'];

/** A mode of replies for each case, so that each gets its turn without everything being done three times. */
function modeOf(direct: DirectMode, index: number): Mode {
  return MODES[(index + (direct === 'on' ? 0 : 1)) % MODES.length]!;
}

/** Requests without a look at the answers, as fast as the server takes them. */
async function sendAll(client: RawClient, requests: Iterable<Request>): Promise<void> {
  for (const request of requests) {
    if (!client.send(request)) await client.drained();
  }
}

function* writes(contents: Buffer, pieceBytes: number): Generator<Request> {
  for (let offset = 0, cookie = 0n; offset < contents.length; offset += pieceBytes) {
    yield { type: WRITE, cookie: cookie++, offset, payload: contents.subarray(offset, offset + pieceBytes) };
  }
}

for (const direct of DIRECT) {
  t.test(`X22: a client that sends 67 MiB of writes before it reads a reply, direct=${direct}`, async (t) => {
    for (const [index, pieceBytes] of [64 * KiB, 1_000_003, 32 * MiB].entries()) {
      const replies = modeOf(direct, index);
      const path = sparseFile(join(scratch(t), 'disk'), SIZE);
      const { client } = await start(t, { ...LITTLE, exports: [{ name: '', path, direct }] });
      const c = await client('', { replies });
      const contents = pattern(SIZE, pieceBytes);
      c.stopReading();
      await sendAll(c, writes(contents, pieceBytes));
      const other = await client();
      t.equal(
        await other.errorOf({ type: FLUSH }),
        0,
        `in pieces of ${pieceBytes}, ${replies}: another client is served`,
      );
      const errors = new Set<number>();
      c.onReply = ({ error }) => errors.add(error);
      c.resumeReading();
      await c.settled();
      t.same([...errors], [0], 'every write is answered with success');
      t.ok(readFileSync(path).equals(contents), 'and everything is in the file');
    }
  });

  t.test(`X22: a client that asks for 67 MiB before it reads a reply, direct=${direct}`, async (t) => {
    const path = patternFile(join(scratch(t), 'disk'), SIZE, 1);
    const contents = pattern(SIZE, 1);
    const { client } = await start(t, { ...LITTLE, exports: [{ name: '', path, direct }] });
    for (const [index, pieceBytes] of [16 * KiB, 1_000_003, 32 * MiB].entries()) {
      const replies = modeOf(direct, index + 1);
      const c = await client('', { replies });
      const requests: Request[] = [];
      for (let offset = 0; offset < SIZE; offset += pieceBytes) {
        requests.push({
          type: READ,
          cookie: BigInt(offset),
          offset,
          length: Math.min(pieceBytes, SIZE - offset),
        });
      }
      const wrong: bigint[] = [];
      c.onReply = ({ cookie, error, data }) => {
        const at = Number(cookie);
        if (error !== 0 || !data.equals(contents.subarray(at, at + data.length))) wrong.push(cookie);
      };
      c.stopReading();
      c.send(...requests);
      await sleep(50);
      const other = await client();
      const read = await other.call({ type: READ, offset: 5, length: MiB });
      t.ok(
        read?.data.equals(contents.subarray(5, MiB + 5)),
        `in pieces of ${pieceBytes}, ${replies}: another is served`,
      );
      c.resumeReading();
      await c.settled();
      t.equal(c.reader.outstanding, 0, 'it gets all');
      t.same(wrong, [], 'of the right bytes');
      await c.destroy();
    }
  });

  t.test(
    `X22: reads and writes in turn from a client that reads only when it can send no more, direct=${direct}`,
    async (t) => {
      const path = patternFile(join(scratch(t), 'disk'), SIZE, 2);
      const { client } = await start(t, { ...LITTLE, exports: [{ name: '', path, direct }] });
      const c = await client('', { replies: modeOf(direct, 1) });
      const half = PIECES * MiB;
      const contents = pattern(SIZE, 2);
      const payload = pattern(MiB, 3);
      let wrong = 0;
      c.onReply = ({ cookie, error, data }) => {
        const at = Number(cookie) * MiB;
        if (error !== 0 || !data.equals(contents.subarray(at, at + data.length))) wrong++;
      };
      c.stopReading();
      const mixed: Request[] = [];
      for (let i = 0; i < PIECES; i++) {
        mixed.push({ type: READ, cookie: BigInt(i), offset: i * MiB, length: MiB });
        mixed.push({ type: WRITE, cookie: BigInt(1000 + i), offset: half + i * MiB, payload });
      }
      // The server stops taking more when this one client has all it may; so the client reads when it can send no more.
      const sending = sendAll(c, mixed);
      await Promise.race([sending, sleep(300)]);
      c.resumeReading();
      await sending;
      await c.settled();
      t.equal(wrong, 0);
      t.equal(c.reader.outstanding, 0);
    },
  );

  t.test(`every size up to 32 MiB with 8 MiB of memory, direct=${direct}`, async (t) => {
    const size = 33 * MiB + 777;
    const path = sparseFile(join(scratch(t), 'disk'), size);
    const { client } = await start(t, { ...LITTLE, exports: [{ name: '', path, direct }] });
    const clients = await Promise.all(MODES.map((replies) => client('', { replies })));
    const model = Buffer.alloc(size);
    // Every payload is another part of this.
    const contents = pattern(32 * MiB + 100 * 4099, 7);
    const lengths = [
      1,
      511,
      4096,
      4097,
      65_536,
      262_143,
      262_144,
      262_145,
      300_001,
      MiB,
      4 * MiB - 1,
      4 * MiB,
    ];
    lengths.push(4 * MiB + 1, 8 * MiB, 8 * MiB + 5, 16 * MiB, 32 * MiB - 1, 32 * MiB);
    for (const [index, length] of lengths.entries()) {
      const c = clients[index % clients.length]!;
      // Of the largest each offset costs as much as everything up to 4 MiB; the edges of blocks are behind them by then.
      const offsets =
        length > 4 * MiB ? [index % 2 === 0 ? 511 : 4096, size - length] : [0, 511, 4096, size - length];
      for (const [turn, offset] of offsets.entries()) {
        const from = (4 * index + turn) * 4099;
        const payload = contents.subarray(from, from + length);
        payload.copy(model, offset);
        const written = await c.errorOf({ type: WRITE, offset, payload });
        const back = await c.call({ type: READ, offset, length });
        if (written !== 0 || !back?.data.equals(payload)) t.fail(`${length} bytes at ${offset}`);
      }
    }
    t.ok(readFileSync(path).equals(model), 'the image equals the model');
    const others = [...clients, await client()];
    const reads = await Promise.all(
      others.map((other, i) => other.call({ type: READ, offset: i, length: 32 * MiB })),
    );
    t.ok(
      reads.every((read, i) => read?.data.equals(model.subarray(i, i + 32 * MiB))),
      'and four clients at once get 32 MiB each',
    );
  });
}

t.test('X22: several clients that never read do not keep others waiting', async (t) => {
  const path = patternFile(join(scratch(t), 'disk'), 40 * MiB, 1);
  const contents = pattern(40 * MiB, 1);
  const { client } = await start(t, { ...LITTLE, exports: [{ name: '', path }] });
  const stuck: RawClient[] = [];
  for (let i = 0; i < 6; i++) {
    const c = await client('', { replies: MODES[i % MODES.length]! });
    c.stopReading();
    for (let j = 0; j < 40; j++) c.send({ type: READ, cookie: BigInt(j), offset: j * MiB, length: MiB });
    stuck.push(c);
  }
  await sleep(100);
  const good = await client();
  const begun = Date.now();
  for (let i = 0; i < 200; i++) {
    const reply = await good.call({ type: READ, offset: i * 1000, length: 4096 });
    if (!reply?.data.equals(contents.subarray(i * 1000, i * 1000 + 4096))) t.fail(`read ${i}`);
  }
  const large = await good.call({ type: READ, offset: 3, length: 32 * MiB });
  t.ok(large?.data.equals(contents.subarray(3, 3 + 32 * MiB)), 'small reads and a large one');
  t.ok(Date.now() - begun < 5000, 'without a wait');
  for (const c of stuck) c.resumeReading();
  await Promise.all(stuck.map((c) => c.settled()));
  t.ok(
    stuck.every((c) => c.reader.outstanding === 0),
    'and when the others read again, they get everything',
  );
});

t.test(
  'a file that is cut short while it is served: EIO where it was, never a hang, never other bytes',
  async (t) => {
    const { truncateSync } = await import('node:fs');
    for (const [direct, replies] of DIRECT.flatMap((d) => MODES.map((m) => [d, m] as const))) {
      const path = patternFile(join(scratch(t), 'disk'), 4 * MiB, 1);
      const contents = pattern(4 * MiB, 1);
      const { client } = await start(t, { exports: [{ name: '', path, direct }] });
      const c = await client('', { replies });
      t.equal(await c.errorOf({ type: READ, offset: 0, length: 4 * MiB }), 0);
      truncateSync(path, MiB + 5000);
      for (const [offset, length] of [
        [MiB + 4000, 4096],
        [2 * MiB, 1],
        [2 * MiB, MiB],
        [0, 4 * MiB],
        [3 * MiB + 511, 513],
      ] as const) {
        t.equal(
          await c.errorOf({ type: READ, offset, length }),
          5,
          `direct=${direct}, ${replies}: ${length} at ${offset}`,
        );
      }
      const before = await c.call({ type: READ, offset: 0, length: MiB });
      t.ok(before?.data.equals(contents.subarray(0, MiB)), 'what is left is served');
      const answered = await c.errorOf({ type: WRITE, offset: 3 * MiB + 1, payload: Buffer.alloc(10) });
      t.ok(answered === 0 || answered === 5, 'a write behind the cut is done or refused');
      t.equal(await c.errorOf({ type: FLUSH }), 0, 'and a flush has nothing against it');
    }
  },
);
