// A session to be cut into pieces: every command, refused requests of every kind, payloads of every size that is treated
// differently. No request depends on another one, so the answers do not depend on the order in which they are done.

import { KiB, pattern } from '../support/files.js';
import type { Reply } from './reply-reader.js';
import {
  BLOCK_STATUS,
  CACHE,
  DF,
  DISC,
  FAST_ZERO,
  FLUSH,
  FUA,
  headerBytes,
  type Mode,
  NO_HOLE,
  READ,
  REQ_ONE,
  type Request,
  requestBytes,
  statusPayload,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

export interface Session {
  readonly mode: Mode;
  readonly sizeBytes: number;
  /** What is there before. */
  readonly before: Buffer;
  readonly requests: readonly Request[];
  /** All requests and a DISC. */
  readonly bytes: Buffer;
  /** Where headers and payloads end in `bytes`. */
  readonly edges: readonly number[];
  /** What is there afterwards; the byte at `trimmedAt` may be anything. */
  readonly after: Buffer;
  readonly trimmedAt: number;
}

/** Contexts to be selected for a session, by mode. */
export const SESSION_CONTEXTS: Readonly<Record<Mode, readonly number[]>> = {
  simple: [],
  structured: [1, 2],
  extended: [1, 2],
};

/** `large` adds payloads that are received straight into their blocks, and of several blocks. */
export function record(large: boolean, mode: Mode = 'simple'): Session {
  const sizeBytes = (large ? 1024 : 128) * KiB + 3;
  const before = pattern(sizeBytes, 42);
  // Zeroes near the end, and holes if the filesystem makes some of them.
  const zeroesAt = sizeBytes - 30_000;
  before.fill(0, zeroesAt, zeroesAt + 9000);
  const after = Buffer.from(before);
  const requests: Request[] = [];
  let cookie = 0xfedcba9800000000n;
  let free = 0; // from here on nobody has touched anything
  const add = (request: Omit<Request, 'cookie'>) => requests.push({ ...request, cookie: cookie++ });
  const write = (length: number, flags = 0, gap = 1, announcesPayload = true) => {
    const payload = pattern(length, free);
    payload.copy(after, free);
    add({ type: WRITE, flags, offset: free, payload, announcesPayload });
    free += length + gap;
  };
  const zero = (length: number, flags = 0) => {
    after.fill(0, free, free + length);
    add({ type: WRITE_ZEROES, flags, offset: free, length });
    free += length + 5;
  };

  write(1);
  write(27);
  add({ type: READ, offset: sizeBytes - 100, length: 100 });
  write(28, FUA);
  add({ type: 99, offset: 0, length: 1000 });
  write(600);
  add({ type: WRITE, offset: sizeBytes, payload: pattern(333, 1) }); // past the end: its payload is thrown away
  add({ type: FLUSH });
  add({ type: WRITE, flags: 1 << 9, offset: 0, payload: pattern(29, 2) });
  add({ type: READ, flags: DF, offset: sizeBytes - 200, length: 10 });
  zero(700);
  add({ type: READ, offset: 2n ** 64n - 1n, length: 4096 });
  add({ type: READ, offset: sizeBytes - 20_000, length: 5000 });
  add({ type: TRIM, offset: sizeBytes, length: 1 });
  zero(3000, NO_HOLE);
  add({ type: CACHE, offset: 0, length: 4096 });
  add({ type: BLOCK_STATUS, offset: zeroesAt - 4096, length: 4096 });
  add({ type: WRITE, offset: 0, payload: Buffer.alloc(0) });
  add({ type: 65535, offset: 0, length: 0 });
  write(4096);
  // Payloads that look like requests.
  const inside = requestBytes({ type: WRITE, cookie: 1n, offset: 0, payload: Buffer.alloc(30, 0xff) }, mode);
  inside.copy(after, free);
  add({ type: WRITE, offset: free, payload: inside });
  free += inside.length;
  add({ type: WRITE, flags: REQ_ONE, offset: 0, payload: inside });
  // What is zero already: whether this is fast or not, it changes nothing.
  add({ type: WRITE_ZEROES, flags: FAST_ZERO, offset: zeroesAt + 500, length: 8000 });
  add({ type: READ, offset: zeroesAt, length: 9000 });
  add({ type: READ, flags: DF | FUA, offset: zeroesAt - 100, length: 9200 });
  if (mode !== 'simple') addStatus(add, zeroesAt);
  if (mode === 'extended') addExtended(add, write, inside, zeroesAt);
  add({ type: READ, offset: sizeBytes - 60_000, length: large ? 60_000 : 600 });
  if (large) {
    write(5000);
    write(32 * KiB - 1);
    write(32 * KiB);
    add({ type: WRITE, offset: sizeBytes - 1, payload: pattern(70_000, 3) });
    write(70_001, FUA);
    if (mode === 'extended') {
      add({ type: FLUSH, payload: pattern(70_002, 4) });
      add({ type: BLOCK_STATUS, offset: 0, payload: pattern(40_000, 5) });
    }
    write(300_000);
    add({ type: READ, offset: sizeBytes - 200_000, length: 200_000 });
    zero(100_000);
  }
  add({ type: TRIM, offset: free, length: 1 });

  const pieces = requests.flatMap((request) => {
    const bytes = requestBytes(request, mode);
    const header = headerBytes(mode);
    return request.payload ? [bytes.subarray(0, header), bytes.subarray(header)] : [bytes];
  });
  pieces.push(requestBytes({ type: DISC, cookie: 0n }, mode));
  const edges: number[] = [];
  let at = 0;
  for (const piece of pieces) {
    at += piece.length;
    edges.push(at);
  }
  const bytes = Buffer.concat(pieces);
  return { mode, sizeBytes, before, requests, bytes, edges, after, trimmedAt: free };
}

type Add = (request: Omit<Request, 'cookie'>) => void;

function addStatus(add: Add, zeroesAt: number): void {
  add({ type: BLOCK_STATUS, offset: zeroesAt, length: 20_000 });
  add({ type: BLOCK_STATUS, flags: REQ_ONE, offset: zeroesAt - 511, length: 512 });
  add({ type: BLOCK_STATUS, flags: FUA | REQ_ONE, offset: zeroesAt, length: 4096 });
  add({ type: BLOCK_STATUS, offset: 0, length: 0 });
  add({ type: BLOCK_STATUS, offset: zeroesAt, length: 0xffffffff });
  add({ type: BLOCK_STATUS, flags: DF, offset: zeroesAt, length: 512 });
  add({ type: READ, flags: REQ_ONE, offset: zeroesAt, length: 512 });
}

/** Lengths of 64 bits, and payloads where they are expected and where they are not. */
function addExtended(
  add: Add,
  write: (length: number, flags: number, gap: number, announcesPayload: boolean) => void,
  inside: Buffer,
  zeroesAt: number,
): void {
  write(500, 0, 0, false);
  write(501, FUA, 0, true);
  add({ type: READ, offset: 0, length: 2 ** 32 + 5 });
  add({ type: WRITE_ZEROES, offset: 0, length: 2n ** 63n });
  add({ type: TRIM, offset: 5, length: 2n ** 64n - 1n });
  add({ type: CACHE, offset: 5, length: 2n ** 64n - 5n });
  add({ type: BLOCK_STATUS, offset: 0, length: 2n ** 40n });
  add({ type: FLUSH, offset: 2n ** 64n - 1n, length: 2n ** 64n - 1n });
  for (const type of [READ, FLUSH, TRIM, CACHE, WRITE_ZEROES, 99]) add({ type, offset: 0, payload: inside });
  add({ type: READ, offset: 0, payload: Buffer.alloc(300) });
  add({ type: TRIM, offset: 0, payload: Buffer.alloc(0) });
  add({ type: WRITE, flags: FAST_ZERO, offset: 0, payload: inside });
  for (const ids of [[1], [2], [2, 1], [1, 1], [7], [1, 33], [2, 0x80000001], []]) {
    add({ type: BLOCK_STATUS, offset: zeroesAt, payload: statusPayload(4096, ids) });
  }
  add({ type: BLOCK_STATUS, flags: REQ_ONE, offset: zeroesAt + 512, payload: statusPayload(4096, [2]) });
  add({ type: BLOCK_STATUS, offset: zeroesAt + 512, payload: statusPayload(0, [2]) });
  add({ type: BLOCK_STATUS, offset: zeroesAt + 512, payload: statusPayload(2n ** 63n, [2]) });
  const list = Buffer.concat([statusPayload(512, [1]), inside, Buffer.alloc(300)]);
  for (const bytes of [0, 1, 7, 11, 13, 255, 257]) {
    add({ type: BLOCK_STATUS, offset: zeroesAt, payload: list.subarray(0, bytes) });
  }
}

/** Whether an image is what the session makes of it. */
export function isAfter(session: Session, image: Buffer): boolean {
  const { after, trimmedAt } = session;
  return (
    image.length === after.length &&
    image.subarray(0, trimmedAt).equals(after.subarray(0, trimmedAt)) &&
    image.subarray(trimmedAt + 1).equals(after.subarray(trimmedAt + 1))
  );
}

/** Whether two sessions were answered with the same, whatever the order: what {@link digest} would find, but sooner. */
export function areSame(some: readonly Reply[], others: readonly Reply[]): boolean {
  const byCookie = new Map(others.map((reply) => [reply.cookie, reply]));
  const isSame = (reply: Reply) => {
    const other = byCookie.get(reply.cookie);
    byCookie.delete(reply.cookie);
    return (
      reply.error === other?.error &&
      reply.data.equals(other.data) &&
      `${[...reply.contexts.keys()].sort()}` === `${[...other.contexts.keys()].sort()}`
    );
  };
  return some.length === others.length && some.every(isSame);
}

/** What the replies say, whatever their order, and whatever was allocated when. */
export function digest(replies: readonly Reply[]): string {
  return replies
    .map(({ cookie, error, data, contexts }) => {
      const told = [...contexts.keys()].sort();
      return `${cookie.toString(16)} ${error} ${data.length} ${checksum(data)} ${told}`;
    })
    .sort()
    .join('\n');
}

function checksum(data: Buffer): number {
  let sum = 7;
  for (let i = 0; i < data.length; i++) sum = (Math.imul(sum, 31) + data[i]!) | 0;
  return sum;
}
