// The rules of the transmission phase where replies come in chunks, each test named by the rule's number in
// docs/protocol.md. The client checks along the way that no chunk breaks one (reply-reader.ts).

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeBacking } from '../support/backing.js';
import { KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { start } from './in-process.js';
import { RawClient } from './raw-client.js';
import type { Reply } from './reply-reader.js';
import { Simulation } from './simulation.js';
import {
  BLOCK_STATUS,
  CACHE,
  CHANGED,
  DF,
  EINVAL,
  EIO,
  ENOSPC,
  ENOTSUP,
  EPERM,
  ESHUTDOWN,
  FAST_ZERO,
  FLUSH,
  FUA,
  HOLE,
  type Mode,
  NO_HOLE,
  PAYLOAD_LEN,
  READ,
  REQ_ONE,
  TRIM,
  WRITE,
  WRITE_ZEROES,
  ZERO,
} from './wire.js';

const IN_CHUNKS: readonly Mode[] = ['structured', 'extended'];
const CONTEXTS = ['base:allocation', 'aionbd:changed'];
const OP_READ = 1;
const OP_ADVISE = 6;
const OP_ZERO = 5;
const EREMOTEIO = 121;
const EOPNOTSUPP = 95;

interface Opened {
  readonly client: RawClient;
  readonly path: string;
  readonly base: number;
  readonly changed: number;
}

/** A server for one file, and a connection in this mode with both contexts. */
async function open(t: Test, replies: Mode, path: string, readOnly = false): Promise<Opened> {
  const { address } = await start(t, { exports: [{ name: '', path, readOnly }] });
  const contexts = replies === 'simple' ? [] : CONTEXTS;
  const client = await RawClient.open(address, '', { replies, contexts });
  t.teardown(async () => {
    await client.destroy();
    if (client.reader.fault !== undefined) throw new Error(client.reader.fault);
  });
  return {
    client,
    path,
    base: client.contexts.get('base:allocation') ?? 0,
    changed: client.contexts.get('aionbd:changed') ?? 0,
  };
}

async function must(reply: Promise<Reply | undefined>): Promise<Reply> {
  const got = await reply;
  if (!got) throw new Error('the connection ended instead of a reply');
  return got;
}

function extentsOf(reply: Reply, context: number): { length: number; flags: number }[] {
  const extents = reply.contexts.get(context) ?? [];
  return extents.map(({ length, status }) => ({ length: Number(length), flags: Number(status) }));
}

for (const mode of IN_CHUNKS) {
  t.test(`X2: every error of a READ is a chunk with words (${mode})`, async (t) => {
    const { client } = await open(t, mode, patternFile(join(scratch(t), 'f'), MiB, 1));
    const cases = [
      { offset: MiB, length: 1, says: /1048576/ },
      { offset: 0, length: MiB + 1, says: /1048577/ },
      { offset: 2n ** 64n - 1n, length: 4096, says: /4096 bytes/ },
      { offset: 0, length: 1, flags: NO_HOLE, says: /0x2/ },
      { offset: 0, length: 33 * MiB, says: /bytes/ },
    ];
    for (const { says, ...where } of cases) {
      const reply = await must(client.call({ type: READ, ...where }));
      t.equal(reply.error, EINVAL);
      t.match(reply.message, says);
      t.equal(reply.chunks, 1);
    }
  });

  t.test(`X2: a success without data is one message (${mode})`, async (t) => {
    const { client } = await open(t, mode, patternFile(join(scratch(t), 'f'), MiB, 1));
    for (const request of [
      { type: WRITE, offset: 0, payload: pattern(4096, 2) },
      { type: FLUSH },
      { type: TRIM, offset: 0, length: 4096 },
      { type: WRITE_ZEROES, offset: 0, length: 4096 },
      { type: CACHE, offset: 0, length: 4096 },
    ]) {
      const reply = await must(client.call(request));
      t.equal(reply.error, 0);
      t.equal(reply.chunks, 1, `command ${request.type}`);
    }
  });

  t.test(`X3: chunks cover a READ of any length, with one DONE (${mode})`, async (t) => {
    const path = patternFile(join(scratch(t), 'f'), 32 * MiB + 5, 3);
    const image = readFileSync(path);
    const { client } = await open(t, mode, path);
    for (const [offset, length] of [
      [0, 1],
      [511, 2],
      [5, 256 * KiB],
      [0, 256 * KiB],
      [0, 256 * KiB + 1],
      [0, 4 * MiB + 1],
      [5, 32 * MiB],
    ] as const) {
      const reply = await must(client.call({ type: READ, offset, length }));
      t.ok(reply.data.equals(image.subarray(offset, offset + length)), `${length} bytes at ${offset}`);
      t.ok(reply.chunks <= Math.ceil(length / (256 * KiB)) + 1, `${reply.chunks} chunks`);
    }
  });

  t.test(
    `X4: a READ that fails in its middle gets its error, and the connection goes on (${mode})`,
    async (t) => {
      for (const flags of [0, DF]) {
        const bad = 6 * MiB;
        const simulation = new Simulation({
          sizeBytes: 9 * MiB,
          unitBytes: 512,
          memoryBytes: 16 * MiB,
          fault: (op, offset, length) =>
            op === OP_READ && offset <= bad && bad < offset + length ? EREMOTEIO : 0,
        });
        const peer = simulation.connect({ replies: mode });
        peer.send({ type: READ, flags, cookie: 1n, offset: 0, length: 9 * MiB });
        simulation.run();
        t.equal(peer.reader.fault, undefined);
        const [reply] = peer.replies;
        t.equal(reply?.error, EIO);
        t.match(reply?.message, /READ: EREMOTEIO at offset/);
        peer.send({ type: READ, flags, cookie: 2n, offset: 0, length: 4096 });
        simulation.run();
        t.equal(peer.replies[1]?.error, 0, 'the next one is served');
        t.same(simulation.faults, []);
        peer.hasLeft = true;
        simulation.run();
        t.ok(simulation.isAtRest);
      }
    },
  );

  t.test(`X5: an error's offset is in the piece that failed; errors are told once (${mode})`, async (t) => {
    const simulation = new Simulation({
      sizeBytes: 2 * MiB,
      unitBytes: 512,
      memoryBytes: 8 * MiB,
      fault: (op, offset) => (op === OP_READ && offset >= MiB ? EREMOTEIO : 0),
    });
    const peer = simulation.connect({ replies: mode });
    peer.send({ type: READ, cookie: 1n, offset: 1000, length: 2 * MiB - 1000 });
    simulation.run();
    t.equal(peer.reader.fault, undefined, 'several pieces failed, one error came');
    const at = Number(/offset (\d+)/.exec(peer.replies[0]?.message ?? '')?.[1]);
    t.ok(at >= MiB - 256 * KiB && at < 2 * MiB, `it says ${at}`);
    // The first half of what it got is right.
    t.ok(
      simulation.warnings.some((line) => line.includes('EREMOTEIO')),
      'the log has the errno (X16)',
    );
  });

  t.test(`X6: DF gets one chunk of data, holes and all, up to 32 MiB (${mode})`, async (t) => {
    const path = sparseFile(join(scratch(t), 'f'), 40 * MiB);
    const { client } = await open(t, mode, path);
    t.equal(client.transmissionFlags & (1 << 7), 1 << 7, 'SEND_DF is offered');
    await must(client.call({ type: WRITE, offset: 17 * MiB, payload: pattern(MiB, 4) }));
    for (const length of [1, 65_536, 65_537, 4 * MiB, 4 * MiB + 1, 32 * MiB]) {
      const reply = await must(client.call({ type: READ, flags: DF, offset: 3, length }));
      t.equal(reply.error, 0);
      t.same(reply.holes, [], 'no hole is told as one');
      t.ok(reply.data.equals(readFileSync(path).subarray(3, 3 + length)), `${length} bytes`);
    }
  });

  t.test(`X3: holes are told as holes once they are known, and not after a write (${mode})`, async (t) => {
    const path = sparseFile(join(scratch(t), 'f'), 8 * MiB);
    const { client } = await open(t, mode, path);
    const holes = async () => (await must(client.call({ type: READ, offset: 0, length: 8 * MiB }))).holes;
    const deadline = Date.now() + 5000;
    while ((await holes()).length === 0 && Date.now() < deadline) {}
    t.same(await holes(), [{ start: 0, end: 8 * MiB }], 'the file was looked through');
    await must(client.call({ type: WRITE, offset: 3 * MiB + 7, payload: Buffer.alloc(10) }));
    t.same(await holes(), [
      { start: 0, end: 3 * MiB },
      { start: 3 * MiB + 64 * KiB, end: 8 * MiB },
    ]);
    const small = await must(client.call({ type: READ, offset: 100_003, length: 77 }));
    t.same([small.holes, small.chunks], [[{ start: 100_003, end: 100_080 }], 1]);
    await must(client.call({ type: WRITE_ZEROES, offset: 2 * MiB, length: 2 * MiB }));
    t.same(await holes(), [{ start: 0, end: 8 * MiB }], 'zeroes make a hole again');
  });

  t.test(
    `X7: the payload of a refused WRITE is thrown away, and the error has words (${mode})`,
    async (t) => {
      const path = patternFile(join(scratch(t), 'f'), MiB, 1);
      const { client } = await open(t, mode, path);
      const payload = pattern(100_000, 5);
      const beyond = await must(client.call({ type: WRITE, offset: MiB - 5, payload }));
      t.equal(beyond.error, ENOSPC);
      t.match(beyond.message, /100000 bytes at 1048571: the export has 1048576 bytes/);
      const wrong = await must(client.call({ type: WRITE, flags: NO_HOLE, offset: 0, payload }));
      t.equal(wrong.error, EINVAL);
      const { client: reader } = await open(t, mode, patternFile(join(scratch(t), 'g'), MiB, 1), true);
      const refused = await must(reader.call({ type: WRITE, offset: 0, payload }));
      t.equal(refused.error, EPERM);
      t.match(refused.message, /read-only/);
      t.ok(readFileSync(path).equals(pattern(MiB, 1)), 'nothing was written');
    },
  );

  t.test(`X9: each command takes its own flags and FUA, and no other (${mode})`, async (t) => {
    const { client } = await open(t, mode, sparseFile(join(scratch(t), 'f'), MiB));
    const own = new Map([
      [READ, DF],
      [WRITE, 0],
      [FLUSH, 0],
      [TRIM, 0],
      [CACHE, 0],
      [WRITE_ZEROES, NO_HOLE | FAST_ZERO],
      [BLOCK_STATUS, REQ_ONE],
    ]);
    for (const [type, flags] of own) {
      for (let bit = 0; bit < 16; bit++) {
        const flag = 1 << bit;
        // With extended headers PAYLOAD_LEN says what the length means: it has tests of its own (E5).
        if (flag === PAYLOAD_LEN && mode === 'extended') continue;
        const where = type === WRITE ? { payload: Buffer.alloc(4096) } : { length: 4096 };
        const error = await client.errorOf({ type, flags: flag, offset: 0, ...where });
        const taken = ((flags | FUA) & flag) !== 0;
        if (error !== (taken ? 0 : EINVAL)) t.fail(`command ${type} with flag ${flag}: ${error}`);
      }
      t.pass(`command ${type}`);
    }
    const unknown = await must(client.call({ type: 99, offset: 0, length: 1 }));
    t.equal(unknown.error, EINVAL);
    t.match(unknown.message, /command 99/);
  });

  t.test(`X15: BLOCK_STATUS answers for each context, as the file is (${mode})`, async (t) => {
    const path = sparseFile(join(scratch(t), 'f'), 4 * MiB);
    const { client, base, changed } = await open(t, mode, path);
    await must(client.call({ type: WRITE, offset: MiB, payload: pattern(64 * KiB, 6) }));
    await must(client.call({ type: WRITE, offset: 2 * MiB + 4096, payload: pattern(4096, 6) }));
    const all = await must(client.call({ type: BLOCK_STATUS, offset: 0, length: 4 * MiB }));
    t.same(extentsOf(all, base), [
      { length: MiB, flags: HOLE | ZERO },
      { length: 64 * KiB, flags: 0 },
      { length: MiB - 64 * KiB + 4096, flags: HOLE | ZERO },
      { length: 4096, flags: 0 },
      { length: 2 * MiB - 8192, flags: HOLE | ZERO },
    ]);
    t.same(extentsOf(all, changed), [
      { length: MiB, flags: 0 },
      { length: 64 * KiB, flags: CHANGED },
      { length: MiB - 64 * KiB, flags: 0 },
      { length: 64 * KiB, flags: CHANGED },
      { length: 2 * MiB - 64 * KiB, flags: 0 },
    ]);
    const one = await must(
      client.call({ type: BLOCK_STATUS, flags: REQ_ONE, offset: MiB + 1, length: 3 * MiB - 1 }),
    );
    t.same(extentsOf(one, base), [{ length: 64 * KiB - 1, flags: 0 }]);
    t.same(extentsOf(one, changed), [{ length: 64 * KiB - 1, flags: CHANGED }]);
    t.equal(
      await client.errorOf({ type: BLOCK_STATUS, offset: 4 * MiB, length: 1 }),
      EINVAL,
      'beyond the end',
    );
    t.equal(await client.errorOf({ type: BLOCK_STATUS, offset: 0, length: 0 }), EINVAL, 'of nothing');
  });

  t.test(`X15: without a context BLOCK_STATUS is EINVAL (${mode})`, async (t) => {
    const { address } = await start(t, {
      exports: [{ name: '', path: sparseFile(join(scratch(t), 'f'), MiB) }],
    });
    const client = await RawClient.open(address, '', { replies: mode });
    const reply = await must(client.call({ type: BLOCK_STATUS, offset: 0, length: MiB }));
    t.equal(reply.error, EINVAL);
    t.match(reply.message, /SET_META_CONTEXT/);
    await client.destroy();
  });

  t.test(
    `X15: 4096 extents are the most at a time, and the next one asks on from there (${mode})`,
    async (t) => {
      const pages = 4096 + 3;
      const path = sparseFile(join(scratch(t), 'f'), pages * 8192);
      const fd = openSync(path, 'r+');
      for (let page = 0; page < pages; page++)
        writeSync(fd, Buffer.alloc(4096, 1), 0, undefined, page * 8192);
      closeSync(fd);
      const { client, base } = await open(t, mode, path, true);
      const sizes: number[] = [];
      for (let offset = 0; offset < pages * 8192; ) {
        const length = pages * 8192 - offset;
        const reply = await must(client.call({ type: BLOCK_STATUS, offset, length }));
        const extents = extentsOf(reply, base);
        sizes.push(extents.length);
        offset += extents.reduce((sum, extent) => sum + extent.length, 0);
      }
      t.same(sizes, [4096, 4096, 6]);
    },
  );

  t.test(
    `X16: what the disk said is in the message, and on the wire is one of eight errors (${mode})`,
    async (t) => {
      for (const [errno, error, name] of [
        [EREMOTEIO, EIO, 'EREMOTEIO'],
        [122, ENOSPC, 'EDQUOT'],
        [27, ENOSPC, 'EFBIG'],
        [30, EPERM, 'EROFS'],
        [38, EINVAL, 'ENOSYS'],
      ] as const) {
        const simulation = new Simulation({ sizeBytes: MiB, unitBytes: 512, fault: () => errno });
        const peer = simulation.connect({ replies: mode });
        peer.send(
          { type: WRITE, cookie: 1n, offset: 512, payload: Buffer.alloc(512) },
          { type: READ, cookie: 2n, offset: 512, length: 512 },
          { type: FLUSH, cookie: 3n },
        );
        simulation.run();
        const byCookie = [...peer.replies].sort((a, b) => Number(a.cookie - b.cookie));
        t.same(
          byCookie.map((reply) => reply.error),
          [error, error, error],
          name,
        );
        t.ok(byCookie.every((reply) => reply.message.includes(name)));
        t.ok(simulation.warnings.length >= 3);
      }
    },
  );

  t.test(`X20: while the server stops, new requests are told so in words (${mode})`, async (t) => {
    const { address, server } = await start(t, {
      exports: [{ name: '', path: sparseFile(join(scratch(t), 'f'), MiB) }],
    });
    const client = await RawClient.open(address, '', { replies: mode });
    const closed = server.close(2000);
    const reply = await must(client.call({ type: READ, offset: 0, length: 512 }));
    t.equal(reply.error, ESHUTDOWN);
    t.match(reply.message, /shutting down/);
    await client.destroy();
    await closed;
  });

  t.test(`X21: a length of 0 is success without data (${mode})`, async (t) => {
    const { client } = await open(t, mode, sparseFile(join(scratch(t), 'f'), MiB));
    for (const type of [READ, TRIM, CACHE, WRITE_ZEROES]) {
      const reply = await must(client.call({ type, offset: 0, length: 0 }));
      t.same([reply.error, reply.data.length], [0, 0], `command ${type}`);
    }
    const empty = await must(client.call({ type: READ, flags: DF, offset: 0, length: 0 }));
    t.same([empty.error, empty.data.length], [0, 0], 'READ with DF');
    t.equal(await client.errorOf({ type: WRITE, offset: 0, payload: Buffer.alloc(0) }), 0);
  });
}

for (const mode of ['simple', ...IN_CHUNKS] as const) {
  t.test(
    `X14: FAST_ZERO is refused where zeroes would be written, and changes nothing (${mode})`,
    async (t) => {
      const backing = await makeBacking(t, 'tmpfs', MiB);
      const { client } = await open(t, mode, backing.path);
      await must(client.call({ type: WRITE, offset: 0, payload: pattern(MiB, 7) }));
      const slow = { type: WRITE_ZEROES, offset: 100, length: 500_000, flags: FAST_ZERO | NO_HOLE };
      t.equal(await client.errorOf(slow), ENOTSUP);
      t.ok(readFileSync(backing.path).equals(pattern(MiB, 7)), 'nothing has changed');
      t.equal(await client.errorOf({ ...slow, flags: FAST_ZERO }), 0, 'a hole is fast');
      t.equal(await client.errorOf({ ...slow, flags: NO_HOLE }), 0, 'without the flag it takes its time');
      const expected = pattern(MiB, 7).fill(0, 100, 500_100);
      t.ok(readFileSync(backing.path).equals(expected));
      await client.destroy();
    },
  );

  t.test(
    `X14: where fallocate can't, FAST_ZERO is refused at once and leaves the edges alone (${mode})`,
    async (t) => {
      let zeroes = 0;
      const simulation = new Simulation({
        sizeBytes: MiB,
        unitBytes: 4096,
        fault: (op) => {
          if (op !== OP_ZERO) return 0;
          zeroes++;
          return EOPNOTSUPP;
        },
      });
      simulation.image.fill(0x55);
      const peer = simulation.connect({ replies: mode });
      const request = { type: WRITE_ZEROES, offset: 100, length: 500_000 };
      peer.send({ ...request, cookie: 1n, flags: FAST_ZERO });
      simulation.run();
      t.equal(peer.replies[0]?.error, ENOTSUP);
      t.ok(simulation.image.equals(Buffer.alloc(MiB, 0x55)), 'nothing has changed');
      peer.send({ ...request, cookie: 2n });
      simulation.run();
      t.equal(peer.replies[1]?.error, 0);
      t.ok(simulation.image.equals(Buffer.alloc(MiB, 0x55).fill(0, 100, 500_100)), 'written instead');
      const before = zeroes;
      peer.send({ ...request, cookie: 3n, flags: FAST_ZERO });
      simulation.run();
      t.equal(peer.replies[2]?.error, ENOTSUP);
      t.equal(zeroes, before, 'it is not even tried again');
      peer.send({ ...request, offset: 4100, length: 50, cookie: 4n, flags: FAST_ZERO });
      simulation.run();
      t.equal(peer.replies[3]?.error, 0, 'less than a granule is one write in any case');
      peer.hasLeft = true;
      simulation.run();
      t.same(simulation.faults, []);
      t.ok(simulation.isAtRest);
    },
  );
}

t.test('X6: without structured replies DF is not offered and not taken', async (t) => {
  const { client } = await open(t, 'simple', sparseFile(join(scratch(t), 'f'), MiB));
  t.equal(client.transmissionFlags & (1 << 7), 0);
  t.equal(await client.errorOf({ type: READ, flags: DF, offset: 0, length: 512 }), EINVAL);
  t.equal(
    await client.errorOf({ type: BLOCK_STATUS, offset: 0, length: 512 }),
    EINVAL,
    'nor BLOCK_STATUS (X15)',
  );
});

t.test('X13: a range of many pieces is zeroed whole, and others go on meanwhile', async (t) => {
  const sizeBytes = 3 * 128 * MiB + 5000;
  const path = sparseFile(join(scratch(t), 'f'), sizeBytes);
  const { client } = await open(t, 'structured', path);
  for (const at of [0, 128 * MiB - 2048, 256 * MiB, sizeBytes - 4096]) {
    await must(client.call({ type: WRITE, offset: at, payload: pattern(4096, at) }));
  }
  t.equal(await client.errorOf({ type: WRITE_ZEROES, flags: FUA, offset: 1, length: sizeBytes - 2 }), 0);
  for (const at of [0, 128 * MiB - 2048, 256 * MiB, sizeBytes - 4096]) {
    const { data } = await must(client.call({ type: READ, offset: at, length: 4096 }));
    const expected = Buffer.alloc(4096);
    if (at === 0) expected[0] = pattern(4096, at)[0]!;
    if (at === sizeBytes - 4096) expected[4095] = pattern(4096, at)[4095]!;
    t.ok(data.equals(expected), `zeroes at ${at}`);
  }
});

t.test("X13: where fallocate can't, a long WRITE_ZEROES lets other requests pass", async (t) => {
  const simulation = new Simulation({
    sizeBytes: 64 * MiB,
    unitBytes: 512,
    fault: (op) => (op === OP_ZERO ? EOPNOTSUPP : 0),
  });
  const long = simulation.connect();
  const other = simulation.connect();
  long.send({ type: WRITE_ZEROES, cookie: 1n, offset: 0, length: 64 * MiB });
  simulation.run(4);
  let turns = 0;
  for (let i = 0; i < 5; i++) {
    other.send({ type: READ, cookie: BigInt(i), offset: i * 4096, length: 4096 });
    while (other.replies.length <= i && turns < 1000) {
      simulation.run(1);
      turns++;
    }
  }
  t.equal(other.replies.length, 5);
  t.equal(long.replies.length, 0, 'the long one is still at work');
  simulation.run();
  t.equal(long.replies[0]?.error, 0);
});

t.test(
  'X13: ext3 has no way to zero and keep the blocks: zeroes are written; and holes are still holes',
  async (t) => {
    const backing = await makeBacking(t, 'ext3', 8 * MiB);
    const { client } = await open(t, 'structured', backing.path);
    await must(client.call({ type: WRITE, offset: 0, payload: pattern(4 * MiB, 8) }));
    const before = backing.allocatedBytes();
    const range = { type: WRITE_ZEROES, offset: 1000, length: 3 * MiB };
    t.equal(await client.errorOf({ ...range, flags: FAST_ZERO | NO_HOLE }), ENOTSUP);
    t.ok(
      readFileSync(backing.path)
        .subarray(0, 4 * MiB)
        .equals(pattern(4 * MiB, 8)),
      'nothing has changed',
    );
    t.equal(await client.errorOf({ ...range, flags: NO_HOLE }), 0);
    t.ok(backing.allocatedBytes() >= before, 'blocks stay');
    const expected = pattern(4 * MiB, 8).fill(0, 1000, 1000 + 3 * MiB);
    t.ok(
      readFileSync(backing.path)
        .subarray(0, 4 * MiB)
        .equals(expected),
    );
    t.equal(await client.errorOf({ ...range, flags: FAST_ZERO }), 0);
    t.ok(backing.allocatedBytes() < before - 2 * MiB, 'blocks go');
    t.ok(
      readFileSync(backing.path)
        .subarray(0, 4 * MiB)
        .equals(expected),
    );
    await client.destroy();
  },
);

t.test(
  'X18: CACHE reads ahead up to 1 GiB where I/O is buffered, and nothing where it is direct',
  async (t) => {
    const GiB = 1024 * MiB;
    for (const unitBytes of [0, 4096]) {
      let advised: { offset: number; length: number }[] = [];
      const simulation = new Simulation({
        sizeBytes: GiB + 8192,
        unitBytes,
        fault: (op, offset, length) => {
          if (op === OP_ADVISE) advised.push({ offset, length });
          return 0;
        },
      });
      const peer = simulation.connect({ replies: 'structured' });
      for (const length of [GiB - 1, GiB, GiB + 1]) {
        advised = [];
        peer.send({ type: CACHE, cookie: BigInt(length), offset: 4096, length });
        simulation.run();
        t.equal(peer.replies.at(-1)?.error, 0);
        t.equal(
          advised.reduce((sum, piece) => sum + piece.length, 0),
          unitBytes === 0 ? Math.min(length, GiB) : 0,
          `${length} bytes, ${unitBytes === 0 ? 'buffered' : 'direct'}`,
        );
        t.ok(
          advised.every((piece, i) => piece.offset === 4096 + i * 16 * MiB),
          'piece by piece',
        );
      }
    }
  },
);
