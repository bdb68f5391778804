// A session to be cut into pieces: every command, refused requests of every kind, payloads of every size that is treated
// differently. No request depends on another one, so the answers do not depend on the order in which they are done.

import { KiB, pattern } from '../support/files.js';
import {
  BLOCK_STATUS,
  CACHE,
  DISC,
  FLUSH,
  FUA,
  NO_HOLE,
  READ,
  type Reply,
  type Request,
  requestBytes,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

export interface Session {
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

/** `large` adds payloads that are received straight into their blocks, and of several blocks. */
export function record(large: boolean): Session {
  const sizeBytes = (large ? 1024 : 128) * KiB + 3;
  const before = pattern(sizeBytes, 42);
  const after = Buffer.from(before);
  const requests: Request[] = [];
  let cookie = 0xfedcba9800000000n;
  let free = 0; // from here on nobody has touched anything
  const add = (request: Omit<Request, 'cookie'>) => requests.push({ ...request, cookie: cookie++ });
  const write = (length: number, flags = 0, gap = 1) => {
    const payload = pattern(length, free);
    payload.copy(after, free);
    add({ type: WRITE, flags, offset: free, payload });
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
  add({ type: READ, flags: 1 << 2, offset: 0, length: 10 });
  zero(700);
  add({ type: READ, offset: 2n ** 64n - 1n, length: 4096 });
  add({ type: READ, offset: sizeBytes - 20_000, length: 5000 });
  add({ type: TRIM, offset: sizeBytes, length: 1 });
  zero(3000, NO_HOLE);
  add({ type: CACHE, offset: 0, length: 4096 });
  add({ type: BLOCK_STATUS, offset: 0, length: 4096 });
  add({ type: WRITE, offset: 0, payload: Buffer.alloc(0) });
  add({ type: 65535, offset: 0, length: 0 });
  write(4096);
  // A payload that looks like a request.
  const inside = requestBytes({ type: WRITE, cookie: 1n, offset: 0, payload: Buffer.alloc(30, 0xff) });
  inside.copy(after, free);
  add({ type: WRITE, offset: free, payload: inside });
  free += inside.length;
  add({ type: READ, offset: sizeBytes - 60_000, length: large ? 60_000 : 600 });
  if (large) {
    write(5000);
    write(32 * KiB - 1);
    write(32 * KiB);
    add({ type: WRITE, offset: sizeBytes - 1, payload: pattern(70_000, 3) });
    write(70_001, FUA);
    write(300_000);
    add({ type: READ, offset: sizeBytes - 200_000, length: 200_000 });
    zero(100_000);
  }
  add({ type: TRIM, offset: free, length: 1 });

  const pieces = requests.flatMap((request) => {
    const bytes = requestBytes(request);
    return request.payload ? [bytes.subarray(0, 28), bytes.subarray(28)] : [bytes];
  });
  pieces.push(requestBytes({ type: DISC, cookie: 0n }));
  const edges: number[] = [];
  let at = 0;
  for (const piece of pieces) {
    at += piece.length;
    edges.push(at);
  }
  return { sizeBytes, before, requests, bytes: Buffer.concat(pieces), edges, after, trimmedAt: free };
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

/** What the replies say, whatever their order. */
export function digest(replies: readonly Reply[]): string {
  return replies
    .map(({ cookie, error, data }) => `${cookie.toString(16)} ${error} ${data.length} ${checksum(data)}`)
    .sort()
    .join('\n');
}

function checksum(data: Buffer): number {
  let sum = 7;
  for (let i = 0; i < data.length; i++) sum = (Math.imul(sum, 31) + data[i]!) | 0;
  return sum;
}
