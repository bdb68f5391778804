// nbdcopy in and out.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { MiB, pattern, patternFile, scratch, sha256 } from '../support/files.js';
import { describe, run } from '../support/programs.js';

/** Bytes of the export that {@link carryImage} needs. */
export const IMAGE_BYTES = 40 * MiB;

/** Carries an image with a hole into the export at `uri`, over noise, and out again. Resolves to the image's checksum. */
export async function carryImage(t: Test, uri: string): Promise<string> {
  const directory = scratch(t);
  const source = join(directory, 'source');
  const back = join(directory, 'back');
  // Data, a hole and data: nbdcopy writes zeroes or trims where the source has a hole.
  writeFileSync(source, Buffer.concat([pattern(20 * MiB, 5), Buffer.alloc(10 * MiB), pattern(10 * MiB, 6)]));
  // What is there already must not shine through where the source has its hole.
  for (const [from, sentence] of [
    [patternFile(join(directory, 'noise'), IMAGE_BYTES, 9), 'noise goes in'],
    [source, 'an image with a hole goes in'],
  ] as const) {
    const copied = await run('nbdcopy', ['--flush', from, uri]);
    t.equal(copied.code, 0, sentence, { output: describe(copied) });
  }
  const out = await run('nbdcopy', [uri, back]);
  t.equal(out.code, 0, 'the image comes out', { output: describe(out) });
  const sum = await sha256(source);
  t.equal(await sha256(back), sum, 'with the same checksum');
  return sum;
}
