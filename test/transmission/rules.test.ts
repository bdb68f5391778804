// The checklist's rules for the transmission phase, as far as simple replies go, one by one.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { BACKING_CASES, makeBacking } from '../support/backing.js';
import { allocatedBytes, KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { start } from './in-process.js';
import type { RawClient } from './raw-client.js';
import {
  BLOCK_STATUS,
  CACHE,
  DISC,
  EINVAL,
  ENOSPC,
  ENOTSUP,
  EPERM,
  FAST_ZERO,
  FLUSH,
  FUA,
  NO_HOLE,
  READ,
  requestBytes,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

const SIZE = 4 * MiB;
const BEYOND_COMMANDS = [7, 8, 9, 100, 255, 256, 257, 0x0100, 0x8000, 65535];

async function oneExport(t: Test, options: { readOnly?: boolean; sizeBytes?: number } = {}) {
  const path = patternFile(join(scratch(t), 'disk'), options.sizeBytes ?? SIZE, 1);
  const started = await start(t, { exports: [{ name: 'disk', path, readOnly: options.readOnly ?? false }] });
  return { ...started, path, contents: pattern(options.sizeBytes ?? SIZE, 1) };
}

/** The connection is in sync: a READ of known contents gives exactly them. */
async function lives(t: Test, client: RawClient, contents: Buffer, what: string): Promise<void> {
  const reply = await client.call({ type: READ, offset: 4096, length: 4096 });
  t.ok(
    reply?.error === 0 &&
      reply.data.equals(contents.subarray(4096, 8192)) &&
      client.reader.fault === undefined,
    `${what}: the connection goes on, in sync`,
    { fault: client.reader.fault, closed: client.isClosed },
  );
}

t.test(
  'X1: a request with a wrong magic ends the connection, and nothing behind it is looked at',
  async (t) => {
    const { client, path, contents } = await oneExport(t);
    for (const magic of [0, 0x25609514, 0x12560953, 0x21e41c71, 0x67446698, 0xffffffff]) {
      const bad = await client();
      const payload = Buffer.alloc(512, 0xee);
      bad.write(requestBytes({ type: WRITE, cookie: 1n, offset: 0, payload, magic }));
      bad.write(requestBytes({ type: WRITE, cookie: 2n, offset: 0, payload }));
      t.ok(await bad.closesWithin(5000), `0x${magic.toString(16)} ends the connection`);
      t.equal(bad.reader.fault, undefined, 'without an answer');
    }
    t.ok(readFileSync(path).equals(contents), 'nothing was written');
    await lives(t, await client(), contents, 'for the next client');
  },
);

t.test('X1: a cookie is 64 opaque bits and comes back as it went, twice if it was used twice', async (t) => {
  const { client } = await oneExport(t);
  const c = await client();
  const cookies = [
    0n,
    1n,
    0xffffffffn,
    0x100000000n,
    0x8000000000000000n,
    0xffffffffffffffffn,
    0x0020000000000001n, // 2^53 + 1: no double
    0x7fffffff80000000n,
    0x6744669800000000n, // begins as a reply does
  ];
  for (const cookie of cookies) {
    const reply = await c.call({ type: READ, cookie, offset: 0, length: 16 });
    t.equal(reply?.cookie, cookie, `0x${cookie.toString(16)}`);
  }
  const seen: bigint[] = [];
  c.onReply = (reply) => seen.push(reply.cookie);
  c.send(
    { type: FLUSH, cookie: 5n },
    { type: FLUSH, cookie: 5n },
    { type: READ, cookie: 5n, offset: 0, length: 0 },
    { type: TRIM, cookie: 5n, offset: 0, length: 4096 },
  );
  await c.settled();
  t.same(seen, [5n, 5n, 5n, 5n], 'four requests with one cookie: four replies');
});

t.test(
  'X2: every reply is a simple one, of an error as well, and an error of a READ has no data',
  async (t) => {
    const { client, contents } = await oneExport(t);
    const c = await client();
    const reply = await c.call({ type: READ, offset: SIZE, length: 4096 });
    t.equal(reply?.error, EINVAL, 'a READ past the end is refused');
    // Data behind the error would be taken for the next reply's header.
    await lives(t, c, contents, 'after a READ that was refused');
  },
);

t.test('X7, X8: beyond the end WRITE and WRITE_ZEROES answer ENOSPC, the others EINVAL', async (t) => {
  const { client, path, contents } = await oneExport(t);
  const c = await client();
  const past: readonly [string, number | bigint, number][] = [
    ['one byte too far', SIZE - 4095, 4096],
    ['from the very end', SIZE, 1],
    ['far behind it', 2 ** 40, 4096],
    ['at 2^53', 2n ** 53n, 4096],
    ['ending at 2^63', 2n ** 63n - 4096n, 4096],
    ['from 2^63', 2n ** 63n, 4096],
    ['ending at 2^64, which 64 bits wrap to 0', 2n ** 64n - 4096n, 4096],
    ['wrapping round to the beginning', 2n ** 64n - 512n, 4096],
    ['the last byte that there can be', 2n ** 64n - 1n, 1],
    ['2^32 and an offset inside', 2n ** 32n + 4096n, 4096],
  ];
  for (const [what, offset, length] of past) {
    t.equal(await c.errorOf({ type: READ, offset, length }), EINVAL, `READ ${what}: EINVAL`);
    t.equal(await c.errorOf({ type: TRIM, offset, length }), EINVAL, `TRIM ${what}: EINVAL`);
    t.equal(await c.errorOf({ type: CACHE, offset, length }), EINVAL, `CACHE ${what}: EINVAL`);
    t.equal(await c.errorOf({ type: WRITE_ZEROES, offset, length }), ENOSPC, `WRITE_ZEROES ${what}: ENOSPC`);
    const payload = Buffer.alloc(length, 0xaa);
    t.equal(await c.errorOf({ type: WRITE, offset, payload }), ENOSPC, `WRITE ${what}: ENOSPC`);
    await lives(t, c, contents, what);
  }
  t.ok(readFileSync(path).equals(contents), 'nothing was changed');
});

t.test(
  'X7: a read-only export answers EPERM to what would change it, and takes in the payload',
  async (t) => {
    const { client, path, contents } = await oneExport(t, { readOnly: true });
    const c = await client();
    for (const length of [1, 512, 4096, 100_000, 4 * MiB]) {
      const payload = Buffer.alloc(length, 0xaa);
      t.equal(await c.errorOf({ type: WRITE, payload }), EPERM, `WRITE of ${length} bytes: EPERM`);
      t.equal(
        await c.errorOf({ type: WRITE_ZEROES, length }),
        EPERM,
        `WRITE_ZEROES of ${length} bytes: EPERM`,
      );
      t.equal(await c.errorOf({ type: TRIM, length }), EPERM, `TRIM of ${length} bytes: EPERM`);
      await lives(t, c, contents, `after ${length} bytes`);
    }
    t.equal(await c.errorOf({ type: FLUSH }), 0, 'FLUSH is no change');
    t.equal(await c.errorOf({ type: CACHE, length: 4096 }), 0, 'nor is CACHE');
    t.ok(readFileSync(path).equals(contents), 'nothing was changed');
  },
);

t.test('X7: a payload of a refused WRITE that looks like requests is not taken for requests', async (t) => {
  const { client, path, contents } = await oneExport(t);
  const c = await client();
  const inner = requestBytes({ type: WRITE, cookie: 77n, offset: 0, payload: Buffer.alloc(512, 0xbb) });
  const payload = Buffer.concat([inner, inner, inner]);
  t.equal(await c.errorOf({ type: WRITE, offset: SIZE, payload }), ENOSPC, 'past the end');
  t.equal(
    await c.errorOf({ type: WRITE, flags: 1 << 9, offset: 0, payload }),
    EINVAL,
    'with an unknown flag',
  );
  await lives(t, c, contents, 'after both');
  t.ok(readFileSync(path).equals(contents), 'nothing was written');
});

t.test('X9: an unknown command answers EINVAL, whatever its number', async (t) => {
  const { client, contents } = await oneExport(t);
  const c = await client();
  for (const type of BEYOND_COMMANDS) {
    t.equal(await c.errorOf({ type, offset: 0, length: 4096 }), EINVAL, `command ${type}`);
    t.equal(await c.errorOf({ type, offset: 2n ** 64n - 1n, length: 0xffffffff }), EINVAL, `${type}, absurd`);
    // WRITE is 1: a number that is cut to eight bits would read a payload.
    await lives(t, c, contents, `after command ${type}`);
  }
  t.equal(await c.errorOf({ type: BLOCK_STATUS, length: 4096 }), EINVAL, 'BLOCK_STATUS without a context');
});

t.test('X9: a flag that a command does not take answers EINVAL; FUA goes with every command', async (t) => {
  const { client, contents } = await oneExport(t);
  const c = await client();
  const where = { offset: 64 * KiB, length: 4096 };
  for (const type of [READ, WRITE, FLUSH, TRIM, CACHE, WRITE_ZEROES]) {
    for (let bit = 0; bit < 16; bit++) {
      const flags = 1 << bit;
      const allowed = flags === FUA || (type === WRITE_ZEROES && (flags === NO_HOLE || flags === FAST_ZERO));
      const payload = Buffer.alloc(4096, bit);
      const request =
        type === WRITE ? { type, flags, offset: where.offset, payload } : { type, flags, ...where };
      t.equal(
        await c.errorOf(request),
        allowed ? 0 : EINVAL,
        `command ${type} with flag 1<<${bit}: ${allowed ? 'fine' : 'EINVAL'}`,
      );
    }
    await lives(t, c, contents, `after all flags of command ${type}`);
  }
  const both = { type: WRITE_ZEROES, flags: FUA | NO_HOLE, ...where };
  t.equal(await c.errorOf(both), 0, 'WRITE_ZEROES with FUA and NO_HOLE');
  const fast = await c.errorOf({ ...both, flags: FUA | NO_HOLE | FAST_ZERO });
  t.ok(fast === 0 || fast === ENOTSUP, 'and with FAST_ZERO, if that is fast (X14)');
});

t.test('X10: FLUSH does not care for offset and length', async (t) => {
  const { client, contents } = await oneExport(t);
  const c = await client();
  t.equal(await c.errorOf({ type: FLUSH, offset: 2n ** 64n - 1n, length: 0xffffffff }), 0);
  t.equal(await c.errorOf({ type: FLUSH, flags: FUA }), 0);
  await lives(t, c, contents, 'afterwards');
});

t.test('X11: what one connection wrote another one reads, flushes and overwrites', async (t) => {
  const { client, server } = await oneExport(t);
  const [a, b] = [await client(), await client()];
  t.ok(a.transmissionFlags & (1 << 8), 'CAN_MULTI_CONN is offered');
  const payload = pattern(10_000, 3);
  t.equal(await a.errorOf({ type: WRITE, offset: 777, payload }), 0);
  t.equal(await b.errorOf({ type: FLUSH }), 0);
  t.ok((await b.call({ type: READ, offset: 777, length: 10_000 }))?.data.equals(payload));
  t.equal(await b.errorOf({ type: WRITE, flags: FUA, offset: 778, payload: Buffer.alloc(1) }), 0);
  t.equal((await a.call({ type: READ, offset: 778, length: 1 }))?.data[0], 0);
  t.equal(server.exports[0]!.counters.connections[0], 2, 'two connections are counted');
});

t.test('X16: only errors of the wire are ever sent', async (t) => {
  // A full disk: a filesystem that is smaller than the sparse file on it.
  const directory = scratch(t);
  const { must, run } = await import('../support/programs.js');
  await must('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  t.teardown(() => run('umount', [directory]));
  const path = sparseFile(join(directory, 'disk'), 8 * MiB);
  const { client } = await start(t, { exports: [{ name: 'disk', path }] });
  const c = await client();
  const errors = new Set<number | string>();
  for (let i = 0; i < 16; i++) {
    errors.add(await c.errorOf({ type: WRITE, offset: i * 512 * KiB, payload: pattern(512 * KiB, i) }));
  }
  t.same(errors, new Set([0, ENOSPC]), 'a full filesystem answers ENOSPC');
  t.equal(await c.errorOf({ type: READ, length: 4096 }), 0, 'and reading goes on');
});

for (const { title, kind, direct } of BACKING_CASES) {
  t.test(`an export of ${title}`, async (t) => {
    const backing = await makeBacking(t, kind, SIZE);
    const { client } = await start(t, { exports: [{ name: 'disk', path: backing.path, direct }] });
    const c = await client();
    const model = Buffer.alloc(SIZE);
    const check = async (what: string) => {
      const image = await c.call({ type: READ, offset: 0, length: SIZE });
      t.ok(image?.data.equals(model), what);
    };
    const write = async (offset: number, length: number, seed: number, flags = 0) => {
      const payload = pattern(length, seed);
      payload.copy(model, offset);
      return c.errorOf({ type: WRITE, flags, offset, payload });
    };
    await write(0, SIZE, 1);
    await check('a WRITE of everything reads back');

    await c.call({ type: FLUSH });
    const taken = backing.allocatedBytes();
    t.equal(
      await c.errorOf({ type: TRIM, offset: MiB + 1, length: MiB }),
      0,
      'X12: TRIM at odd edges succeeds',
    );
    const around = await c.call({ type: READ, offset: 0, length: SIZE });
    t.ok(
      around?.data.subarray(0, MiB + 1).equals(model.subarray(0, MiB + 1)) &&
        around.data.subarray(2 * MiB + 1).equals(model.subarray(2 * MiB + 1)),
      'X12: and touches nothing outside of its range',
    );
    if (kind !== 'tmpfs' || taken > 0) {
      t.ok(backing.allocatedBytes() < taken, 'X12: blocks are given back');
    }
    await write(MiB, MiB + KiB, 2);
    await check('X12: a trimmed range can be written again');
    t.equal(await c.errorOf({ type: TRIM, offset: 100, length: 200 }), 0, 'X12: less than a block is fine');
    await write(100, 200, 9);
    await check('X12: and its neighbours in the block stay');

    const zero = async (offset: number, length: number, flags: number) => {
      model.fill(0, offset, offset + length);
      t.equal(await c.errorOf({ type: WRITE_ZEROES, flags, offset, length }), 0);
      await check(`X13: [${offset}, +${length}) with flags ${flags} reads back as zeroes, and nothing else`);
    };
    await zero(0, 1, 0);
    await zero(511, 2, FUA);
    await zero(4095, 4098, 0);
    await zero(100_000, 300_001, NO_HOLE);
    await zero(512, 512, FUA | NO_HOLE);
    await zero(SIZE - 1, 1, 0);
    await zero(SIZE - 70_001, 70_001, FUA);
    await write(0, SIZE, 3);
    await zero(0, SIZE, 0);

    await write(0, SIZE, 4, FUA);
    const before = backing.allocatedBytes();
    await zero(0, SIZE, NO_HOLE);
    t.ok(backing.allocatedBytes() >= before, 'X13: with NO_HOLE the range keeps its blocks');

    for (const [offset, length] of [
      [0, 1],
      [1, 511],
      [511, 1026],
      [4095, 2],
      [4097, 4095],
      [65_535, 131_073],
      [SIZE - 1, 1],
      [SIZE - 5000, 5000],
      [262_143, 600_000],
    ] as const) {
      t.equal(await write(offset, length, offset + length), 0);
      const back = await c.call({ type: READ, offset, length });
      t.ok(
        back?.data.equals(model.subarray(offset, offset + length)),
        `X17: [${offset}, +${length}) needs no alignment`,
      );
    }
    await check('X17: and neighbours are as they were');
    t.equal(await c.errorOf({ type: CACHE, offset: 1, length: SIZE - 1 }), 0, 'X18: CACHE succeeds');
    await check('X18: and changes nothing');
  });
}

t.test('X12: TRIM frees the blocks of a file for real', async (t) => {
  const path = patternFile(join(scratch(t), 'disk'), SIZE, 1);
  const { client } = await start(t, { exports: [{ name: 'disk', path }] });
  const c = await client();
  await c.call({ type: TRIM, flags: FUA, length: SIZE });
  t.equal(allocatedBytes(path), 0);
});

t.test('X13: TRIM and WRITE_ZEROES may be larger than any payload', async (t) => {
  const size = 6 * 1024 * MiB;
  const path = sparseFile(join(scratch(t), 'disk'), size);
  const { client } = await start(t, { exports: [{ name: 'disk', path }] });
  const c = await client();
  await c.call({ type: WRITE, offset: 2 ** 32 - 2000, payload: pattern(4000, 1) });
  for (const length of [32 * MiB, 32 * MiB + 1, 64 * MiB, 2 ** 31, 2 ** 32 - 1]) {
    t.equal(await c.errorOf({ type: TRIM, offset: 4096, length }), 0, `TRIM of ${length} bytes`);
    t.equal(await c.errorOf({ type: WRITE_ZEROES, offset: 1, length }), 0, `WRITE_ZEROES of ${length} bytes`);
  }
  const edge = await c.call({ type: READ, offset: 2 ** 32 - 2000, length: 4000 });
  const model = pattern(4000, 1).fill(0, 0, 2000);
  t.ok(edge?.data.equals(model), 'the byte behind 4 GiB is the first that is left');
});

t.test('X19: DISC has no reply; what came before it is answered, what comes after it is not', async (t) => {
  const { client, contents, path } = await oneExport(t);
  const ways = [
    { title: 'as it should be', disc: {} },
    { title: 'with every flag', disc: { flags: 0xffff } },
    { title: 'with offset and length', disc: { offset: 2n ** 64n - 1n, length: 0xffffffff } },
  ];
  for (const { title, disc } of ways) {
    const c = await client();
    const data: Buffer[] = [];
    c.onReply = (reply) => data.push(reply.data);
    c.send(
      { type: READ, cookie: 1n, offset: 0, length: MiB },
      { type: READ, cookie: 2n, offset: 5, length: 5 },
      { type: FLUSH, cookie: 3n },
    );
    c.write(requestBytes({ type: DISC, cookie: 4n, ...disc }));
    c.write(requestBytes({ type: WRITE, cookie: 5n, offset: 0, payload: Buffer.alloc(512) }));
    t.ok(await c.closesWithin(5000), `DISC ${title}: closed`);
    t.equal(c.reader.outstanding, 0, 'three replies');
    t.equal(c.reader.fault, undefined, 'and no more');
    t.ok(
      data.some((d) => d.equals(contents.subarray(0, MiB))),
      'the large READ is whole',
    );
  }
  t.ok(readFileSync(path).equals(contents), 'the WRITE behind DISC was not carried out');
});

t.test('X19: DISC on one connection leaves the others alone', async (t) => {
  const { client, contents } = await oneExport(t);
  const [a, b] = [await client(), await client()];
  a.write(requestBytes({ type: DISC, cookie: 0n }));
  t.ok(await a.closesWithin(5000));
  await lives(t, b, contents, 'the other');
});

t.test('X21: a request of no bytes is answered and the connection goes on', async (t) => {
  const { client, contents } = await oneExport(t);
  const c = await client();
  for (const offset of [0, 1, SIZE - 1, SIZE]) {
    for (const type of [READ, WRITE, TRIM, CACHE, WRITE_ZEROES]) {
      t.equal(await c.errorOf({ type, offset, length: 0 }), 0, `command ${type} of 0 bytes at ${offset}`);
    }
  }
  await lives(t, c, contents, 'afterwards');
});

t.test('an export of no bytes can be attached, flushed and left', async (t) => {
  const { client } = await oneExport(t, { sizeBytes: 0 });
  const c = await client();
  t.equal(c.sizeBytes, 0);
  t.equal(await c.errorOf({ type: READ, length: 1 }), EINVAL);
  t.equal(await c.errorOf({ type: WRITE, payload: Buffer.alloc(1) }), ENOSPC);
  t.equal(await c.errorOf({ type: WRITE_ZEROES, length: 1 }), ENOSPC);
  t.equal(await c.errorOf({ type: READ, length: 0 }), 0);
  t.equal(await c.errorOf({ type: FLUSH }), 0);
});

t.test(
  'lengths around 32 MiB: served up to it, refused above, the connection dropped when absurd',
  async (t) => {
    const size = 80 * MiB;
    const path = patternFile(join(scratch(t), 'disk'), size, 1);
    const contents = pattern(size, 1);
    const { client } = await start(t, { exports: [{ name: 'disk', path }] });
    const c = await client();
    const read = await c.call({ type: READ, offset: 1, length: 32 * MiB });
    t.ok(read?.data.equals(contents.subarray(1, 1 + 32 * MiB)), 'READ of 32 MiB');
    for (const length of [32 * MiB + 1, 64 * MiB, 2 ** 32 - 1]) {
      t.equal(await c.errorOf({ type: READ, length }), EINVAL, `READ of ${length}: EINVAL`);
      await lives(t, c, contents, 'READ');
    }
    t.equal(await c.errorOf({ type: CACHE, length: 64 * MiB }), 0, 'CACHE of 64 MiB');
    t.equal(await c.errorOf({ type: CACHE, length: 2 ** 32 - 1 }), EINVAL, 'CACHE of 4 GiB');
    for (const length of [32 * MiB + 1, 64 * MiB]) {
      const payload = Buffer.alloc(length, 1);
      t.equal(
        await c.errorOf({ type: WRITE, payload }),
        EINVAL,
        `WRITE of ${length}: EINVAL, payload taken in`,
      );
      await lives(t, c, contents, 'WRITE');
    }
    const payload = contents.subarray(5, 5 + 32 * MiB);
    t.equal(await c.errorOf({ type: WRITE, offset: 40 * MiB, payload }), 0, 'WRITE of 32 MiB');
    const back = await c.call({ type: READ, offset: 40 * MiB, length: 32 * MiB });
    t.ok(back?.data.equals(payload), 'reads back');
    for (const length of [64 * MiB + 1, 2 ** 31, 2 ** 32 - 1]) {
      const d = await client();
      d.write(requestBytes({ type: WRITE, cookie: 1n, length }));
      t.ok(await d.closesWithin(5000), `WRITE of ${length}: dropped`);
      t.equal(d.reader.fault, undefined, 'without a word');
    }
  },
);
