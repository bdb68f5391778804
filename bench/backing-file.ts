import { mkdtemp, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCommand, runCommand } from './command.js';
import { BenchFailure } from './failure.js';

const FILE_MIB = 2048;
/** Room for the file, for further ones, and for what ext4 keeps about them. Zeroes take no memory there. */
const DEVICE_MIB = 8192;
const DISK_FILE_MIB = 1024;
const MIB = 1024 ** 2;

/** The file that the servers export. */
export interface BackingFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** What it lies on, for the report. */
  readonly description: string;
  /** It holds zeroes, and fio should write zeroes. */
  readonly zeroes: boolean;
  /** A folder for further files, removed with this one; undefined for a file that the user named. */
  readonly folder: string | undefined;
}

/** Where the file to export comes from: made in memory, made on a disk, or named by the user. */
export type Medium = { readonly on: 'ram' } | { readonly on: 'disk' | 'named'; readonly path: string };

/** Hands a file to `use`, and removes what was made for it, however `use` ends. */
export async function withBackingFile<T>(
  medium: Medium,
  signal: AbortSignal,
  use: (file: BackingFile) => Promise<T>,
): Promise<T> {
  if (medium.on === 'named') return use(await existingFile(medium.path));
  const undo: UndoStep[] = [];
  try {
    const made =
      medium.on === 'ram' ? makeRamBackedFile(undo, signal) : makeDiskFile(medium.path, undo, signal);
    return await use(await made);
  } finally {
    await undoAll(undo);
  }
}

/** Makes a further file of zeroes in `folder` and removes it; it is smaller than asked for where memory is short. */
export async function withFurtherFile<T>(
  folder: string,
  mib: number,
  signal: AbortSignal,
  use: (path: string, mib: number) => Promise<T>,
): Promise<T> {
  // A server that keeps all of it in the page cache must be able to.
  const made = Math.min(mib, Math.floor(freemem() / MIB / 2));
  const path = join(folder, 'further.img');
  try {
    await writeZeroes(path, made, signal);
    return await use(path, made);
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Fills the page cache for a server that reads through it and empties it for one that does not: pages left over from
 * the round before would make direct I/O look for them and throw them out.
 */
export async function preparePageCache(file: string, wanted: boolean, signal: AbortSignal): Promise<void> {
  if (wanted) {
    await runCommand('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M'], { signal });
  } else {
    await runCommand('sync', [file], { signal });
    await runCommand('dd', [`if=${file}`, 'of=/dev/null', 'iflag=nocache', 'count=0'], { signal });
  }
}

/** How much of a file the page cache holds, MiB; undefined for a block device, of which fincore can't tell. */
export function cachedMib(file: string): number | undefined {
  const bytes = Number(readCommand('fincore', ['--bytes', '--noheadings', '--output', 'RES', file]));
  return Number.isFinite(bytes) ? bytes / MIB : undefined;
}

async function existingFile(path: string): Promise<BackingFile> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined || !(stats.isFile() || stats.isBlockDevice())) {
    const what = stats === undefined ? 'no such file' : 'neither a file nor a block device';
    throw new BenchFailure(`--file ${path}: ${what}; name a file or block device of some GiB`);
  }
  const sizeBytes = stats.isFile()
    ? stats.size
    : Number(await readFile(`/sys/class/block/${basename(path)}/size`, 'utf8')) * 512;
  return { path, sizeBytes, description: path, zeroes: false, folder: undefined };
}

/**
 * A file of random bytes on a real disk, which may keep zeroes more cheaply than data. Throws BenchFailure if the
 * filesystem does no direct I/O.
 */
async function makeDiskFile(parent: string, undo: UndoStep[], signal: AbortSignal): Promise<BackingFile> {
  const folder = await mkdtemp(join(parent, 'aionbd-bench-disk-')).catch((error: unknown) => {
    throw new BenchFailure(`--disk ${parent}: ${error instanceof Error ? error.message : error}`);
  });
  undo.push({ what: `remove ${folder}`, run: () => rm(folder, { recursive: true }) });
  const path = join(folder, 'disk.img');
  const size = ['bs=1M', `count=${DISK_FILE_MIB}`];
  await runCommand('dd', ['if=/dev/urandom', `of=${path}`, 'oflag=direct', 'iflag=fullblock', ...size], {
    signal,
  });
  await runCommand('sync', [path], { signal });
  const [source, type] =
    readCommand('df', ['--output=source,fstype', folder]).split('\n').at(-1)?.split(/\s+/) ?? [];
  return {
    path,
    sizeBytes: DISK_FILE_MIB * MIB,
    description: `${DISK_FILE_MIB} MiB of random bytes on ${type} on ${source}`,
    zeroes: false,
    folder,
  };
}

