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
  CACHE,
  DISC,
  EINVAL,
  ENOSPC,
  FLUSH,
  HEADER_BYTES,
  READ,
  type Request,
  requestBytes,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

const SIZE = 128 * KiB + 3;
const COMMANDS = [READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES];
const UNITS = [0, 512, 4096];
const REFUSED_PAYLOAD_LIMIT = 64 * MiB;

/** Takes apart what was sent as a server must, and says what may be answered: the oracle of the tests below. */
function expectReplies(peer: SimulatedPeer, bytes: Buffer, sizeBytes: number): { ends: boolean } {
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    if (bytes.readUInt32BE(at) !== 0x25609513) return { ends: true };
    const type = bytes.readUInt16BE(at + 6);
    const length = bytes.readUInt32BE(at + 24);
    if (type === DISC) return { ends: true };
    if (type === WRITE && length > REFUSED_PAYLOAD_LIMIT) return { ends: true };
    const payload = type === WRITE ? length : 0;
    at += HEADER_BYTES + payload;
    if (at > bytes.length) return { ends: false }; // the payload never comes: no answer
    peer.reader.expect({
      type,
      cookie: bytes.readBigUInt64BE(at - payload - HEADER_BYTES + 8),
      // A READ that is refused has no data, so the most that it can have is what is inside.
      length: Math.min(length, sizeBytes),
    });
  }
  return { ends: false };
}

/** Sends bytes in pieces and returns what is wrong with how the server takes it. */
function abuse(simulation: Simulation, bytes: Buffer, pieces: readonly number[], leaves: boolean): string[] {
  const peer = simulation.connect();
  const { ends } = expectReplies(peer, bytes, simulation.target.sizeBytes);
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

const header = fc
  .record({
    magic: fc.oneof({ weight: 20, arbitrary: fc.constant(0x25609513) }, fc.nat(0xffffffff)),
    type: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...COMMANDS) }, fc.nat(0xffff)),
    flags: fc.oneof({ weight: 5, arbitrary: fc.nat(3) }, fc.nat(0xffff)),
    cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    offset: fc.oneof(
      { weight: 5, arbitrary: fc.bigInt({ min: 0n, max: BigInt(SIZE) }) },
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.constantFrom(2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 53n + 1n),
    ),
    length: fc.oneof(
      { weight: 9, arbitrary: fc.nat(5000) },
      fc.nat(0xffffffff),
      fc.constantFrom(0, 32 * MiB, 32 * MiB + 1, 0xffffffff),
    ),
  })
  .map((fields) => {
    // A payload of the length that was announced, or of a part of it.
    const payload = fields.type === WRITE ? Buffer.alloc(Math.min(fields.length, 10_000), 0x25) : undefined;
    return { ...fields, ...(payload ? { payload } : {}) };
  });

/** Two requests with one cookie could not be told apart by their answers, so each has a number in it. */
const headers = fc
  .array(header, { maxLength: 12 })
  .map((requests) =>
    requests.map((request, index) =>
      requestBytes({ ...request, cookie: (request.cookie & ~0xffn) | BigInt(index) }),
    ),
  );

t.test('random bytes', (t) => {
  for (const unitBytes of UNITS) {
    const simulation = new Simulation({ sizeBytes: SIZE, unitBytes });
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.nat(), { maxLength: 4 }),
        fc.boolean(),
        (bytes, pieces, leaves) => {
          const found = abuse(simulation, Buffer.from(bytes), pieces, leaves);
          if (found.length > 0) throw new Error(found.join('; '));
        },
      ),
      { numRuns: 300 },
    );
    t.pass(`units of ${unitBytes}`);
  }
  t.end();
});

t.test('requests with absurd fields, and payloads that do not come', (t) => {
  for (const unitBytes of UNITS) {
    const simulation = new Simulation({ sizeBytes: SIZE, unitBytes });
    fc.assert(
      fc.property(headers, fc.array(fc.nat(), { maxLength: 8 }), fc.boolean(), (headers, pieces, leaves) => {
        const found = abuse(simulation, Buffer.concat(headers), pieces, leaves);
        if (found.length > 0) throw new Error(found.join('; '));
      }),
      { numRuns: 1500 },
    );
    t.pass(`units of ${unitBytes}`);
  }
  t.end();
});

