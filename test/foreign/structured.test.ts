// libnbd looks at each chunk of the replies to its reads.

import { dirname, join } from 'node:path';
import t from 'tap';
import { BACKING_CASES, makeBacking } from '../support/backing.js';
import { KiB, MiB } from '../support/files.js';
import { assertVerdicts } from '../support/python.js';
import { serve } from '../support/server.js';
import { type Layout, makeSparse } from '../support/sparse.js';

/** 64 KiB is what the server remembers holes by: holes of a multiple of it, of parts of it, and between two of them. */
const LAYOUT: Layout = {
  title: '',
  sizeBytes: 96 * MiB + 12_345,
  data: [
    [0, 3 * 64 * KiB],
    [20 * 64 * KiB - 1, 2],
    [40 * 64 * KiB, 1],
    [MiB * 4, 4 * MiB],
    ...Array.from({ length: 200 }, (_, n) => [10 * MiB + n * 144 * KiB, 4 * KiB] as const),
    [60 * MiB + 777, 8 * MiB],
    [90 * MiB, 64 * KiB],
    [96 * MiB + 12_000, 1],
  ],
};

for (const { title, kind, direct } of BACKING_CASES) {
  if (kind === 'device' || kind === 'device4k') continue;
  t.test(`reads in chunks from an export of ${title}`, async (t) => {
    const backing = await makeBacking(t, kind, LAYOUT.sizeBytes);
    const path = await makeSparse(join(dirname(backing.path), 'sparse'), LAYOUT);
    const server = await serve(t, { exports: [{ name: 'disk', path, direct }] });
    await assertVerdicts(t, 'structured.py', [server.uri('disk'), path]);
    await server.stop(t);
  });
}
