import t from 'tap';
import { writeSimpleReply } from '../../src/protocol/reply.js';
import {
  requestCookieHigh,
  requestCookieLow,
  requestFlags,
  requestLength,
  requestMagic,
  requestOffset,
  requestType,
} from '../../src/protocol/request.js';

/** A view that begins in the middle of other bytes, as headers do. */
function viewOf(hex: string, lead = 3): DataView {
  const bytes = Buffer.concat([Buffer.alloc(lead, 0xee), Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')]);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

t.test('X1: a request header is read field by field, at any place', async (t) => {
  const view = viewOf('25609513 0011 0006 fedcba9876543210 0000000100000200 fffffe00');
  t.equal(requestMagic(view, 3), 0x25609513);
  t.equal(requestFlags(view, 3), 0x11);
  t.equal(requestType(view, 3), 6);
  t.equal(requestCookieHigh(view, 3) >>> 0, 0xfedcba98);
  t.equal(requestCookieLow(view, 3) >>> 0, 0x76543210);
  t.equal(requestOffset(view, 3), 0x100000200);
  t.equal(requestLength(view, 3), 0xfffffe00);
});

t.test('an offset is exact up to 2^53, and beyond that stays beyond', async (t) => {
  t.equal(requestOffset(viewOf(`${'00'.repeat(16)} 001fffffffffffff 00000000`), 3), Number.MAX_SAFE_INTEGER);
  t.ok(requestOffset(viewOf(`${'00'.repeat(16)} ffffffffffffffff 00000000`), 3) > Number.MAX_SAFE_INTEGER);
});

t.test('X1, X2: a simple reply carries the error and the cookie as it came', async (t) => {
  const bytes = new Uint8Array(20).fill(0xee);
  writeSimpleReply(new DataView(bytes.buffer), 2, 28, 0xfedcba98 | 0, 0x00000001);
  t.equal(Buffer.from(bytes).toString('hex'), `eeee${'67446698'}${'0000001c'}${'fedcba9800000001'}eeee`);
});
