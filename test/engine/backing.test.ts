// Opening what is to be exported: what is accepted, what is found out, and what is refused with which words.

import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type BackingOptions, identify, openBacking } from '../../src/engine/backing.js';
import { fails } from '../config/fails.js';
import { makeBacking } from '../support/backing.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { must, run, tied } from '../support/programs.js';

const OPTIONS = { readOnly: false, direct: 'auto', lock: true } as const;

const descriptors = () => readdirSync('/proc/self/fd').length;

/** Opens, and closes when the test ends. */
function open(t: Test, path: string, options: Partial<BackingOptions> = {}) {
  const backing = openBacking({ ...OPTIONS, path, ...options });
  t.teardown(backing.close);
  return backing;
}

/** Asserts that opening is refused with this code and these words, and that no descriptor stays open. */
function refuses(
  t: Test,
  path: string,
  options: Partial<BackingOptions>,
  code: Parameters<typeof fails>[2],
  ...parts: string[]
): void {
  const before = descriptors();
  fails(t, () => openBacking({ ...OPTIONS, path, ...options }), code, path, ...parts);
  t.equal(descriptors(), before, 'no descriptor stays open');
}

// ---- what can be opened ----

t.test('a file on a disk is direct with the alignment of its sectors, and buffered on request', async (t) => {
  for (const [kind, unitBytes] of [
    ['file', 512],
    ['file4k', 4096],
  ] as const) {
    const { path } = await makeBacking(t, kind, MiB);
    for (const direct of ['auto', 'on'] as const) {
      const backing = openBacking({ ...OPTIONS, path, direct });
      t.match(backing, {
        path,
        sizeBytes: MiB,
        unitBytes,
        blockDevice: false,
        readOnly: false,
        bufferedFd: -1,
      });
      t.equal(backing.directEndBytes, MiB);
      t.ok(backing.directFd >= 0);
      t.equal(backing.bufferedBecause, undefined);
      backing.close();
    }
    const backing = openBacking({ ...OPTIONS, path, direct: 'off' });
    t.match(backing, { sizeBytes: MiB, unitBytes: 1, directFd: -1, directEndBytes: 0 });
    t.equal(backing.bufferedBecause, undefined, 'nobody is told why what he asked for happened');
    t.ok(backing.bufferedFd >= 0);
    backing.close();
  }
});

t.test('a size that is no multiple of anything is direct up to its last whole page', async (t) => {
  const path = sparseFile(join(scratch(t), 'odd'), 1_000_003);
  const backing = open(t, path);
  t.match(backing, { sizeBytes: 1_000_003, directEndBytes: 999_424 });
  t.ok(backing.directFd >= 0 && backing.bufferedFd >= 0);
  t.equal(open(t, sparseFile(join(scratch(t), 'tiny'), 3), {}).directEndBytes, 0);
  const whole = open(t, sparseFile(join(scratch(t), 'sectors'), 4096 + 512));
  t.match(whole, { directEndBytes: 4608, bufferedFd: -1 }, 'whole sectors are direct to the end');
});

t.test('an empty file can be opened', async (t) => {
  t.match(open(t, sparseFile(join(scratch(t), 'empty'), 0)), { sizeBytes: 0 });
});

t.test('tmpfs is served one way or the other, with a reason if it is not direct', async (t) => {
  const { path } = await makeBacking(t, 'tmpfs', MiB);
  const backing = openBacking({ ...OPTIONS, path });
  t.equal(backing.sizeBytes, MiB);
  t.equal(backing.bufferedBecause === undefined, backing.directFd >= 0);
  backing.close();
});

t.test(
  'a filesystem without direct I/O is served buffered and says why, or refused if direct was asked for',
  async (t) => {
    // procfs: its files cannot be opened with O_DIRECT.
    const path = '/proc/self/comm';
    const backing = openBacking({ ...OPTIONS, path, lock: false });
    t.match(backing, { directFd: -1, unitBytes: 1, bufferedBecause: /does not do direct I\/O/ });
    backing.close();
    refuses(t, path, { direct: 'on', lock: false }, 'AIONBD_E_DIRECT', 'direct=on', 'direct=auto');
  },
);

