// Foreign clients with many connections to a server on four threads.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeBacking } from '../support/backing.js';
import { MiB, patternFile, scratch } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { serve } from '../support/server.js';

const JOBS = 16;
const JOB_BYTES = 2 * MiB;

for (const kind of ['file', 'device4k'] as const) {
  t.test(`fio verifies what sixteen jobs wrote on four threads (${kind})`, async (t) => {
    const backing = await makeBacking(t, kind, JOBS * JOB_BYTES);
    const server = await serve(t, {
      exports: [{ name: 'disk', path: backing.path, direct: 'on' }],
      args: ['--threads', '4'],
    });
    const sizes = ['--bssplit=512/30:1536/20:4k/30:64k/20', '--ba=512'];
    const args = [
      '--name=verify',
      '--ioengine=nbd',
      `--uri=${server.uri('disk')}`,
      '--rw=randwrite',
      ...sizes,
    ];
    const place = [
      `--size=${JOB_BYTES}`,
      `--offset_increment=${JOB_BYTES}`,
      `--numjobs=${JOBS}`,
      '--iodepth=8',
    ];
    const check = ['--verify=crc32c', '--verify_fatal=1', '--fsync=64', '--group_reporting'];
    const result = await run('fio', [...args, ...place, ...check], { timeoutMs: 90_000, cwd: scratch(t) });
    t.equal(result.code, 0, describe(result));
    await server.stop(t);
  });
}

t.test('nbdcopy with eight connections copies an image to four threads and back', async (t) => {
  const folder = scratch(t);
  const image = patternFile(join(folder, 'image'), 24 * MiB, 11);
  const backing = await makeBacking(t, 'file', 24 * MiB);
  const server = await serve(t, {
    exports: [{ name: 'disk', path: backing.path }],
    args: ['--threads', '4'],
  });
  const back = join(folder, 'back');
  const options = ['--connections=8', '--requests=16', '--flush'];
  const there = await run('nbdcopy', [...options, image, server.uri('disk')]);
  t.equal(there.code, 0, describe(there));
  const andBack = await run('nbdcopy', [...options, server.uri('disk'), back]);
  t.equal(andBack.code, 0, describe(andBack));
  t.ok(readFileSync(back).equals(readFileSync(image)));
  await server.stop(t);
  t.ok(readFileSync(backing.path).equals(readFileSync(image)));
});
