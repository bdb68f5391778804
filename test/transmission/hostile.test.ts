// Clients that do not keep to the protocol: never a crash, never a hang, never an answer to what nobody asked.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { KiB, MiB, pattern, patternFile, scratch } from '../support/files.js';
import { start } from './in-process.js';
import { record } from './session.js';
import { randomNumbers, type SimulatedPeer, Simulation } from './simulation.js';
import {
  BLOCK_STATUS,
  CACHE,
  DF,
  DISC,
  EINVAL,
  ENOSPC,
  FAST_ZERO,
  FLUSH,
  FUA,
  headerBytes,
  MODES,
  type Mode,
  NO_HOLE,
  PAYLOAD_LEN,
  READ,
  REQ_ONE,
  type Request,
  requestBytes,
  statusPayload,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

const SIZE = 128 * KiB + 3;
const COMMANDS = [READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS];
const METAS = { simple: [], structured: [1, 2], extended: [1, 2] };
/** Every mode and every unit, but not every one with every other: what goes to the disk is the same in all modes. */
const CASES: readonly { readonly mode: Mode; readonly unitBytes: number }[] = [
  { mode: 'simple', unitBytes: 512 },
  { mode: 'simple', unitBytes: 4096 },
  { mode: 'structured', unitBytes: 0 },
  { mode: 'structured', unitBytes: 4096 },
  { mode: 'extended', unitBytes: 0 },
  { mode: 'extended', unitBytes: 512 },
];
/** Longer payloads are not read, by mode: with extended headers that is what the specification asks for. */
const LONGEST_PAYLOAD = { simple: 64 * MiB, structured: 64 * MiB, extended: 32 * MiB };
const REQUEST_MAGICS = { simple: 0x25609513, structured: 0x25609513, extended: 0x21e41c71 };

/** Takes apart what was sent as a server must, and says what may be answered: the oracle of the tests below. */
function expectReplies(peer: SimulatedPeer, bytes: Buffer): { ends: boolean } {
  const { mode } = peer;
  const header = headerBytes(mode);
  for (let at = 0; at + header <= bytes.length; ) {
    if (bytes.readUInt32BE(at) !== REQUEST_MAGICS[mode]) return { ends: true };
    const flags = bytes.readUInt16BE(at + 4);
    const type = bytes.readUInt16BE(at + 6);
    const cookie = bytes.readBigUInt64BE(at + 8);
    const offset = bytes.readBigUInt64BE(at + 16);
    const length = mode === 'extended' ? bytes.readBigUInt64BE(at + 24) : bytes.readUInt32BE(at + 24);
    if (type === DISC) return { ends: true };
    at += header;
    const request = { type, flags, cookie, offset, length };
    if (type === WRITE || (mode === 'extended' && (flags & PAYLOAD_LEN) !== 0)) {
      if (length > LONGEST_PAYLOAD[mode]) return { ends: true };
      const payload = bytes.subarray(at, at + Number(length));
      if (payload.length < length) return { ends: false }; // it never comes whole: no answer
      at += payload.length;
      peer.reader.expect({ ...request, payload, announcesPayload: false });
    } else {
      peer.reader.expect(request);
    }
  }
  return { ends: false };
}

/** Sends bytes in pieces and returns what is wrong with how the server takes it. */
function abuse(
  simulation: Simulation,
  mode: Mode,
  bytes: Buffer,
  pieces: readonly number[],
  leaves: boolean,
): string[] {
  const peer = simulation.connect({ replies: mode, metaContexts: METAS[mode] });
  const { ends } = expectReplies(peer, bytes);
  const edges = [0, ...pieces.map((p) => p % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < edges.length; i++) peer.push(bytes.subarray(edges[i - 1], edges[i]));
  simulation.run();
  const found = [...simulation.faults];
  if (peer.reader.fault) found.push(peer.reader.fault);
  if (ends && !peer.isClosed) found.push('the connection should have ended');
  if (!ends && peer.isClosed) found.push('the connection was dropped without a reason');
  if (!ends && peer.reader.outstanding > 0) found.push(`${peer.reader.outstanding} requests without a reply`);
  peer.hasLeft = leaves || !peer.isClosed;
  simulation.run();
  if (!simulation.isAtRest) found.push('something was not given back');
  return found;
}

/** Requests that need not make sense, each of which begins as one. Its cookie is to come. */
function arbitraryRequest(mode: Mode): fc.Arbitrary<Request> {
  const isExtended = mode === 'extended';
  const anyLength = isExtended ? fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) : fc.nat(0xffffffff).map(BigInt);
  return fc
    .record({
      magic: fc.oneof({ weight: 20, arbitrary: fc.constant(REQUEST_MAGICS[mode]) }, fc.nat(0xffffffff)),
      type: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...COMMANDS) }, fc.nat(0xffff)),
      flags: fc.oneof(
        { weight: 4, arbitrary: fc.nat(3) },
        { weight: 2, arbitrary: fc.nat(63) },
        fc.nat(0xffff),
      ),
      cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      offset: fc.oneof(
        { weight: 5, arbitrary: fc.bigInt({ min: 0n, max: BigInt(SIZE) }) },
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.constantFrom(2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 53n + 1n),
      ),
      length: fc.oneof(
        { weight: 9, arbitrary: fc.nat(5000).map(BigInt) },
        anyLength,
        fc.constantFrom(...[0, 32 * MiB, 32 * MiB + 1, 0xffffffff].map(BigInt)),
      ),
      ids: fc.array(fc.oneof(fc.constantFrom(1, 2), fc.nat(0xffffffff)), { maxLength: 3 }),
    })
    .map(({ ids, ...fields }) => {
      const hasPayload = fields.type === WRITE || (isExtended && (fields.flags & PAYLOAD_LEN) !== 0);
      if (!hasPayload) return fields;
      if (fields.type === BLOCK_STATUS && fields.length < 2500n) {
        const payload = statusPayload(fields.length, ids);
        return { ...fields, length: payload.length, payload };
      }
      // Of the length that was announced, or of a part of it.
      const length = Math.min(Number(fields.length), 10_000);
      return { ...fields, payload: Buffer.alloc(length, 0x25), announcesPayload: false };
    });
}

