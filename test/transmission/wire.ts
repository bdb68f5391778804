// The transmission phase's bytes as the specification has them (doc/proto.md, "Transmission phase", with the extension
// for extended headers), written without a look at our own encoders: what the server and these lines agree on, they
// agree on because both read the same text. Replies are taken apart in reply-reader.ts.

export const READ = 0;
export const WRITE = 1;
export const DISC = 2;
export const FLUSH = 3;
export const TRIM = 4;
export const CACHE = 5;
export const WRITE_ZEROES = 6;
export const BLOCK_STATUS = 7;

export const FUA = 1 << 0;
export const NO_HOLE = 1 << 1;
export const DF = 1 << 2;
export const REQ_ONE = 1 << 3;
export const FAST_ZERO = 1 << 4;
export const PAYLOAD_LEN = 1 << 5;

export const EPERM = 1;
export const EIO = 5;
export const ENOMEM = 12;
export const EINVAL = 22;
export const ENOSPC = 28;
export const EOVERFLOW = 75;
export const ENOTSUP = 95;
export const ESHUTDOWN = 108;

/** Status flags of `base:allocation`. */
export const HOLE = 1 << 0;
export const ZERO = 1 << 1;
/** Status flag of `aionbd:changed`. */
export const CHANGED = 1 << 0;

/** What was agreed on in the handshake: how requests and replies look. */
export type Mode = 'simple' | 'structured' | 'extended';
export const MODES: readonly Mode[] = ['simple', 'structured', 'extended'];

/** The payload that a server has to take if nothing else was agreed on ("Size constraints"). */
export const MAX_PAYLOAD = 32 * 1024 * 1024;

export const REQUEST_MAGIC = 0x25609513;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const HEADER_BYTES = 28;
export const EXTENDED_HEADER_BYTES = 32;

/** Bytes of a request's header. */
export function headerBytes(mode: Mode): number {
  return mode === 'extended' ? EXTENDED_HEADER_BYTES : HEADER_BYTES;
}

export interface Request {
  readonly type: number;
  readonly flags?: number;
  readonly cookie: bigint;
  readonly offset?: number | bigint;
  readonly length?: number | bigint;
  /** Follows the header, whatever `length` says. */
  readonly payload?: Uint8Array;
  /** Extended headers: false leaves PAYLOAD_LEN away although there is a payload. */
  readonly announcesPayload?: boolean;
  readonly magic?: number;
}

/** A request in the header that goes with the mode; it need not make sense. */
export function requestBytes(request: Request, mode: Mode = 'simple'): Buffer {
  const header = mode === 'extended' ? extendedHeader(request) : compactHeader(request);
  return request.payload ? Buffer.concat([header, request.payload]) : header;
}

// u32 magic · u16 flags · u16 type · u64 cookie · u64 offset · u32 length · payload of a WRITE
function compactHeader(request: Request): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(request.magic ?? REQUEST_MAGIC, 0);
  header.writeUInt16BE(request.flags ?? 0, 4);
  header.writeUInt16BE(request.type, 6);
  header.writeBigUInt64BE(request.cookie, 8);
  header.writeBigUInt64BE(BigInt(request.offset ?? 0), 16);
  header.writeUInt32BE(Number(request.length ?? request.payload?.length ?? 0), 24);
  return header;
}

// u32 magic · u16 flags · u16 type · u64 cookie · u64 offset · u64 length · payload if PAYLOAD_LEN is set
function extendedHeader(request: Request): Buffer {
  const header = Buffer.alloc(EXTENDED_HEADER_BYTES);
  header.writeUInt32BE(request.magic ?? EXTENDED_REQUEST_MAGIC, 0);
  header.writeUInt16BE(flagsSent(request, 'extended'), 4);
  header.writeUInt16BE(request.type, 6);
  header.writeBigUInt64BE(request.cookie, 8);
  header.writeBigUInt64BE(BigInt(request.offset ?? 0), 16);
  header.writeBigUInt64BE(BigInt(request.length ?? request.payload?.length ?? 0), 24);
  return header;
}

/** The command flags as they go out: with extended headers a payload is announced. */
export function flagsSent(request: Request, mode: Mode): number {
  const announces =
    mode === 'extended' && request.payload !== undefined && request.announcesPayload !== false;
  return (request.flags ?? 0) | (announces ? PAYLOAD_LEN : 0);
}

// Payload of BLOCK_STATUS: u64 effect length · u32 context × n
export function statusPayload(length: number | bigint, contexts: readonly number[]): Buffer {
  const payload = Buffer.alloc(8 + 4 * contexts.length);
  payload.writeBigUInt64BE(BigInt(length), 0);
  for (const [at, id] of contexts.entries()) payload.writeUInt32BE(id, 8 + 4 * at);
  return payload;
}

/** How much of the export a BLOCK_STATUS asks about: what its payload says, or its header. */
export function statusLength(request: Request): bigint {
  const { payload } = request;
  if (payload && payload.length >= 8)
    return new DataView(payload.buffer, payload.byteOffset, payload.length).getBigUint64(0);
  return BigInt(request.length ?? 0);
}
