// fio writes with four jobs at once, one connection each, and verifies checksums of all it wrote.

import t from 'tap';
import { BACKING_CASES, makeBacking } from '../support/backing.js';
import { MiB, scratch } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { serve } from '../support/server.js';

const JOBS = 4;
const JOB_BYTES = 12 * MiB;

/** Sizes of requests; fio keeps to multiples of 512. */
const SIZES = {
  'requests of 4 KiB': ['--bs=4k'],
  'requests from 512 bytes to 128 KiB at any sector': [
    '--bssplit=512/20:1536/20:4k/20:12k/20:128k/20',
    '--ba=512',
  ],
};

for (const { title, kind, direct } of BACKING_CASES) {
  t.test(`fio verifies what four jobs wrote to an export of ${title}`, async (t) => {
    const backing = await makeBacking(t, kind, JOBS * JOB_BYTES);
    const server = await serve(t, { exports: [{ name: 'disk', path: backing.path, direct }] });
    for (const [sentence, sizes] of Object.entries(SIZES)) {
      const args = [
        '--name=verify',
        '--ioengine=nbd',
        `--uri=${server.uri('disk')}`,
        '--rw=randwrite',
        ...sizes,
        `--size=${JOB_BYTES}`,
        `--offset_increment=${JOB_BYTES}`,
        `--numjobs=${JOBS}`,
        '--iodepth=16',
        '--verify=crc32c',
        '--verify_fatal=1',
        '--fsync=64',
        '--group_reporting',
        '--output-format=json',
      ];
      const result = await run('fio', args, { timeoutMs: 90_000, cwd: scratch(t) });
      t.equal(result.code, 0, `${sentence} are verified`, { output: describe(result) });
      const job = result.code === 0 ? read(result.stdout) : undefined;
      t.match(
        job,
        { error: 0, write: { io_bytes: JOBS * JOB_BYTES }, read: { io_bytes: JOBS * JOB_BYTES } },
        `${sentence}: all was written and all was read`,
      );
    }
    await server.stop(t);
  });
}

interface Job {
  readonly error: number;
  readonly read: { readonly io_bytes: number };
  readonly write: { readonly io_bytes: number };
}

function read(stdout: string): Job | undefined {
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: Job[] };
  return report.jobs[0];
}