/** Two requests with one cookie could not be told apart by their answers, so each has a number in it. */
function arbitraryRequests(mode: Mode): fc.Arbitrary<Buffer[]> {
  return fc
    .array(arbitraryRequest(mode), { maxLength: 12 })
    .map((requests) =>
      requests.map((request, index) =>
        requestBytes({ ...request, cookie: (request.cookie & ~0xffn) | BigInt(index) }, mode),
      ),
    );
}

t.test('random bytes', (t) => {
  for (const { mode, unitBytes } of CASES) {
    const simulation = new Simulation({ sizeBytes: SIZE, unitBytes });
    const begin = Buffer.alloc(4);
    begin.writeUInt32BE(REQUEST_MAGICS[mode]);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 4 }),
        fc.boolean(),
        (random, isRequest, pieces, leaves) => {
          const bytes = Buffer.concat(isRequest ? [begin, random] : [random]);
          const found = abuse(simulation, mode, bytes, pieces, leaves);
          if (found.length > 0) throw new Error(found.join('; '));
        },
      ),
      { numRuns: 200 },
    );
    t.pass(`${mode}, units of ${unitBytes}`);
  }
  t.end();
});

t.test('requests with absurd fields, and payloads that do not come', (t) => {
  for (const { mode, unitBytes } of CASES) {
    const simulation = new Simulation({ sizeBytes: SIZE, unitBytes });
    const all = fc.property(
      arbitraryRequests(mode),
      fc.array(fc.nat(), { maxLength: 8 }),
      fc.boolean(),
      (requests, pieces, leaves) => {
        const found = abuse(simulation, mode, Buffer.concat(requests), pieces, leaves);
        if (found.length > 0) throw new Error(found.join('; '));
      },
    );
    fc.assert(all, { numRuns: mode === 'extended' ? 1500 : 800 });
    t.pass(`${mode}, units of ${unitBytes}`);
  }
  t.end();
});

t.test('a good session in which some bytes have been changed', (t) => {
  for (const { mode, unitBytes } of CASES) {
    const session = record(false, mode);
    // Two requests with one cookie could not be told apart by their answers.
    const cookies = new Set<number>();
    let at = 0;
    for (const { payload } of session.requests) {
      for (let i = 8; i < 16; i++) cookies.add(at + i);
      at += headerBytes(mode) + (payload?.length ?? 0);
    }
    const simulation = new Simulation({ sizeBytes: session.sizeBytes, unitBytes });
    const change = fc.tuple(fc.nat(session.bytes.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 4 }),
        (changes, pieces) => {
          const bytes = Buffer.from(session.bytes);
          for (const [at, by] of changes) if (!cookies.has(at)) bytes[at]! ^= by;
          const found = abuse(simulation, mode, bytes, pieces, true);
          if (found.length > 0) throw new Error(found.join('; '));
        },
      ),
      { numRuns: mode === 'extended' ? 500 : 250 },
    );
    t.pass(`${mode}, units of ${unitBytes}`);
  }
  t.end();
});

const EDGE_LENGTHS = [
  0,
  1,
  511,
  512,
  4096,
  SIZE,
  SIZE + 1,
  32 * MiB,
  32 * MiB + 1,
  64 * MiB,
  2 ** 31,
  2 ** 32 - 1,
].map(BigInt);
const LONG_LENGTHS = [
  2n ** 32n,
  2n ** 32n + 512n,
  2n ** 53n + 1n,
  2n ** 63n,
  2n ** 64n - 512n,
  2n ** 64n - 1n,
];
const EDGE_OFFSETS = [
  0n,
  1n,
  BigInt(SIZE) - 1n,
  BigInt(SIZE),
  2n ** 32n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 512n,
  2n ** 64n - 1n,
];
const EDGE_FLAGS = [0, ...Array.from({ length: 16 }, (_, bit) => 1 << bit), 0xffff];

