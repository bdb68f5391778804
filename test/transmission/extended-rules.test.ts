// Extended headers, byte for byte, each test named by the rule's number in docs/protocol.md (E1–E8). That every reply is
// an extended one and repeats the request's offset, the client checks along the way (reply-reader.ts).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { allocatedBytes, KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { start } from './in-process.js';
import { RawClient, type Wishes } from './raw-client.js';
import type { Reply } from './reply-reader.js';
import {
  BLOCK_STATUS,
  CACHE,
  EINVAL,
  ENOSPC,
  FLUSH,
  FUA,
  PAYLOAD_LEN,
  READ,
  REQ_ONE,
  requestBytes,
  statusPayload,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

const GiB = 1024 * MiB;
const CONTEXTS = ['base:allocation', 'aionbd:changed'];
const BLOCK_STATUS_PAYLOAD = 1 << 12;

async function open(t: Test, path: string, wishes: Wishes = { contexts: CONTEXTS }): Promise<RawClient> {
  const { address } = await start(t, { exports: [{ name: '', path }] });
  const client = await RawClient.open(address, '', { replies: 'extended', ...wishes });
  t.teardown(async () => {
    await client.destroy();
    if (client.reader.fault !== undefined) throw new Error(client.reader.fault);
  });
  return client;
}

async function must(reply: Promise<Reply | undefined>): Promise<Reply> {
  const got = await reply;
  if (!got) throw new Error('the connection ended instead of a reply');
  return got;
}

t.test('E1: every command is answered with extended chunks alone', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), MiB, 1);
  const client = await open(t, path);
  const payload = pattern(5000, 2);
  t.equal((await must(client.call({ type: WRITE, flags: FUA, offset: 77, payload }))).error, 0);
  const { data } = await must(client.call({ type: READ, offset: 77, length: 5000 }));
  t.ok(data.equals(payload));
  for (const type of [FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS]) {
    t.equal((await must(client.call({ type, offset: 8192, length: 4096 }))).error, 0, `command ${type}`);
  }
  t.equal((await must(client.call({ type: 99, offset: 1, length: 1 }))).error, EINVAL);
});

t.test(
  'E2: a compact header ends the connection, and an extended one does where it was not agreed',
  async (t) => {
    const path = patternFile(join(scratch(t), 'f'), MiB, 1);
    const { address } = await start(t, { exports: [{ name: '', path }] });
    for (const [replies, sent] of [
      ['extended', 'structured'],
      ['structured', 'extended'],
      ['simple', 'extended'],
    ] as const) {
      const client = await RawClient.open(address, '', { replies });
      client.write(
        Buffer.concat([requestBytes({ type: READ, cookie: 1n, length: 512 }, sent), Buffer.alloc(32)]),
      );
      t.ok(await client.closesWithin(5000), `${sent} headers on a connection with ${replies} replies`);
    }
  },
);

