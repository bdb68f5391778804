// What nbdinfo says that an export can do, on everything that an export can lie on.

import t from 'tap';
import { BACKING_CASES, makeBacking } from '../support/backing.js';
import { MiB } from '../support/files.js';
import { must } from '../support/programs.js';
import { serve } from '../support/server.js';

interface NbdInfo {
  readonly structured: boolean;
  readonly exports: readonly Record<string, unknown>[];
}

const CONTEXTS = ['base:allocation', 'aionbd:changed'];

for (const { title, kind, direct } of BACKING_CASES) {
  t.test(`nbdinfo on an export of ${title}`, async (t) => {
    const { path } = await makeBacking(t, kind, 4 * MiB);
    const server = await serve(t, {
      exports: [
        { name: 'open', path, direct },
        { name: 'locked', path, direct, readOnly: true },
      ],
    });
    const capabilities = async (name: string) => {
      const info = JSON.parse(await must('nbdinfo', ['--json', server.uri(name)])) as NbdInfo;
      t.equal(info.structured, true, `replies of "${name}" are structured`);
      const { contexts, ...rest } = info.exports[0]!;
      t.same(contexts, CONTEXTS, `"${name}" has its contexts`);
      return Object.fromEntries(Object.entries(rest).filter(([key]) => /^(can|is)_/.test(key)));
    };
    const always = {
      is_rotational: false,
      can_cache: true,
      can_df: true,
      can_flush: true,
      can_fua: true,
      can_multi_conn: true,
    };
    t.same(
      await capabilities('open'),
      { ...always, is_read_only: false, can_fast_zero: true, can_trim: true, can_zero: true },
      'a writable export can do everything',
    );
    t.same(
      await capabilities('locked'),
      { ...always, is_read_only: true, can_fast_zero: false, can_trim: false, can_zero: false },
      'a read-only export of the same can do what changes nothing',
    );
    await server.stop(t);
  });
}