/** All combinations; of those with a payload only such as can be sent. */
function* edgeRequests(mode: Mode, type: number): Generator<Request> {
  let cookie = BigInt(type) << 32n;
  for (const offset of EDGE_OFFSETS) {
    for (const length of mode === 'extended' ? [...EDGE_LENGTHS, ...LONG_LENGTHS] : EDGE_LENGTHS) {
      for (const flags of EDGE_FLAGS) {
        const request = { type, flags, cookie: cookie++, offset, length };
        const hasPayload = type === WRITE || (mode === 'extended' && (flags & PAYLOAD_LEN) !== 0);
        if (hasPayload && length > 4096n) continue;
        if (hasPayload)
          yield { ...request, payload: Buffer.alloc(Number(length), 0x25), announcesPayload: false };
        else yield request;
      }
    }
  }
}

t.test('every command with every flag, length and offset that is an edge: one reply each', (t) => {
  for (const { mode, unitBytes } of CASES) {
    const simulation = new Simulation({ sizeBytes: SIZE, unitBytes });
    const title = `${mode}, units of ${unitBytes}`;
    const wrong: string[] = [];
    for (const type of [
      READ,
      WRITE,
      FLUSH,
      TRIM,
      CACHE,
      WRITE_ZEROES,
      BLOCK_STATUS,
      8,
      255,
      256,
      257,
      65535,
    ]) {
      for (const metaContexts of type === BLOCK_STATUS ? [METAS[mode], []] : [METAS[mode]]) {
        const peer = simulation.connect({ replies: mode, metaContexts });
        const sent = new Map<bigint, Request>();
        for (const request of edgeRequests(mode, type)) {
          sent.set(request.cookie, request);
          peer.send(request);
        }
        peer.onReply = ({ cookie, error, message }) => {
          const request = sent.get(cookie)!;
          const want = verdict(request, mode, metaContexts.length > 0);
          const what = `command ${type}, flags ${request.flags}, ${request.offset} +${request.length}`;
          if (error !== want) wrong.push(`${what}: ${error}, not ${want}`);
          if (error !== 0 && mode !== 'simple' && message === '')
            wrong.push(`${what}: ${error} without words`);
        };
        simulation.run();
        t.equal(peer.replies.length, sent.size, `${title}, command ${type}: ${sent.size} replies`);
        t.notOk(peer.isClosed || peer.reader.fault, 'and the connection lives', { fault: peer.reader.fault });
        peer.hasLeft = true;
        simulation.run();
      }
    }
    t.same(wrong.slice(0, 5), [], 'each says what the checklist says');
    t.same(simulation.faults, []);
  }
  t.end();
});

/** X8, X9 in the order in which the server looks: command, flags, range. */
function verdict(request: Request, mode: Mode, hasContexts: boolean): number {
  const { type, flags, offset, length } = request;
  if (type > BLOCK_STATUS) return EINVAL;
  let allowed = FUA;
  if (type === WRITE_ZEROES) allowed |= NO_HOLE | FAST_ZERO;
  if (type === READ && mode !== 'simple') allowed |= DF;
  if (type === BLOCK_STATUS && hasContexts) allowed |= REQ_ONE;
  // Whether a list of contexts makes sense is the business of another test: these are nothing but 0x25.
  if (type === WRITE && mode === 'extended') allowed |= PAYLOAD_LEN;
  if ((flags! & ~allowed) !== 0) return EINVAL;
  if (type === FLUSH) return 0;
  if (type === BLOCK_STATUS && (!hasContexts || length === 0n)) return EINVAL;
  if (BigInt(offset!) + BigInt(length!) <= BigInt(SIZE)) return 0;
  return type === WRITE || type === WRITE_ZEROES ? ENOSPC : EINVAL;
}

t.test('a server on real sockets outlives them all', async (t) => {
  const path = patternFile(join(scratch(t), 'disk'), MiB, 1);
  const { client, server } = await start(t, { exports: [{ name: '', path, readOnly: true }] });
  const random = randomNumbers(7);
  const good = await client();
  for (let round = 0; round < 90; round++) {
    const bad = await client('', { replies: MODES[round % 3]! });
    const kind = random(4);
    if (kind === 0) bad.write(pattern(1 + random(5000), round));
    else if (kind === 1) bad.write(bad.bytesOf({ type: WRITE, cookie: 1n, length: random(2 ** 32) }));
    else if (kind === 2)
      bad.write(bad.bytesOf({ type: READ, cookie: 1n, length: MiB }).subarray(0, random(28)));
    else bad.send({ type: READ, cookie: 1n, length: MiB }, { type: 1000 + round, cookie: 2n });
    if (random(2) === 0) await new Promise(setImmediate);
    await bad.destroy();
  }
  const reply = await good.call({ type: READ, offset: 0, length: MiB });
  t.ok(reply?.data.equals(readFileSync(path)), 'a client that was there all along is served');
  const deadline = Date.now() + 5000;
  while (server.exports[0]!.counters.connections[0] !== 1 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.equal(server.exports[0]!.counters.connections[0], 1, 'and is the only one that is counted as connected');
});
