// What lies behind an export: the kinds of file and device that behave differently under direct I/O.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { DirectMode } from '../../src/server/api.js';
import { allocatedBytes, MiB, scratch, sparseFile } from './files.js';
import { must, run } from './programs.js';

/** `…4k` has sectors of 4096 bytes, the others of 512. `device` is a loop device, which is what makes sectors choosable. */
/** `ext3` can punch holes, but neither zero ranges nor allocate. */
export type BackingKind = 'file' | 'file4k' | 'ext3' | 'tmpfs' | 'device' | 'device4k';

export interface Backing {
  readonly path: string;
  readonly sizeBytes: number;
  /** Bytes that are really taken below. */
  allocatedBytes(): number;
}

export interface BackingCase {
  /** Reads on after "an export of ". */
  readonly title: string;
  readonly kind: BackingKind;
  readonly direct: DirectMode;
}

/** Every data test runs over all of these. */
export const BACKING_CASES: readonly BackingCase[] = [
  { title: 'a file, direct', kind: 'file', direct: 'on' },
  { title: 'a file, buffered', kind: 'file', direct: 'off' },
  { title: 'a file on 4 KiB sectors, direct', kind: 'file4k', direct: 'on' },
  { title: 'a file on 4 KiB sectors, buffered', kind: 'file4k', direct: 'off' },
  { title: 'a file on tmpfs', kind: 'tmpfs', direct: 'auto' },
  { title: 'a block device, direct', kind: 'device', direct: 'on' },
  { title: 'a block device, buffered', kind: 'device', direct: 'off' },
  { title: 'a block device with 4 KiB sectors, direct', kind: 'device4k', direct: 'on' },
];

/** Makes an empty backing of `sizeBytes`, which a test may fill; it is gone when the test ends. */
export async function makeBacking(t: Test, kind: BackingKind, sizeBytes: number): Promise<Backing> {
  const directory = scratch(t);
  switch (kind) {
    case 'file':
      return file(join(directory, 'disk'), sizeBytes);
    case 'tmpfs':
      await mounted(t, join(directory, 'mnt'), ['-t', 'tmpfs', 'tmpfs']);
      return file(join(directory, 'mnt', 'disk'), sizeBytes);
    case 'ext3':
    case 'file4k': {
      const image = sparseFile(join(directory, 'fs'), sizeBytes + 64 * MiB);
      const device = await loopDevice(t, image, kind === 'ext3' ? 512 : 4096);
      await must(kind === 'ext3' ? 'mkfs.ext3' : 'mkfs.ext4', ['-q', '-b', '4096', device]);
      await mounted(t, join(directory, 'mnt'), [device]);
      return file(join(directory, 'mnt', 'disk'), sizeBytes);
    }
    case 'device':
    case 'device4k': {
      const image = sparseFile(join(directory, 'disk'), sizeBytes);
      const device = await loopDevice(t, image, kind === 'device' ? 512 : 4096);
      return { path: device, sizeBytes, allocatedBytes: () => allocatedBytes(image) };
    }
  }
}

function file(path: string, sizeBytes: number): Backing {
  sparseFile(path, sizeBytes);
  return { path, sizeBytes, allocatedBytes: () => allocatedBytes(path) };
}

/** A loop device over `image` with this logical block size. */
async function loopDevice(t: Test, image: string, sectorBytes: number): Promise<string> {
  const args = ['--find', '--show', '--direct-io=on', '--sector-size', String(sectorBytes), image];
  const device = (await must('losetup', args)).trim();
  t.teardown(() => run('losetup', ['--detach', device]));
  return device;
}

async function mounted(t: Test, directory: string, args: readonly string[]): Promise<void> {
  mkdirSync(directory);
  await must('mount', [...args, directory]);
  t.teardown(() => run('umount', [directory]));
}
