import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Finding, findingLines, note, ok, problem } from '../../src/cli/doctor/finding.js';
import { examineMachine, type Machine } from '../../src/cli/doctor/machine.js';
import { scratch } from '../support/files.js';
import { run } from '../support/programs.js';
import { MAIN } from '../support/server.js';

const FILES: Readonly<Record<string, string>> = {
  '/proc/sys/fs/aio-max-nr': '65536\n',
  '/proc/sys/fs/aio-nr': '1024\n',
  '/proc/self/limits': 'Limit  Soft Limit  Hard Limit\nMax open files            65536   65536  files\n',
  '/proc/sys/net/core/wmem_max': '4194304\n',
  '/lib/modules/6.12.0/modules.dep': 'kernel/drivers/block/nbd.ko.xz:\n',
};

/** A machine on which all is well, but for what is given. */
function machine(
  files: Readonly<Record<string, string | undefined>> = {},
  rest: Partial<Machine> = {},
): Machine {
  const all: Readonly<Record<string, string | undefined>> = { ...FILES, ...files };
  return {
    read: (path) => all[path],
    exists: (path) => path === '/sys/module/nbd',
    hasProgram: () => true,
    kernelRelease: '6.12.0',
    nodeVersion: 'v20.1.0',
    processors: 4,
    ...rest,
  };
}

const about = (given: Machine, what: string): Finding =>
  examineMachine(given, 1024).find((finding) => finding.about === what)!;

t.test('on a machine on which all is well there is nothing to do', async (t) => {
  t.strictSame(
    examineMachine(machine(), 1024).filter(({ grade }) => grade !== 'ok'),
    [],
  );
});

t.test('what is wrong with a machine is found, with its value and what to do', async (t) => {
  t.match(about(machine({ '/proc/sys/fs/aio-nr': '65000' }), 'asynchronous I/O'), {
    grade: 'problem',
    found: 'fs.aio-max-nr 65536, of which 65000 are taken; a server takes 1024 or more',
    advice: 'raise it on the host: sysctl fs.aio-max-nr=1048576',
  });
  t.match(about(machine({ '/proc/sys/fs/aio-nr': '64512' }), 'asynchronous I/O'), { grade: 'ok' });
  t.match(about(machine({ '/proc/sys/fs/aio-nr': undefined }), 'asynchronous I/O'), { grade: 'note' });
  t.match(about(machine({}, { kernelRelease: '4.9.0-1' }), 'kernel'), { grade: 'problem' });
  t.match(about(machine({}, { kernelRelease: '4.14.0' }), 'kernel'), { grade: 'note' });
  t.match(about(machine({}, { kernelRelease: '6.0.9' }), 'kernel'), { grade: 'note' });
  t.match(about(machine({}, { kernelRelease: '10.0.0' }), 'kernel'), { grade: 'ok' });
  t.match(about(machine({}, { nodeVersion: 'v18.20.0' }), 'Node.js'), { grade: 'problem' });
  const limits = (soft: string) =>
    machine({ '/proc/self/limits': `Max open files   ${soft}  4096  files\n` });
  t.match(about(limits('1024'), 'descriptors'), { grade: 'note', found: 'a process may have 1024 open' });
  t.match(about(limits('unlimited'), 'descriptors'), { grade: 'ok' });
  t.match(about(machine({ '/proc/sys/net/core/wmem_max': '212992' }), 'socket buffers'), { grade: 'note' });
  t.match(about(machine({}, { hasProgram: (name) => name === 'fio' }), 'clients'), { found: 'fio' });
  t.match(about(machine({}, { hasProgram: () => false }), 'clients'), { grade: 'note' });
  t.match(about(machine({}, { processors: 1 }), 'processors'), { grade: 'note' });
  const withoutClient = { hasProgram: (name: string) => name === 'qemu-img' };
  t.match(about(machine({}, withoutClient), 'kernel client'), {
    grade: 'note',
    advice: /apt-get install nbd-client/,
  });
  const withOurs = { hasProgram: (name: string) => name === 'aionbd-attach' };
  t.match(about(machine({}, withOurs), 'kernel client'), { grade: 'ok' });
  const unloaded = { exists: () => false };
  t.match(about(machine({}, unloaded), 'kernel client'), { advice: /modprobe nbd/ });
  t.match(about(machine({ '/lib/modules/6.12.0/modules.dep': '' }, unloaded), 'kernel client'), {
    found: 'this kernel has no module nbd',
  });
});

t.test('findings are lines with the advice below', async (t) => {
  t.strictSame(
    findingLines([ok('a', 'fine'), note('bcd', 'so so', 'do this'), problem('e', 'bad', 'do that')]),
    [
      'ok       a    fine',
      'note     bcd  so so',
      '              -> do this',
      'PROBLEM  e    bad',
      '              -> do that',
    ],
  );
});

t.test('aionbd doctor looks at this machine and at files, and its exit code tells of problems', async (t) => {
  const folder = scratch(t);
  const file = join(folder, 'disk.img');
  writeFileSync(file, '');
  truncateSync(file, 1536 * 1024);
  const fine = await run(process.execPath, [MAIN, 'doctor', file]);
  t.equal(fine.code, 0, fine.stdout + fine.stderr);
  t.match(fine.stdout, `ok       ${file}`);
  t.match(fine.stdout, 'a file of 1.5 MiB');
  t.match(fine.stdout, /^ok {7}addon .*it is loaded/m);
  t.equal(fine.stderr, '');
  const missing = await run(process.execPath, [MAIN, 'doctor', join(folder, 'none.img'), folder]);
  t.equal(missing.code, 1);
  t.match(missing.stdout, /PROBLEM {2}.*none\.img {2}cannot open .*none\.img: no such file\n +-> create one/);
  t.match(missing.stdout, 'is a directory\n');
});
