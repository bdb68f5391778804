import fc from 'fast-check';
import t from 'tap';
import { ByteWriter } from '../../src/protocol/byte-writer.js';

/** The same by Node's Buffer. */
const piece = fc.oneof(
  fc.nat(0xffff).map((value) => ({
    expected: Buffer.from(value.toString(16).padStart(4, '0'), 'hex'),
    write: (writer: ByteWriter) => writer.u16(value),
  })),
  fc.nat(0xffffffff).map((value) => ({
    expected: Buffer.from(value.toString(16).padStart(8, '0'), 'hex'),
    write: (writer: ByteWriter) => writer.u32(value),
  })),
  fc.maxSafeNat().map((value) => ({
    expected: Buffer.from(value.toString(16).padStart(16, '0'), 'hex'),
    write: (writer: ByteWriter) => writer.u64(value),
  })),
  fc.uint8Array({ maxLength: 600 }).map((value) => ({
    expected: Buffer.from(value),
    write: (writer: ByteWriter) => writer.bytes(value),
  })),
  fc.nat(300).map((count) => ({
    expected: Buffer.alloc(count),
    write: (writer: ByteWriter) => writer.zeroes(count),
  })),
);

t.test('what is written is what is taken, in order and big-endian, however it grows', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const writer = new ByteWriter();
        for (const { write } of pieces) write(writer);
        const expected = Buffer.concat(pieces.map((each) => each.expected));
        return writer.length === expected.length && expected.equals(writer.take());
      }),
    ),
  );
});

t.test('what was taken is not written to again', async (t) => {
  const writer = new ByteWriter();
  writer.u16(0x0102);
  const first = writer.take();
  t.equal(writer.length, 0);
  t.equal(writer.take().length, 0);
  writer.u16(0xffff);
  t.strictSame(Array.from(first), [1, 2]);
  t.strictSame(Array.from(writer.take()), [255, 255]);
});
