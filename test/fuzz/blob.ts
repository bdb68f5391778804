// Bytes as fixtures write them: parts joined by "+", each a JSON string, hexadecimal digits or "~seed" (bytes that look
// random), and each repeated by "*count", which for "~seed" is its length: `"disk"`, `25609513+00*24`, `~7*4096`.

import { isUtf8 } from 'node:buffer';

export type Part =
  | { readonly bytes: Buffer; readonly times: number }
  | { readonly seed: number; readonly length: number };

export type Blob = readonly Part[];

const TABLE_BYTES = 1 << 17;
/** Equal bytes in a row that are worth a part of their own. */
const SHORTEST_RUN = 8;
const MOST_BYTES = 1 << 28;

const table = makeTable();

export function blobBytes(blob: Blob): Buffer {
  if (blob.length === 1) return partBytes(blob[0]!);
  return Buffer.concat(blob.map(partBytes));
}

export function blobLength(blob: Blob): number {
  return blob.reduce((sum, part) => sum + ('seed' in part ? part.length : part.bytes.length * part.times), 0);
}

/** The same bytes with runs of equal ones found. */
export function blobOf(bytes: Uint8Array | string): Blob {
  const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes);
  const parts: Part[] = [];
  let plain = 0;
  for (let at = 0; at < buffer.length; ) {
    let end = at + 1;
    while (end < buffer.length && buffer[end] === buffer[at]) end++;
    if (end - at >= SHORTEST_RUN) {
      if (plain < at) parts.push({ bytes: buffer.subarray(plain, at), times: 1 });
      parts.push({ bytes: buffer.subarray(at, at + 1), times: end - at });
      plain = end;
    }
    at = end;
  }
  if (plain < buffer.length) parts.push({ bytes: buffer.subarray(plain), times: 1 });
  return parts;
}

export function printBlob(blob: Blob): string {
  const text = blob.map((part) => {
    if ('seed' in part) return `~${part.seed}*${part.length}`;
    const literal = isPrintable(part.bytes)
      ? JSON.stringify(part.bytes.toString())
      : part.bytes.toString('hex');
    return part.times === 1 ? literal : `${literal}*${part.times}`;
  });
  return text.length === 0 ? '""' : text.join('+');
}

/** Throws for what is not a blob. */
export function parseBlob(text: string): Blob {
  const parts: Part[] = [];
  const pattern = /(?:"((?:[^"\\]|\\.)*)"|~(\d+)|((?:[0-9a-fA-F]{2})+))(?:\*(\d+))?(\+|$)/y;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (!match) throw new Error(`these are no bytes: ${text}`);
    const [, string, seed, hex, count] = match;
    const times = count === undefined ? 1 : Number(count);
    if (seed !== undefined) parts.push({ seed: Number(seed), length: times });
    else if (hex !== undefined) parts.push({ bytes: Buffer.from(hex, 'hex'), times });
    else parts.push({ bytes: Buffer.from(JSON.parse(`"${string}"`) as string), times });
  }
  const blob = parts.filter((part) => 'seed' in part || part.bytes.length > 0);
  if (blobLength(blob) > MOST_BYTES) throw new Error(`too many bytes: ${text}`);
  return blob;
}

function partBytes(part: Part): Buffer {
  if (!('seed' in part))
    return part.times === 1 ? part.bytes : Buffer.alloc(part.bytes.length * part.times, part.bytes);
  const start = (Math.imul(part.seed + 1, 0x9e3779b1) >>> 0) % (TABLE_BYTES / 2);
  const bytes = Buffer.alloc(part.length);
  for (let at = 0; at < part.length; ) at += table.copy(bytes, at, start);
  return bytes;
}

function isPrintable(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false;
  const text = bytes.toString();
  // A replacement character or a mark at the front would not come back as it went.
  return /^[\p{L}\p{N}\p{P}\p{S} ]+$/u.test(text) && Buffer.from(text).equals(bytes);
}

function makeTable(): Buffer {
  const bytes = Buffer.alloc(TABLE_BYTES);
  let state = 0x12345678;
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24 || 1;
  }
  return bytes;
}
