// Stacks as perf prints them, and where each counts.

import t from 'tap';
import { PlaceCounter } from '../../bench/perf-script.js';

const stack = (...frames: readonly string[]): readonly string[] => [
  ...frames.map((frame, i) => `\t    ffffffff8${i}123456 ${frame}`),
  '',
];

function sharesOf(...stacks: readonly (readonly string[])[]) {
  const counter = new PlaceCounter();
  for (const line of stacks.flat()) counter.line(line);
  return counter.shares();
}

t.test(
  'a sample counts for the system call that it is in, also for one that the kernel has left by a jump',
  async (t) => {
    const submit = stack(
      'zram_submit_bio ([zram])',
      '__x64_sys_io_submit ([kernel.kallsyms])',
      'do_syscall_64 ([kernel.kallsyms])',
      'syscall (/usr/lib/libc.so.6)',
    );
    const send = stack(
      'rep_movs_alternative ([kernel.kallsyms])',
      '__sys_sendmsg ([kernel.kallsyms])',
      'do_syscall_64 ([kernel.kallsyms])',
    );
    const cached = stack('filemap_read ([kernel.kallsyms])', 'do_preadv ([kernel.kallsyms])');
    const futex = stack('futex_wake ([kernel.kallsyms])', '__x64_sys_futex ([kernel.kallsyms])');
    t.same(sharesOf(submit, send, cached, futex), {
      io_submit: 0.25,
      'preadv2, pwritev2': 0.25,
      send: 0.25,
      'other system calls': 0.25,
    });
  },
);

t.test('a sample in no system call counts for the program or library it is in', async (t) => {
  const compiled = stack(
    'JS:*#header file:///dist/chunk.js:1:1 (/tmp/perf-123.map)',
    'start (/usr/bin/node)',
  );
  const node = stack('v8::internal::Invoke (/usr/bin/node)');
  const addon = stack('aionbd::Reactor::turn() (/srv/build/Release/aionbd.node)', 'uv_run (/usr/bin/node)');
  const clock = stack('__vdso_clock_gettime ([vdso])', 'aionbd::now_ns() (/srv/build/Release/aionbd.node)');
  const entering = stack('entry_SYSCALL_64 ([kernel.kallsyms])');
  t.same(sharesOf(compiled, compiled, compiled, node, addon, clock, entering, addon), {
    'other system calls': 0.125,
    TypeScript: 0.375,
    'Node.js': 0.125,
    'the addon': 0.25,
    libraries: 0.125,
  });
});

t.test('without samples there are no shares', async (t) => {
  t.same(sharesOf(), {});
  t.same(sharesOf([''], ['perf: no data']), {});
});