t.test('a good session in which some bytes have been changed', (t) => {
  const session = record(false);
  // Two requests with one cookie could not be told apart by their answers.
  const cookies = new Set<number>();
  let at = 0;
  for (const { payload } of session.requests) {
    for (let i = 8; i < 16; i++) cookies.add(at + i);
    at += HEADER_BYTES + (payload?.length ?? 0);
  }
  for (const unitBytes of UNITS) {
    const simulation = new Simulation({ sizeBytes: session.sizeBytes, unitBytes });
    const change = fc.tuple(fc.nat(session.bytes.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 4 }),
        (changes, pieces) => {
          const bytes = Buffer.from(session.bytes);
          for (const [at, by] of changes) if (!cookies.has(at)) bytes[at]! ^= by;
          const found = abuse(simulation, bytes, pieces, true);
          if (found.length > 0) throw new Error(found.join('; '));
        },
      ),
      { numRuns: 500 },
    );
    t.pass(`units of ${unitBytes}`);
  }
  t.end();
});

t.test('every command with every flag, length and offset that is an edge: one reply each', (t) => {
  const lengths = [
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
  ];
  const offsets = [
    0n,
    1n,
    BigInt(SIZE) - 1n,
    BigInt(SIZE),
    2n ** 32n,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    2n ** 63n,
  ];
  offsets.push(2n ** 64n - 512n, 2n ** 64n - 1n);
  const flags = [0, ...Array.from({ length: 16 }, (_, bit) => 1 << bit), 0xffff];
  for (const unitBytes of UNITS) {
    const simulation = new Simulation({ sizeBytes: SIZE, unitBytes });
    let cookie = 0n;
    const wrong: string[] = [];
    for (const type of [READ, FLUSH, TRIM, CACHE, WRITE_ZEROES, 7, 8, 255, 256, 257, 65535]) {
      const peer = simulation.connect();
      const sent = new Map<bigint, Request>();
      for (const offset of offsets) {
        for (const length of lengths) {
          for (const flag of flags) {
            const request = { type, flags: flag, cookie: cookie++, offset, length };
            sent.set(request.cookie, request);
            peer.send(request);
          }
        }
      }
      peer.onReply = ({ cookie: answered, error }) => {
        const request = sent.get(answered)!;
        const want = verdict(request);
        if (error !== want) {
          wrong.push(
            `command ${type}, flags ${request.flags}, ${request.offset} +${request.length}: ${error}, not ${want}`,
          );
        }
      };
      simulation.run();
      t.equal(peer.replies.length, sent.size, `units of ${unitBytes}, command ${type}: ${sent.size} replies`);
      t.notOk(peer.isClosed || peer.reader.fault, 'and the connection lives');
    }
    t.same(wrong.slice(0, 5), [], 'each says what the checklist says');
    t.same(simulation.faults, []);
  }
  t.end();
});

/** X8, X9 in the order in which the server looks: command, flags, range. */
function verdict({ type, flags, offset, length }: Request): number {
  const allowed = type === WRITE_ZEROES ? 3 : 1;
  if (type > WRITE_ZEROES || (flags! & ~allowed) !== 0) return EINVAL;
  if (type === FLUSH) return 0;
  if (BigInt(offset!) + BigInt(length!) > BigInt(SIZE)) return type === WRITE_ZEROES ? ENOSPC : EINVAL;
  return 0;
}

t.test('a server on real sockets outlives them all', async (t) => {
  const path = patternFile(join(scratch(t), 'disk'), MiB, 1);
  const { client, server } = await start(t, { exports: [{ name: '', path, readOnly: true }] });
  const random = randomNumbers(7);
  const good = await client();
  for (let round = 0; round < 60; round++) {
    const bad = await client();
    const kind = random(4);
    if (kind === 0) bad.write(pattern(1 + random(5000), round));
    else if (kind === 1) bad.write(requestBytes({ type: WRITE, cookie: 1n, length: random(2 ** 32) }));
    else if (kind === 2)
      bad.write(requestBytes({ type: READ, cookie: 1n, length: MiB }).subarray(0, random(28)));
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
