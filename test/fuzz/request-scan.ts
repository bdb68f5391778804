// A client's half of the transmission phase, taken apart as a server has to: which requests it consists of, where each
// ends, and what ends the connection.

import { headerBytes, type Mode, type Request } from '../transmission/wire.js';

const REQUEST_MAGIC = 0x25609513;
const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
const WRITE = 1;
const DISC = 2;
const PAYLOAD_LEN = 1 << 5;
/** docs/protocol.md: a longer payload ends the connection. */
const LARGEST_COMPACT_PAYLOAD = 64n << 20n;
const LARGEST_EXTENDED_PAYLOAD = 32n << 20n;

export interface Message {
  readonly request: Request;
  /** Its bytes in the stream; `end` is behind the payload. */
  readonly start: number;
  readonly end: number;
}

export interface Scan {
  readonly messages: readonly Message[];
  /** Where the bytes end that decide that the connection ends, and why it does. */
  readonly ends: { readonly at: number; readonly why: 'magic' | 'disc' | 'payload' } | undefined;
}

/**
 * Two requests with one cookie could not be told apart by their answers, so the later one is given another cookie, in
 * `bytes` itself, unless `keepCookies`.
 */
export function scanRequests(bytes: Buffer, mode: Mode, keepCookies = false): Scan {
  const extended = mode === 'extended';
  const magic = extended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC;
  const messages: Message[] = [];
  const cookies = new Set<bigint>();
  let next = 0xf0000000n;
  for (let at = 0; ; ) {
    const body = at + headerBytes(mode);
    if (body > bytes.length) return { messages, ends: undefined };
    if (bytes.readUInt32BE(at) !== magic) return { messages, ends: { at: body, why: 'magic' } };
    const type = bytes.readUInt16BE(at + 6);
    if (type === DISC) return { messages, ends: { at: body, why: 'disc' } };
    let cookie = bytes.readBigUInt64BE(at + 8);
    while (cookies.has(cookie) && !keepCookies) cookie = next++;
    bytes.writeBigUInt64BE(cookie, at + 8);
    cookies.add(cookie);
    const flags = bytes.readUInt16BE(at + 4);
    const length = extended ? bytes.readBigUInt64BE(at + 24) : BigInt(bytes.readUInt32BE(at + 24));
    const announced = extended && (flags & PAYLOAD_LEN) !== 0;
    const payload = type === WRITE || announced ? length : 0n;
    if (payload > (extended ? LARGEST_EXTENDED_PAYLOAD : LARGEST_COMPACT_PAYLOAD))
      return { messages, ends: { at: body, why: 'payload' } };
    const end = body + Number(payload);
    messages.push({
      start: at,
      end,
      request: {
        type,
        flags: announced ? flags & ~PAYLOAD_LEN : flags,
        cookie,
        offset: bytes.readBigUInt64BE(at + 16),
        length,
        // A payload that is not there yet is cut short here; nothing asks for it before it is whole.
        ...(payload > 0n || announced ? { payload: bytes.subarray(body, end) } : {}),
        ...(announced ? {} : { announcesPayload: false }),
      },
    });
    at = end;
  }
}