t.test('a block device has its size and the alignment of its sectors', async (t) => {
  for (const [kind, unitBytes] of [
    ['device', 512],
    ['device4k', 4096],
  ] as const) {
    const { path } = await makeBacking(t, kind, 8 * MiB);
    const backing = openBacking({ ...OPTIONS, path, direct: 'on' });
    t.match(backing, {
      blockDevice: true,
      sizeBytes: 8 * MiB,
      unitBytes,
      directEndBytes: 8 * MiB,
      bufferedFd: -1,
    });
    t.match(backing.identity, /^block:/);
    backing.close();
    const buffered = openBacking({ ...OPTIONS, path, direct: 'off' });
    t.match(buffered, { blockDevice: true, sizeBytes: 8 * MiB, unitBytes: 1, directFd: -1 });
    buffered.close();
  }
});

t.test('a file is the same under each of its names', async (t) => {
  const directory = scratch(t);
  const path = sparseFile(join(directory, 'f'), MiB);
  symlinkSync(path, join(directory, 'link'));
  await must('ln', [path, join(directory, 'hard')]);
  t.equal(identify(join(directory, 'link')), identify(path));
  t.equal(identify(join(directory, 'hard')), identify(path));
  t.equal(open(t, join(directory, 'link')).identity, identify(path));
  t.not(identify(sparseFile(join(directory, 'other'), MiB)), identify(path));
});

t.test('close gives up every descriptor, once', async (t) => {
  const before = descriptors();
  const backing = openBacking({ ...OPTIONS, path: sparseFile(join(scratch(t), 'f'), 1_000_003) });
  t.equal(descriptors(), before + 2);
  backing.close();
  t.equal(descriptors(), before);
  backing.close();
  t.equal(descriptors(), before);
});

// ---- what cannot ----

t.test('what is no file is refused by what it is, and a FIFO does not block', async (t) => {
  const directory = scratch(t);
  const fifo = join(directory, 'fifo');
  await must('mkfifo', [fifo]);
  const socketPath = join(directory, 's');
  const server = createServer().listen(socketPath);
  t.teardown(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  mkdirSync(join(directory, 'd'));
  for (const readOnly of [false, true]) {
    refuses(t, join(directory, 'd'), { readOnly }, 'AIONBD_E_FILE', 'is a directory');
    refuses(t, fifo, { readOnly }, 'AIONBD_E_FILE', 'is a FIFO');
    refuses(t, socketPath, { readOnly }, 'AIONBD_E_FILE', 'is a socket');
    refuses(t, '/dev/null', { readOnly }, 'AIONBD_E_FILE', 'is a character device');
  }
  fails(t, () => identify(fifo), 'AIONBD_E_FILE', 'is a FIFO');
});

t.test('what is not there is refused with how to make it', async (t) => {
  const directory = scratch(t);
  writeFileSync(join(directory, 'f'), '');
  symlinkSync(join(directory, 'loop'), join(directory, 'loop'));
  refuses(t, join(directory, 'missing'), {}, 'AIONBD_E_FILE', 'no such file', 'aionbd create');
  refuses(t, join(directory, 'f', 'g'), {}, 'AIONBD_E_FILE', 'not a directory');
  refuses(t, join(directory, 'loop'), {}, 'AIONBD_E_FILE', 'symbolic links');
  refuses(t, join(directory, 'x'.repeat(300)), {}, 'AIONBD_E_FILE', 'ENAMETOOLONG');
});

t.test(
  'what cannot be written is refused with --read-only as the remedy, and can be opened so',
  async (t) => {
    const directory = join(scratch(t), 'mnt');
    mkdirSync(directory);
    await must('mount', ['-t', 'tmpfs', 'tmpfs', directory]);
    t.teardown(() => run('umount', [directory]));
    const path = sparseFile(join(directory, 'f'), MiB);
    await must('mount', ['-o', 'remount,ro', directory]);
    refuses(t, path, {}, 'AIONBD_E_FILE', 'read-only filesystem', '--read-only');
    const backing = openBacking({ ...OPTIONS, path, readOnly: true });
    t.match(backing, { readOnly: true, sizeBytes: MiB });
    backing.close();
  },
);

t.test('an immutable file is refused with --read-only as the remedy', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  await must('chattr', ['+i', path]);
  try {
    refuses(t, path, {}, 'AIONBD_E_FILE', 'immutable', '--read-only');
    openBacking({ ...OPTIONS, path, readOnly: true }).close();
  } finally {
    await must('chattr', ['-i', path]);
  }
});

