/**
 * The request header as it lies in memory, read in place: the data path makes no object of it.
 *
 *     u32 magic · u16 flags · u16 type · u64 cookie · u64 offset · u32 length        28 bytes, big-endian
 *     u32 magic · u16 flags · u16 type · u64 cookie · u64 offset · u64 length        32 bytes, with extended headers
 *
 * The cookie is the client's and opaque: two 32-bit words that go back as they came (X1).
 */
const FLAGS_AT = 4;
const TYPE_AT = 6;
const COOKIE_HIGH_AT = 8;
const COOKIE_LOW_AT = 12;
const OFFSET_HIGH_AT = 16;
const OFFSET_LOW_AT = 20;
const LENGTH_AT = 24;
const TWO_TO_32 = 4294967296;

export function requestMagic(view: DataView, at: number): number {
  return view.getUint32(at);
}

export function requestFlags(view: DataView, at: number): number {
  return view.getUint16(at + FLAGS_AT);
}

export function requestType(view: DataView, at: number): number {
  return view.getUint16(at + TYPE_AT);
}

export function requestCookieHigh(view: DataView, at: number): number {
  return view.getInt32(at + COOKIE_HIGH_AT);
}

export function requestCookieLow(view: DataView, at: number): number {
  return view.getInt32(at + COOKIE_LOW_AT);
}

/** Bytes. Exact up to 2^53; beyond that rounded, and so still far behind the end of any export. */
export function requestOffset(view: DataView, at: number): number {
  return view.getUint32(at + OFFSET_HIGH_AT) * TWO_TO_32 + view.getUint32(at + OFFSET_LOW_AT);
}

export function requestLength(view: DataView, at: number): number {
  return view.getUint32(at + LENGTH_AT);
}

/** Length in an extended header, bytes; exact up to 2^53. */
export function extendedRequestLength(view: DataView, at: number): number {
  return read64(view, at + LENGTH_AT);
}

export function requestOffsetHigh(view: DataView, at: number): number {
  return view.getInt32(at + OFFSET_HIGH_AT);
}

export function requestOffsetLow(view: DataView, at: number): number {
  return view.getInt32(at + OFFSET_LOW_AT);
}

/**
 * The payload of BLOCK_STATUS (extended headers only):
 *
 *     u64 length · u32 id of a meta context × n        the length of the range, and the contexts to answer for
 */
export const STATUS_PAYLOAD_FIXED_BYTES = 8;
export const STATUS_PAYLOAD_ID_BYTES = 4;

/** Bytes; exact up to 2^53. */
export function statusPayloadLength(view: DataView, at: number): number {
  return read64(view, at);
}

export function statusPayloadId(view: DataView, at: number, index: number): number {
  return view.getUint32(at + STATUS_PAYLOAD_FIXED_BYTES + index * STATUS_PAYLOAD_ID_BYTES);
}

function read64(view: DataView, at: number): number {
  return view.getUint32(at) * TWO_TO_32 + view.getUint32(at + 4);
}