t.test('E3: a reply repeats the offset of its request to the last bit', async (t) => {
  const client = await open(t, patternFile(join(scratch(t), 'f'), MiB, 1));
  for (const offset of [0n, 1n, 2n ** 32n + 5n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    for (const type of [READ, WRITE_ZEROES, TRIM, BLOCK_STATUS]) {
      // The reader makes sure of it; here, that there is an answer at all.
      const reply = await must(client.call({ type, offset, length: 1 }));
      const inside = offset < BigInt(MiB);
      t.equal(reply.error === 0, inside, `command ${type} at ${offset}`);
    }
  }
});

t.test('E4: lengths have 64 bits', async (t) => {
  const sizeBytes = 9 * GiB;
  const path = sparseFile(join(scratch(t), 'f'), sizeBytes);
  const client = await open(t, path);
  const at = 8 * GiB;
  await must(client.call({ type: WRITE, offset: at, payload: pattern(64 * KiB, 3) }));
  const base = client.contexts.get('base:allocation')!;
  const status = await must(client.call({ type: BLOCK_STATUS, offset: 0, length: sizeBytes }));
  t.same(
    status.contexts.get(base)?.map(({ length }) => Number(length)),
    [at, 64 * KiB, sizeBytes - at - 64 * KiB],
    'an extent longer than 4 GiB is one',
  );
  t.equal(await client.errorOf({ type: CACHE, offset: 0, length: sizeBytes }), 0);
  t.equal(await client.errorOf({ type: WRITE_ZEROES, offset: 4096, length: sizeBytes - 4096 }), 0);
  t.equal(allocatedBytes(path), 0, 'all of it was punched');
  const { data } = await must(client.call({ type: READ, offset: at, length: 64 * KiB }));
  t.ok(data.equals(Buffer.alloc(64 * KiB)));
  await must(client.call({ type: WRITE, offset: at, payload: pattern(64 * KiB, 3) }));
  t.equal(await client.errorOf({ type: TRIM, offset: 0, length: sizeBytes }), 0);
  t.equal(allocatedBytes(path), 0, 'all of it was trimmed');
  for (const length of [sizeBytes + 1, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    t.equal(await client.errorOf({ type: TRIM, offset: 0, length }), EINVAL, `TRIM of ${length}`);
    t.equal(await client.errorOf({ type: CACHE, offset: 0, length }), EINVAL);
    t.equal(await client.errorOf({ type: BLOCK_STATUS, offset: 0, length }), EINVAL);
    t.equal(await client.errorOf({ type: WRITE_ZEROES, offset: 0, length }), ENOSPC);
    t.equal(await client.errorOf({ type: READ, offset: 0, length }), EINVAL);
  }
});

t.test('E4: one reply about changes covers 65,536 granules at most, and goes on from there', async (t) => {
  const most = 65_536 * 64 * KiB;
  const client = await open(t, sparseFile(join(scratch(t), 'f'), 2 * most));
  const changed = client.contexts.get('aionbd:changed')!;
  const covered = async (offset: number, length: number) => {
    const reply = await must(client.call({ type: BLOCK_STATUS, offset, length }));
    return reply.contexts.get(changed)!.reduce((sum, extent) => sum + Number(extent.length), 0);
  };
  t.equal(await covered(0, most - 1), most - 1);
  t.equal(await covered(0, most), most);
  t.equal(await covered(0, most + 1), most);
  t.equal(await covered(most, most), most);
});

t.test('E5: a payload that nobody asked for is thrown away and answered EINVAL, up to 32 MiB', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), MiB, 1);
  const client = await open(t, path);
  for (const type of [READ, FLUSH, TRIM, CACHE, WRITE_ZEROES, 8, 99]) {
    for (const bytes of [1, 31, 5000, 100_000]) {
      // What it holds looks like a request.
      const inside = requestBytes({ type: WRITE_ZEROES, cookie: 1n, length: 4096 }, 'extended');
      const payload = Buffer.alloc(bytes, inside);
      const reply = await must(client.call({ type, flags: PAYLOAD_LEN, offset: 0, length: bytes, payload }));
      t.equal(reply.error, EINVAL, `command ${type} with ${bytes} bytes`);
    }
  }
  const most = {
    type: READ,
    flags: PAYLOAD_LEN,
    offset: 0,
    length: 32 * MiB,
    payload: Buffer.alloc(32 * MiB),
  };
  t.equal(await client.errorOf(most), EINVAL, '32 MiB');
  t.equal(await client.errorOf({ type: FLUSH, flags: PAYLOAD_LEN, length: 0 }), EINVAL, 'no byte of it');
  t.ok((await must(client.call({ type: READ, offset: 0, length: MiB }))).data.equals(pattern(MiB, 1)));
});

