// The map of what is known of a volume, against one that keeps a flag for every byte.

import fc from 'fast-check';
import t from 'tap';
import { GranuleMap } from '../../src/engine/granule-map.js';
import { KiB, MiB } from '../support/files.js';

const GRANULE = 64 * KiB;
const TiB = 1024 ** 4;

t.test('granules are 64 KiB, and more where the maps would get too large', async (t) => {
  t.equal(new GranuleMap(1, true).granuleBytes, GRANULE);
  t.equal(new GranuleMap(256 * 1024 * MiB, true).granuleBytes, GRANULE);
  t.equal(new GranuleMap(256 * 1024 * MiB + 1, true).granuleBytes, 2 * GRANULE);
  t.equal(new GranuleMap(TiB, true).granuleBytes, 4 * GRANULE);
  const largest = new GranuleMap(8192 * TiB, true);
  largest.written(8192 * TiB - 1, 1);
  t.ok(largest.isChanged(8192 * TiB - 1));
  t.equal(
    largest.changedRunEnd(0, 8192 * TiB),
    8192 * TiB - largest.granuleBytes,
    'runs are found in any size',
  );
});

t.test('a map that does not track holes knows of none', async (t) => {
  const map = new GranuleMap(MiB, false);
  map.zeroed(0, MiB);
  map.foundHole(0, MiB);
  t.notOk(map.isHole(0));
  t.notOk(map.hasHoles);
  t.equal(map.holeRunEnd(5, MiB), MiB);
});

t.test('the last granule is whole where the volume ends', async (t) => {
  const map = new GranuleMap(GRANULE + 100, true);
  map.zeroed(GRANULE, GRANULE + 99);
  t.notOk(map.isHole(GRANULE), 'not up to the last byte');
  map.zeroed(GRANULE, GRANULE + 100);
  t.ok(map.isHole(GRANULE));
  t.ok(map.isHole(GRANULE + 99));
  t.notOk(map.isHole(GRANULE - 1));
});

t.test('what was changed is not found to be a hole afterwards, only zeroed', async (t) => {
  const map = new GranuleMap(MiB, true);
  map.written(GRANULE, 1);
  map.foundHole(0, MiB);
  t.ok(map.isHole(0));
  t.notOk(map.isHole(GRANULE), 'the scan may have looked before the write');
  t.equal(map.holeRunEnd(0, MiB), GRANULE);
  t.equal(map.holeRunEnd(GRANULE, MiB), 2 * GRANULE);
  t.equal(map.holeRunEnd(2 * GRANULE + 7, MiB - 3), MiB - 3);
  map.changed(GRANULE, GRANULE);
  map.zeroed(GRANULE, 2 * GRANULE);
  t.equal(map.holeRunEnd(0, MiB), MiB);
});

t.test(
  'it never calls a byte a hole that was written after it was zero, and forgets no change',
  async (t) => {
    const sizeBytes = 40 * GRANULE + 1234;
    const range = fc
      .tuple(fc.nat(sizeBytes - 1), fc.nat(sizeBytes), fc.boolean())
      .map(([offset, length, whole]) => {
        const start = whole ? Math.floor(offset / GRANULE) * GRANULE : offset;
        const end = Math.min(
          sizeBytes,
          start + 1 + (whole ? Math.ceil(length / GRANULE) * GRANULE : length % 5000),
        );
        return { start, end };
      });
    const step = fc.record({ what: fc.constantFrom('written', 'zeroed', 'changed', 'foundHole'), range });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), range, (steps, asked) => {
        const map = new GranuleMap(sizeBytes, true);
        // By quarter granules and single bytes around the edges: every granule as a byte of state.
        const granules = Math.ceil(sizeBytes / GRANULE);
        const changed = new Array<boolean>(granules).fill(false);
        const holes = new Array<boolean>(granules).fill(false);
        const touched = (s: { start: number; end: number }, g: number) =>
          s.start < Math.min((g + 1) * GRANULE, sizeBytes) && g * GRANULE < s.end;
        const covered = (s: { start: number; end: number }, g: number) =>
          s.start <= g * GRANULE && s.end >= Math.min((g + 1) * GRANULE, sizeBytes);
        for (const { what, range: s } of steps) {
          const { start, end } = s;
          for (let g = 0; g < granules; g++) {
            if (what === 'written' && touched(s, g)) holes[g] = false;
            if ((what === 'written' || what === 'changed') && touched(s, g)) changed[g] = true;
            if (what === 'zeroed' && covered(s, g)) holes[g] = true;
            if (what === 'foundHole' && covered(s, g) && !changed[g]) holes[g] = true;
          }
          if (what === 'written') map.written(start, end - start);
          else if (what === 'changed') map.changed(start, end - start);
          else if (what === 'zeroed') map.zeroed(start, end);
          else map.foundHole(start, end);
        }
        for (let g = 0; g < granules; g++) {
          if (map.isHole(g * GRANULE) !== holes[g] || map.isChanged(g * GRANULE) !== changed[g]) return false;
        }
        const runEnd = (flags: boolean[], start: number, end: number) => {
          let g = Math.floor(start / GRANULE);
          const flag = flags[g];
          while (g * GRANULE < end && flags[g] === flag) g++;
          return Math.min(g * GRANULE, end);
        };
        return (
          map.hasHoles === holes.includes(true) &&
          map.holeRunEnd(asked.start, asked.end) === runEnd(holes, asked.start, asked.end) &&
          map.changedRunEnd(asked.start, asked.end) === runEnd(changed, asked.start, asked.end)
        );
      }),
      { numRuns: 2000 },
    );
    t.pass('2000 histories');
  },
);
