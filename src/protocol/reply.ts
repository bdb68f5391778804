import { SIMPLE_REPLY_MAGIC } from './constants.js';

const ERROR_AT = 4;
const COOKIE_HIGH_AT = 8;
const COOKIE_LOW_AT = 12;

/**
 * Writes a simple reply's header; the data of a READ that succeeded follows it on the wire.
 *
 *     u32 magic · u32 error · u64 cookie        16 bytes, big-endian
 */
export function writeSimpleReply(
  view: DataView,
  at: number,
  error: number,
  cookieHigh: number,
  cookieLow: number,
): void {
  view.setUint32(at, SIMPLE_REPLY_MAGIC);
  view.setUint32(at + ERROR_AT, error);
  view.setInt32(at + COOKIE_HIGH_AT, cookieHigh);
  view.setInt32(at + COOKIE_LOW_AT, cookieLow);
}
