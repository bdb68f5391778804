import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createImage } from '../../src/cli/create.js';
import { AionbdError, type ErrorCode } from '../../src/errors.js';
import { allocatedBytes, MiB, scratch } from '../support/files.js';
import { must, run } from '../support/programs.js';

const SIZE_BYTES = 1_000_003;

async function refused(t: Test, created: Promise<void>, code: ErrorCode, ...parts: string[]): Promise<void> {
  const error = await created.then(
    () => undefined,
    (error: unknown) => error,
  );
  t.ok(error instanceof AionbdError);
  const { code: got, message } = error as AionbdError;
  t.equal(got, code);
  for (const part of parts) {
    t.ok(message.includes(part), `${message} says ${part}`);
  }
}

/** Runs `action` as on a machine without the fallocate program. */
async function withoutFallocate(action: () => Promise<void>): Promise<void> {
  const path = process.env.PATH;
  process.env.PATH = '/nonexistent';
  try {
    await action();
  } finally {
    process.env.PATH = path;
  }
}

/** A filesystem of its own, so small that a test can fill it. */
async function smallFilesystem(t: Test, sizeBytes: number): Promise<string> {
  const directory = join(scratch(t), 'mnt');
  mkdirSync(directory);
  await must('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', directory]);
  t.teardown(() => run('umount', [directory]));
  return directory;
}

t.test('an image is sparse and has its size to the byte', async (t) => {
  const path = join(scratch(t), 'disk.img');
  await createImage({ path, sizeBytes: SIZE_BYTES, preallocate: false });
  t.equal(statSync(path).size, SIZE_BYTES);
  t.equal(allocatedBytes(path), 0);
});

t.test('a preallocated image has all its blocks, and reads as zeroes', async (t) => {
  const path = join(scratch(t), 'disk.img');
  await createImage({ path, sizeBytes: SIZE_BYTES, preallocate: true });
  t.equal(statSync(path).size, SIZE_BYTES);
  t.ok(allocatedBytes(path) >= SIZE_BYTES);
  t.ok(readFileSync(path).every((byte) => byte === 0));
});

t.test('without the fallocate program the blocks are taken by writing zeroes', async (t) => {
  const path = join(scratch(t), 'disk.img');
  const sizeBytes = 9 * MiB + 1;
  await withoutFallocate(() => createImage({ path, sizeBytes, preallocate: true }));
  t.equal(statSync(path).size, sizeBytes);
  execFileSync('sync', [path]);
  t.ok(allocatedBytes(path) >= sizeBytes);
});

t.test('a file that exists is never touched', async (t) => {
  const path = join(scratch(t), 'disk.img');
  writeFileSync(path, 'precious');
  await refused(
    t,
    createImage({ path, sizeBytes: SIZE_BYTES, preallocate: false }),
    'AIONBD_E_CREATE',
    JSON.stringify(path),
    'never overwritten',
  );
  t.equal(readFileSync(path, 'utf8'), 'precious');
});

t.test('an image without a size is refused', async (t) => {
  const path = join(scratch(t), 'disk.img');
  await refused(
    t,
    createImage({ path, sizeBytes: 0, preallocate: false }),
    'AIONBD_E_SIZE',
    'at least one byte',
  );
  t.notOk(existsSync(path));
});

t.test('a directory that does not exist, or is a file, is named as the reason', async (t) => {
  const directory = scratch(t);
  writeFileSync(join(directory, 'file'), '');
  const create = (name: string) =>
    createImage({ path: join(directory, name), sizeBytes: SIZE_BYTES, preallocate: false });
  await refused(t, create('none/disk.img'), 'AIONBD_E_CREATE', 'none/disk.img', 'create that first');
  await refused(t, create('file/disk.img'), 'AIONBD_E_CREATE', 'not a directory');
  await refused(t, create('n'.repeat(300)), 'AIONBD_E_CREATE', 'choose a shorter one');
});

t.test('a size that the filesystem cannot hold leaves nothing behind', async (t) => {
  const directory = scratch(t);
  const path = join(directory, 'disk.img');
  const sizeBytes = Number.MAX_SAFE_INTEGER;
  await refused(
    t,
    createImage({ path, sizeBytes, preallocate: false }),
    'AIONBD_E_CREATE',
    'choose a smaller size',
  );
  t.strictSame(readdirSync(directory), []);
});

t.test('a filesystem without room for all blocks leaves nothing behind', async (t) => {
  const directory = await smallFilesystem(t, 8 * MiB);
  const path = join(directory, 'disk.img');
  await refused(
    t,
    createImage({ path, sizeBytes: 16 * MiB, preallocate: true }),
    'AIONBD_E_CREATE',
    'not enough free space',
  );
  t.strictSame(readdirSync(directory), []);
});

t.test('a filesystem that fills up while zeroes are written leaves nothing behind', async (t) => {
  const directory = await smallFilesystem(t, 64 * MiB);
  const path = join(directory, 'disk.img');
  await withoutFallocate(async () => {
    const created = createImage({ path, sizeBytes: 60 * MiB, preallocate: true });
    created.catch(() => {});
    while (!existsSync(path)) await new Promise(setImmediate);
    writeFileSync(join(directory, 'other'), Buffer.alloc(16 * MiB));
    await refused(t, created, 'AIONBD_E_CREATE', 'not enough free space');
  });
  t.strictSame(readdirSync(directory), ['other']);
});

t.test('a creation that is stopped leaves nothing behind', async (t) => {
  const directory = scratch(t);
  const path = join(directory, 'disk.img');
  const abort = new AbortController();
  await withoutFallocate(async () => {
    const created = createImage({ path, sizeBytes: 1024 * MiB, preallocate: true, signal: abort.signal });
    created.catch(() => {});
    while (!existsSync(path)) await new Promise(setImmediate);
    abort.abort();
    await refused(t, created, 'AIONBD_E_CREATE', 'stopped', JSON.stringify(path));
  });
  t.strictSame(readdirSync(directory), []);
});
