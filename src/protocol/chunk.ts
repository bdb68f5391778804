/**
 * Chunks: what replies are made of once structured replies or extended headers are agreed, written in place.
 *
 *     u32 magic · u16 flags · u16 type · u64 cookie · u32 length                    20 bytes, structured
 *     u32 magic · u16 flags · u16 type · u64 cookie · u64 offset · u64 length       32 bytes, extended
 *
 * then `length` bytes of payload, by type:
 *
 *     OFFSET_DATA        u64 offset · data
 *     OFFSET_HOLE        u64 offset · u32 length of the hole
 *     BLOCK_STATUS       u32 context · (u32 length · u32 flags) × n
 *     BLOCK_STATUS_EXT   u32 context · u32 n · (u64 length · u64 flags) × n
 *     ERROR              u32 error · u16 message length · message
 *     ERROR_OFFSET       u32 error · u16 message length · message · u64 offset
 *
 * Each function below writes one of these parts at `at` and returns where the next one starts.
 */
import {
  EXTENDED_REPLY_HEADER_BYTES,
  EXTENDED_REPLY_MAGIC,
  STRUCTURED_REPLY_HEADER_BYTES,
  STRUCTURED_REPLY_MAGIC,
} from './constants.js';

const TWO_TO_32 = 4294967296;

/** Payload of OFFSET_DATA before the data. */
export const CONTENT_OFFSET_BYTES = 8;
/** Payload of OFFSET_HOLE. */
export const CONTENT_HOLE_BYTES = 12;
/** Payload of ERROR before the message, and of ERROR_OFFSET after it. */
export const ERROR_FIXED_BYTES = 6;
export const ERROR_OFFSET_BYTES = 8;

/** The largest a chunk can be without data and without a message, bytes: an extended OFFSET_HOLE or ERROR_OFFSET. */
export const LARGEST_CHUNK_HEAD_BYTES = EXTENDED_REPLY_HEADER_BYTES + ERROR_FIXED_BYTES + ERROR_OFFSET_BYTES;

/** `offsetHigh` and `offsetLow` are the request's offset as it came, which extended headers repeat. */
export function writeChunkHeader(
  view: DataView,
  at: number,
  extended: boolean,
  flags: number,
  type: number,
  cookieHigh: number,
  cookieLow: number,
  offsetHigh: number,
  offsetLow: number,
  payloadBytes: number,
): number {
  view.setUint32(at, extended ? EXTENDED_REPLY_MAGIC : STRUCTURED_REPLY_MAGIC);
  view.setUint16(at + 4, flags);
  view.setUint16(at + 6, type);
  view.setInt32(at + 8, cookieHigh);
  view.setInt32(at + 12, cookieLow);
  if (!extended) {
    view.setUint32(at + 16, payloadBytes);
    return at + STRUCTURED_REPLY_HEADER_BYTES;
  }
  view.setInt32(at + 16, offsetHigh);
  view.setInt32(at + 20, offsetLow);
  view.setUint32(at + 24, 0);
  view.setUint32(at + 28, payloadBytes);
  return at + EXTENDED_REPLY_HEADER_BYTES;
}

/** The offset in front of data, or behind an error's message. */
export function writeContentOffset(view: DataView, at: number, offset: number): number {
  write64(view, at, offset);
  return at + CONTENT_OFFSET_BYTES;
}

/** `length` is below 2^32, bytes. */
export function writeHole(view: DataView, at: number, offset: number, length: number): number {
  write64(view, at, offset);
  view.setUint32(at + 8, length);
  return at + CONTENT_HOLE_BYTES;
}

/** What is in front of the extents of a context. */
export function writeStatusHead(
  view: DataView,
  at: number,
  extended: boolean,
  context: number,
  count: number,
): number {
  view.setUint32(at, context);
  if (!extended) return at + 4;
  view.setUint32(at + 4, count);
  return at + 8;
}

/** One extent; without extended headers `length` is below 2^32, bytes. Flags have 32 bits in either case. */
export function writeStatusExtent(
  view: DataView,
  at: number,
  extended: boolean,
  length: number,
  flags: number,
): number {
  if (!extended) {
    view.setUint32(at, length);
    view.setUint32(at + 4, flags);
    return at + 8;
  }
  write64(view, at, length);
  view.setUint32(at + 8, 0);
  view.setUint32(at + 12, flags);
  return at + 16;
}

/** What is in front of an error's message. */
export function writeErrorHead(view: DataView, at: number, error: number, messageBytes: number): number {
  view.setUint32(at, error);
  view.setUint16(at + 4, messageBytes);
  return at + ERROR_FIXED_BYTES;
}

function write64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / TWO_TO_32);
  view.setUint32(at, high);
  view.setUint32(at + 4, value - high * TWO_TO_32);
}
