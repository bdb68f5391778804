// Where a range is divided into pieces, and what memory a piece needs.

import fc from 'fast-check';
import t from 'tap';
import { LARGEST_BLOCK_BYTES, Slab } from '../../src/engine/slab.js';
import { FakeRing, fakeVolume } from './fake-ring.js';

const GiB = 2 ** 30;
const unit = fc.constantFrom(1, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536);
const size = fc.oneof(
  fc.integer({ min: 1, max: 3_000_000 }),
  fc.integer({ min: 1, max: 8 * 1024 * 1024 * GiB }),
);

/** A volume and a range in it; near the end more often than elsewhere. */
const ranges = fc
  .tuple(unit, size)
  .chain(([unitBytes, sizeBytes]) =>
    fc.record({
      unitBytes: fc.constant(unitBytes),
      sizeBytes: fc.constant(sizeBytes),
      length: fc.oneof(
        fc.integer({ min: 1, max: 2_000_000 }),
        fc.constantFrom(1, 512, 4096, 131_072, 196_608, 262_144, 262_145, 524_288),
      ),
      fromEnd: fc.boolean(),
      at: fc.integer({ min: 0, max: sizeBytes - 1 }),
      isWrite: fc.boolean(),
    }),
  )
  .map((r) => {
    const length = Math.min(r.length, r.sizeBytes);
    const offset = r.fromEnd ? r.sizeBytes - length : Math.min(r.at, r.sizeBytes - length);
    return { ...r, length, offset };
  });

t.test(
  'pieces cover a range exactly, keep to one kind of I/O, and fit into a block with what they need',
  async (t) => {
    const ring = new FakeRing(0, 0);
    fc.assert(
      fc.property(ranges, ({ unitBytes, sizeBytes, offset, length, isWrite }) => {
        const volume = fakeVolume(ring, { sizeBytes, unitBytes });
        const end = offset + length;
        let count = 0;
        for (let at = offset; at < end; ) {
          const piece = volume.pieceBytes(at, end - at, isWrite);
          if (!(piece > 0) || at + piece > end) throw new Error(`a piece of ${piece} at ${at}`);
          const isDirect = volume.isDirect(at);
          if (isDirect && at + piece > volume.directEndBytes)
            throw new Error('a piece is direct and buffered');
          if (isDirect && unitBytes === 1) throw new Error('a buffered volume is direct');

          const block = volume.blockBytes(at, piece, isWrite);
          const lead = volume.leadBytes(at);
          if (block > LARGEST_BLOCK_BYTES) throw new Error(`a block of ${block}`);
          if (lead + piece > block) throw new Error('the data does not fit behind its lead');
          if (lead !== (isDirect ? at % unitBytes : 0)) throw new Error(`a lead of ${lead}`);
          if (isDirect) {
            const covering = Math.ceil((lead + piece) / unitBytes) * unitBytes;
            const first = lead > 0 ? 1 : 0;
            const last = (at + piece) % unitBytes > 0 && !(first && covering === unitBytes) ? 1 : 0;
            const scratch = isWrite ? (first + last) * unitBytes : 0;
            if (covering + scratch > block) throw new Error('no room for the outer units');
            if (at - lead + covering > volume.directEndBytes)
              throw new Error('whole units reach past the end');
          }
          // Only the first piece may begin within a unit, and only the last may end there.
          if (isDirect && at !== offset && lead !== 0) throw new Error('a later piece begins within a unit');
          at += piece;
          count++;
        }
        const fewest = Math.ceil(length / (LARGEST_BLOCK_BYTES - 3 * unitBytes));
        if (count > fewest + 2) throw new Error(`${count} pieces for ${length} bytes`);
      }),
      { numRuns: 5000 },
    );
    t.pass('held for all ranges');
  },
);

t.test('the later pieces of a read fit into the block of the first', async (t) => {
  const ring = new FakeRing(0, 0);
  fc.assert(
    fc.property(ranges, ({ unitBytes, sizeBytes, offset, length }) => {
      const volume = fakeVolume(ring, { sizeBytes, unitBytes });
      let room = 0;
      for (let at = offset; at < offset + length; ) {
        const piece = volume.pieceBytes(at, offset + length - at, false);
        const block = volume.blockBytes(at, piece, false);
        if (at === offset) room = Slab.blockBytes(block);
        else if (block > room) throw new Error(`${block} bytes at ${at} do not fit into ${room}`);
        at += piece;
      }
    }),
    { numRuns: 3000 },
  );
  t.pass('held for all ranges');
});

t.test('units are counted from the start of the file, beyond 2^32 as below', async (t) => {
  const volume = fakeVolume(new FakeRing(0, 0), { sizeBytes: 2 ** 50, unitBytes: 4096 });
  const far = 2 ** 49 + 4096 * 3;
  t.equal(volume.unitStart(far), far);
  t.equal(volume.unitStart(far + 4095), far);
  t.equal(volume.unitEnd(far), far);
  t.equal(volume.unitEnd(far + 1), far + 4096);
  t.ok(volume.isAligned(far, 8192));
  t.notOk(volume.isAligned(far + 512, 4096));
  t.notOk(volume.isAligned(far, 512));
});

t.test('a size that is no whole unit is direct up to a page and buffered from there', async (t) => {
  const ring = new FakeRing(0, 0);
  const odd = fakeVolume(ring, { sizeBytes: 1_000_003, unitBytes: 512 });
  t.equal(odd.directEndBytes, 999_424);
  t.ok(odd.isDirect(999_423));
  t.notOk(odd.isDirect(999_424));
  t.equal(odd.pieceBytes(999_000, 1003, false), 424, 'a piece ends where direct I/O ends');
  t.equal(odd.pieceBytes(999_424, 579, true), 579);
  t.not(odd.bufferedFile, -1);
  t.equal(odd.anyFile, odd.directFile);
  odd.close();
  t.same(ring.removed, [odd.directFile, odd.bufferedFile]);
});

t.test('a buffered volume has one file, and units of a byte', async (t) => {
  const ring = new FakeRing(0, 0);
  const volume = fakeVolume(ring, { sizeBytes: 1000, unitBytes: 1 });
  t.equal(volume.directFile, -1);
  t.equal(volume.anyFile, volume.bufferedFile);
  t.ok(volume.isAligned(3, 7));
  t.equal(volume.blockBytes(3, 7, true), 7);
  volume.close();
  t.same(ring.removed, [volume.bufferedFile, volume.dirty!.file], 'and one more for write-back');
});
