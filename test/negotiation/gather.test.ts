import fc from 'fast-check';
import t from 'tap';
import { Gather } from '../../src/negotiation/gather.js';

const SMALLEST_HOLD_BYTES = 64;

t.test(
  'pieces come out as they are in the stream, however the stream is cut, in little memory',
  async (t) => {
    const lengths = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 8 });
    const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 });
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(lengths, cuts, (lengths, cuts) => {
          const totalBytes = lengths.reduce((sum, length) => sum + length, 0);
          const stream = Buffer.from(Array.from({ length: totalBytes }, (_, index) => index % 251));
          const gather = new Gather();
          const taken: Buffer[] = [];
          let at = 0;
          for (let round = 0; taken.length < lengths.length && round < 10_000; round++) {
            const input = Uint8Array.from(stream.subarray(at, at + cuts[round % cuts.length]!));
            gather.feed(input);
            for (let piece = gather.take(lengths[taken.length]!); piece !== undefined; ) {
              taken.push(Buffer.from(piece));
              piece = taken.length < lengths.length ? gather.take(lengths[taken.length]!) : undefined;
            }
            at += gather.release();
            input.fill(0xff);
            const allowedBytes = Math.max(SMALLEST_HOLD_BYTES, 2 * Math.max(...lengths));
            if (gather.capacityBytes > allowedBytes) return false;
          }
          return Buffer.concat(taken).equals(stream) && taken.every((each, i) => each.length === lengths[i]);
        }),
        { numRuns: 500 },
      ),
    );
  },
);

t.test('what has been held grows to no more than twice what has come', async (t) => {
  const gather = new Gather();
  for (let bytes = 1; bytes < 5000; bytes++) {
    gather.feed(Uint8Array.of(1));
    gather.take(5000);
    gather.release();
    const allowedBytes = Math.max(SMALLEST_HOLD_BYTES, 2 * bytes);
    if (gather.capacityBytes > allowedBytes) t.fail(`${gather.capacityBytes} bytes for ${bytes}`);
  }
  t.ok(gather.capacityBytes >= 4999);
});

t.test('skipping goes over what is there and no further', async (t) => {
  const gather = new Gather();
  gather.feed(Uint8Array.of(1, 2, 3));
  t.equal(gather.skip(2), 2);
  t.equal(gather.skip(0), 0);
  t.equal(gather.skip(5), 1);
  t.equal(gather.skip(4), 0);
  t.equal(gather.release(), 3);
  t.equal(gather.release(), 0, 'the input is let go of');
});
