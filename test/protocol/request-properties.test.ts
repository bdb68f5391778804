// Headers of requests with any fields at all, written by the specification's layout and read by ours.

import fc from 'fast-check';
import t from 'tap';
import {
  extendedRequestLength,
  requestCookieHigh,
  requestCookieLow,
  requestFlags,
  requestLength,
  requestMagic,
  requestOffset,
  requestOffsetHigh,
  requestOffsetLow,
  requestType,
  statusPayloadId,
  statusPayloadLength,
} from '../../src/protocol/request.js';

const TWO_TO_53 = 2n ** 53n;

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: 0n, max: 2n ** 33n }),
  fc
    .tuple(fc.constantFrom(31n, 32n, 52n, 53n, 63n, 64n), fc.bigInt({ min: -2n, max: 2n }))
    .map(([bit, by]) => BigInt.asUintN(64, 2n ** bit + by)),
);

/** Bytes in the middle of others, as headers lie in a receive buffer. */
function viewOf(lead: number, hex: string): DataView {
  const bytes = Buffer.concat([Buffer.alloc(lead, 0xee), Buffer.from(hex, 'hex'), Buffer.alloc(9, 0xdd)]);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hex(value: number | bigint, bytes: number): string {
  return value.toString(16).padStart(2 * bytes, '0');
}

/** The number is exact as far as a number can be, and beyond that stays beyond. */
function isRead(read: number, value: bigint): boolean {
  return value <= TWO_TO_53 ? BigInt(read) === value : BigInt(read) >= TWO_TO_53;
}

const lead = fc.nat(40);

t.test('X1: any compact header is read field by field', async (t) => {
  const property = fc.property(
    lead,
    u32,
    u16,
    u16,
    u64,
    u64,
    u32,
    (at, magic, flags, type, cookie, offset, length) => {
      const view = viewOf(
        at,
        hex(magic, 4) + hex(flags, 2) + hex(type, 2) + hex(cookie, 8) + hex(offset, 8) + hex(length, 4),
      );
      return (
        requestMagic(view, at) === magic &&
        requestFlags(view, at) === flags &&
        requestType(view, at) === type &&
        requestCookieHigh(view, at) >>> 0 === Number(cookie >> 32n) &&
        requestCookieLow(view, at) >>> 0 === Number(cookie & 0xffffffffn) &&
        isRead(requestOffset(view, at), offset) &&
        requestLength(view, at) === length
      );
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }));
});

t.test('so is any extended one, with the offset as it came and a length of 64 bits', async (t) => {
  const property = fc.property(lead, u16, u16, u64, u64, u64, (at, flags, type, cookie, offset, length) => {
    const view = viewOf(
      at,
      hex(0x21e41c71, 4) + hex(flags, 2) + hex(type, 2) + hex(cookie, 8) + hex(offset, 8) + hex(length, 8),
    );
    return (
      requestMagic(view, at) === 0x21e41c71 &&
      requestFlags(view, at) === flags &&
      requestType(view, at) === type &&
      requestCookieHigh(view, at) >>> 0 === Number(cookie >> 32n) &&
      requestCookieLow(view, at) >>> 0 === Number(cookie & 0xffffffffn) &&
      requestOffsetHigh(view, at) >>> 0 === Number(offset >> 32n) &&
      requestOffsetLow(view, at) >>> 0 === Number(offset & 0xffffffffn) &&
      isRead(requestOffset(view, at), offset) &&
      isRead(extendedRequestLength(view, at), length)
    );
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }));
});

t.test('X8: an offset and a length beyond an export never add up to something inside of it', async (t) => {
  const size = fc.nat(Number.MAX_SAFE_INTEGER);
  const property = fc.property(u64, u64, size, (offset, length, sizeBytes) => {
    const view = viewOf(0, hex(0, 16) + hex(offset, 8) + hex(length, 8));
    const isInside = requestOffset(view, 0) + extendedRequestLength(view, 0) <= sizeBytes;
    return isInside === offset + length <= BigInt(sizeBytes);
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 3000 }));
});

t.test('the payload of BLOCK_STATUS: a length and any number of contexts', async (t) => {
  const property = fc.property(lead, u64, fc.array(u32, { maxLength: 62 }), (at, length, ids) => {
    const view = viewOf(at, hex(length, 8) + ids.map((id) => hex(id, 4)).join(''));
    return (
      isRead(statusPayloadLength(view, at), length) &&
      ids.every((id, i) => statusPayloadId(view, at, i) === id)
    );
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 1000 }));
});