t.test('a program that runs is refused', async (t) => {
  const path = join(scratch(t), 'sleep');
  await must('cp', ['/bin/sleep', path]);
  const child = spawn(...tied(path, ['60']), { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  for (let i = 0; i < 200; i++) {
    if ((await run('readlink', [`/proc/${child.pid}/exe`])).stdout.trim() === path) break;
    await sleep(10);
  }
  refuses(t, path, {}, 'AIONBD_E_FILE', 'being executed');
});

// ---- locks ----

t.test('a file that is open for writing cannot be opened again, for writing or for reading', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  const first = openBacking({ ...OPTIONS, path });
  for (const direct of ['auto', 'off'] as const) {
    refuses(t, path, { direct }, 'AIONBD_E_LOCKED', `process ${process.pid}`, '--no-lock');
    refuses(t, path, { direct, readOnly: true }, 'AIONBD_E_LOCKED', `process ${process.pid}`);
    openBacking({ ...OPTIONS, path, direct, lock: false }).close();
  }
  first.close();
  openBacking({ ...OPTIONS, path }).close();
});

t.test('any number may read a file, and then nobody may write it', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  const readers = [1, 2, 3].map(() => openBacking({ ...OPTIONS, path, readOnly: true }));
  refuses(t, path, {}, 'AIONBD_E_LOCKED', `process ${process.pid}`);
  for (const reader of readers) reader.close();
  openBacking({ ...OPTIONS, path }).close();
});

t.test("another process's lock is refused with its number", async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  const child = spawn(...tied('flock', ['--exclusive', path, 'sleep', '60']), { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  for (let i = 0; i < 200 && (await run('flock', ['--nonblock', path, 'true'])).code === 0; i++)
    await sleep(10);
  refuses(t, path, {}, 'AIONBD_E_LOCKED', `process ${child.pid};`);
});

t.test('a block device that is open for writing is refused with the number of who has it', async (t) => {
  const { path } = await makeBacking(t, 'device', MiB);
  const first = openBacking({ ...OPTIONS, path });
  refuses(t, path, {}, 'AIONBD_E_LOCKED', `process ${process.pid}`, '--no-lock');
  refuses(t, path, { direct: 'off' }, 'AIONBD_E_LOCKED', `process ${process.pid}`);
  refuses(t, path, { readOnly: true }, 'AIONBD_E_LOCKED', `process ${process.pid}`);
  first.close();
  openBacking({ ...OPTIONS, path }).close();
});

t.test('a block device that is mounted is refused for writing, and can be read', async (t) => {
  const { path } = await makeBacking(t, 'device', 8 * MiB);
  const directory = join(scratch(t), 'mnt');
  mkdirSync(directory);
  await must('mkfs.ext4', ['-q', path]);
  await must('mount', [path, directory]);
  try {
    refuses(t, path, {}, 'AIONBD_E_FILE', 'in use', 'mounted');
    openBacking({ ...OPTIONS, path, readOnly: true }).close();
  } finally {
    await must('umount', [directory]);
  }
  openBacking({ ...OPTIONS, path }).close();
});
