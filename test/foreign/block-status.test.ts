// libnbd asks for the status of blocks, and looks at what zeroing and trimming do to it.

import { dirname, join } from 'node:path';
import t from 'tap';
import { BACKING_CASES, makeBacking } from '../support/backing.js';
import { KiB, MiB } from '../support/files.js';
import { assertVerdicts } from '../support/python.js';
import { serve } from '../support/server.js';
import { type Layout, makeSparse } from '../support/sparse.js';

const LAYOUT: Layout = {
  title: '',
  sizeBytes: 64 * MiB + 1234,
  data: [
    [4096, 1],
    [MiB + 1, 100_000],
    ...Array.from({ length: 100 }, (_, n) => [3 * MiB + n * 12 * KiB, 4 * KiB] as const),
    [8 * MiB, 16 * MiB],
    [64 * MiB + 1000, 1],
  ],
};

for (const { title, kind, direct } of BACKING_CASES) {
  if (kind === 'device' || kind === 'device4k') continue;
  t.test(`the status of blocks of ${title}`, async (t) => {
    const backing = await makeBacking(t, kind, LAYOUT.sizeBytes);
    const path = await makeSparse(join(dirname(backing.path), 'sparse'), LAYOUT);
    const server = await serve(t, { exports: [{ name: 'disk', path, direct }] });
    const fs = kind === 'tmpfs' ? 'tmpfs' : 'disk';
    await assertVerdicts(t, 'block_status.py', [server.uri('disk'), path, fs]);
    await server.stop(t);
  });
}