t.test('E5: a payload above 32 MiB ends the connection', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), MiB, 1);
  const { address } = await start(t, { exports: [{ name: '', path }] });
  for (const [type, length] of [
    [WRITE, 32 * MiB + 1],
    [READ, 32 * MiB + 1],
    [BLOCK_STATUS, 2n ** 64n - 1n],
  ] as const) {
    const client = await RawClient.open(address, '', { replies: 'extended', contexts: CONTEXTS });
    client.write(requestBytes({ type, flags: PAYLOAD_LEN, cookie: 1n, length }, 'extended'));
    t.ok(await client.closesWithin(5000), `command ${type} with ${length} bytes`);
  }
});

t.test('E6: BLOCK_STATUS with a payload answers for the contexts in it', async (t) => {
  const client = await open(t, patternFile(join(scratch(t), 'f'), MiB, 1));
  t.equal(client.transmissionFlags & BLOCK_STATUS_PAYLOAD, BLOCK_STATUS_PAYLOAD, 'it is offered');
  const [base, changed] = CONTEXTS.map((name) => client.contexts.get(name)!);
  const ask = (length: number | bigint, ids: readonly number[], flags = 0) => {
    const payload = statusPayload(length, ids);
    const request = {
      type: BLOCK_STATUS,
      flags: flags | PAYLOAD_LEN,
      offset: 4096,
      length: payload.length,
      payload,
    };
    return must(client.call(request));
  };
  for (const ids of [[base!], [changed!], [base!, changed!], [changed!, base!]]) {
    const reply = await ask(100_000, ids, REQ_ONE);
    t.equal(reply.error, 0);
    t.same([...reply.contexts.keys()].sort(), [...ids].sort());
    for (const extents of reply.contexts.values()) t.equal(Number(extents[0]!.length), 100_000);
  }
  for (const [what, ids] of [
    ['twice the same', [base!, base!]],
    ['one that was not selected', [base!, 77]],
    ['an id that is only large', [base! + 32, base! + 2 ** 31]],
    ['0', [0]],
    ['none', []],
    ['more than fit', new Array(60).fill(base!)],
    ['far more', new Array(100).fill(base!)],
  ] as const) {
    t.equal((await ask(4096, ids as number[])).error, EINVAL, what);
  }
  t.equal((await ask(0, [base!])).error, EINVAL, 'a range of nothing');
  t.equal((await ask(MiB, [base!])).error, EINVAL, 'a range beyond the end');
  t.equal((await ask(2n ** 64n - 1n, [base!])).error, EINVAL, 'one far beyond it');
  for (const bytes of [1, 7, 8, 11, 13, 255, 256, 257, 5000]) {
    const payload = Buffer.alloc(bytes);
    const request = { type: BLOCK_STATUS, flags: PAYLOAD_LEN, offset: 0, length: bytes, payload };
    t.equal((await must(client.call(request))).error, EINVAL, `${bytes} bytes that are no list`);
  }
});

t.test('E6: without contexts the payload is neither offered nor taken', async (t) => {
  const client = await open(t, patternFile(join(scratch(t), 'f'), MiB, 1), {});
  t.equal(client.transmissionFlags & BLOCK_STATUS_PAYLOAD, 0);
  const payload = statusPayload(4096, [1]);
  const request = { type: BLOCK_STATUS, flags: PAYLOAD_LEN, offset: 0, length: payload.length, payload };
  t.equal(await client.errorOf(request), EINVAL);
  t.equal(await client.errorOf({ type: READ, offset: 0, length: 1 }), 0, 'and the connection goes on');
});

t.test('E7: a WRITE whose client forgot to announce the payload has one all the same', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), MiB, 1);
  const client = await open(t, path);
  const payload = pattern(10_000, 4);
  t.equal(await client.errorOf({ type: WRITE, offset: 10, payload, announcesPayload: false }), 0);
  t.ok(readFileSync(path).subarray(10, 10_010).equals(payload));
  t.equal(await client.errorOf({ type: READ, offset: 0, length: 1 }), 0);
});