/**
 * A file of zeroes on ext4 on zram, a block device in memory: all of the block layer and no device to wait for.
 *
 * Zeroes on purpose. zram keeps a page that holds one repeated word as that word, without compressing it; with random
 * data each request would pay for a compressor inside the server's system call, the same for every server, and the
 * differences between servers would look smaller than they are. The zeroes are really written: blocks that ext4 only
 * reserved would be answered by the filesystem without asking the device.
 *
 * Needs root and a free zram device; throws BenchFailure saying what is missing.
 */
async function makeRamBackedFile(undo: UndoStep[], signal: AbortSignal): Promise<BackingFile> {
  if (process.getuid?.() !== 0) {
    throw new BenchFailure(
      'making a RAM-backed file needs root (zram, mkfs, mount); run as root, or name a file of your own with --file',
    );
  }
  const zram = await takeZram();
  undo.push({ what: `release ${zram.name}`, run: zram.release });
  await writeFile(`/sys/block/${zram.name}/disksize`, `${DEVICE_MIB}M`);
  // Lazy initialisation would write in the background while the servers are measured.
  const eager = 'lazy_itable_init=0,lazy_journal_init=0';
  await runCommand('mkfs.ext4', ['-q', '-b', '4096', '-E', eager, `/dev/${zram.name}`], { signal });

  const mountPoint = await mkdtemp(join(tmpdir(), 'aionbd-bench-ram-'));
  undo.push({ what: `remove ${mountPoint}`, run: () => rmdir(mountPoint) });
  await runCommand('mount', ['-t', 'ext4', `/dev/${zram.name}`, mountPoint], { signal });
  undo.push({ what: `unmount ${mountPoint}`, run: () => runCommand('umount', [mountPoint]) });

  const path = join(mountPoint, 'disk.img');
  await writeZeroes(path, FILE_MIB, signal);
  return {
    path,
    sizeBytes: FILE_MIB * MIB,
    description: `${FILE_MIB} MiB of zeroes on ext4 on ${zram.name} (memory)`,
    zeroes: true,
    folder: mountPoint,
  };
}

async function writeZeroes(path: string, mib: number, signal: AbortSignal): Promise<void> {
  await runCommand('dd', ['if=/dev/zero', `of=${path}`, 'oflag=direct', 'bs=1M', `count=${mib}`], { signal });
}

interface Zram {
  /** `zram1`: the device is /dev/zram1. */
  readonly name: string;
  readonly release: () => Promise<void>;
}

const HOT_ADD = '/sys/class/zram-control/hot_add';
const HOT_REMOVE = '/sys/class/zram-control/hot_remove';

/** A zram device nobody uses: a new one where the kernel makes new ones, else zram0 if it has no size yet. */
async function takeZram(): Promise<Zram> {
  // Reading hot_add makes a device and gives its number.
  const number = await readFile(HOT_ADD, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
  if (number !== undefined) {
    return { name: `zram${number}`, release: () => writeFile(HOT_REMOVE, number) };
  }
  const zram0 = '/sys/block/zram0';
  const size = await readFile(`${zram0}/disksize`, 'utf8').catch(() => undefined);
  if (size === undefined) {
    throw new BenchFailure('this kernel has no zram device; try: modprobe zram, or name a file with --file');
  }
  if (size.trim() !== '0') {
    throw new BenchFailure('zram0 is in use and the kernel makes no further ones; name a file with --file');
  }
  return { name: 'zram0', release: () => writeFile(`${zram0}/reset`, '1') };
}

interface UndoStep {
  /** For the message when it fails: `unmount …`. */
  readonly what: string;
  readonly run: () => Promise<void>;
}

const UNDO_ATTEMPTS = 20;
const UNDO_PAUSE_MS = 100;

/** Last set up, first undone. A step that fails is reported and does not keep the others from being tried. */
async function undoAll(steps: UndoStep[]): Promise<void> {
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    for (let attempt = 1; ; attempt++) {
      try {
        await step.run();
        break;
      } catch (error) {
        if (attempt === UNDO_ATTEMPTS) {
          process.stderr.write(`bench: could not ${step.what}: ${error}\n`);
          break;
        }
        // Something may hold it for a moment yet.
        await sleep(UNDO_PAUSE_MS);
      }
    }
  }
}
