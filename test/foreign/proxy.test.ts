// Other servers stand between the client and ours, nbdkit and qemu-nbd as clients of it: nothing is lost on the way.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeBacking } from '../support/backing.js';
import { MiB, pattern, patternFile, scratch, sha256, sparseFile } from '../support/files.js';
import { by, WAYS } from '../support/proxies.js';
import { assertVerdicts } from '../support/python.js';
import { serve } from '../support/server.js';
import { difference, type Layout, makeSparse, mapByNbdinfo, mapOfFile } from '../support/sparse.js';
import { carryImage, IMAGE_BYTES } from './carry-image.js';

/** Its holes are larger than what a proxy reads at a time, and it has a byte where it matters. */
const LAYOUT: Layout = {
  title: '',
  sizeBytes: 64 * MiB,
  data: [
    [MiB, 4096],
    [4 * MiB + 5000, 100_000],
    [40 * MiB - 1, 2],
    [63 * MiB, MiB],
  ],
};

for (const way of WAYS) {
  t.test(`data ${way}`, async (t) => {
    const size = 64 * MiB;
    const { path } = await makeBacking(t, 'file', size);
    const model = patternFile(join(scratch(t), 'model'), size, 21);
    writeFileSync(path, pattern(size, 21));
    const server = await serve(t, { exports: [{ name: 'disk', path, direct: 'on' }] });
    await assertVerdicts(t, 'data.py', [await by(t, way, server.uri('disk')), String(size), model]);
    t.equal(await sha256(path), await sha256(model), 'the file holds what was written');
  });

  t.test(`images and maps ${way}`, async (t) => {
    const directory = scratch(t);
    const disk = sparseFile(join(directory, 'disk'), IMAGE_BYTES);
    const sparse = await makeSparse(join(directory, 'sparse'), LAYOUT);
    const server = await serve(t, {
      exports: [
        { name: 'disk', path: disk },
        { name: 'sparse', path: sparse },
      ],
    });
    const sum = await carryImage(t, await by(t, way, server.uri('disk')));
    t.equal(await sha256(disk), sum, 'the file holds the image');
    const map = await mapByNbdinfo(await by(t, way, server.uri('sparse')));
    t.equal(difference(map, await mapOfFile(sparse)), undefined, 'the map of a sparse file is right');
  });
}

// Not through qemu-nbd, which rounds such a size up to whole sectors.
t.test('an odd size through nbdkit', async (t) => {
  const size = 1_000_003;
  const directory = scratch(t);
  const path = patternFile(join(directory, 'disk'), size, 11);
  const model = patternFile(join(directory, 'model'), size, 11);
  const server = await serve(t, { exports: [{ name: 'disk', path }] });
  const uri = await by(t, 'through nbdkit', server.uri('disk'));
  await assertVerdicts(t, 'odd_size.py', [uri, String(size), model]);
  t.equal(await sha256(path), await sha256(model), 'the file has its old length and the right contents');
});
