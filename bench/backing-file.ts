import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from './command.js';
import { BenchFailure } from './failure.js';

const FILE_MIB = 2048;
/** Room for the file and for what ext4 keeps about it. */
const DEVICE_MIB = 2560;

/** The file that the servers export. */
export interface BackingFile {
  readonly path: string;
  /** What it lies on, for the report. */
  readonly description: string;
  /** Undoes whatever was set up for it. */
  remove(): Promise<void>;
}

/** A file the user named: it is used as it is and stays where it is. */
export async function existingFile(path: string): Promise<BackingFile> {
  try {
    await stat(path);
  } catch {
    throw new BenchFailure(
      `--file ${path}: no such file; give the path of a file or block device of some GiB`,
    );
  }
  return { path, description: path, remove: async () => {} };
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
export async function ramBackedFile(signal: AbortSignal): Promise<BackingFile> {
  if (process.getuid?.() !== 0) {
    throw new BenchFailure(
      'making a RAM-backed file needs root (zram, mkfs, mount); run as root, or name a file of your own with --file',
    );
  }
  const undo: (() => Promise<void>)[] = [];
  const remove = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    const zram = await takeZram();
    undo.push(() => zram.release());
    await writeFile(`/sys/block/${zram.name}/disksize`, `${DEVICE_MIB}M`);
    // Lazy initialisation would write in the background while the servers are measured.
    const eager = 'lazy_itable_init=0,lazy_journal_init=0';
    await runCommand('mkfs.ext4', ['-q', '-b', '4096', '-E', eager, `/dev/${zram.name}`], { signal });
    const folder = await mkdtemp(join(tmpdir(), 'aionbd-bench-ram-'));
    undo.push(() => rm(folder, { recursive: true, force: true }));
    const mountPoint = join(folder, 'ram');
    await mkdir(mountPoint);
    await runCommand('mount', ['-t', 'ext4', `/dev/${zram.name}`, mountPoint], { signal });
    undo.push(() => unmount(mountPoint));
    const path = join(mountPoint, 'disk.img');
    const size = ['bs=1M', `count=${FILE_MIB}`];
    await runCommand('dd', ['if=/dev/zero', `of=${path}`, 'oflag=direct', ...size], { signal });
    return { path, description: `${FILE_MIB} MiB of zeroes on ext4 on ${zram.name} (memory)`, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

interface Zram {
  /** `zram1`: the device is /dev/zram1. */
  readonly name: string;
  release(): Promise<void>;
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
    return { name: `zram${number}`, release: () => retryBusy(() => writeFile(HOT_REMOVE, number)) };
  }
  const zram0 = '/sys/block/zram0';
  const size = await readFile(`${zram0}/disksize`, 'utf8').catch(() => undefined);
  if (size === undefined) {
    throw new BenchFailure('this kernel has no zram device; try: modprobe zram, or name a file with --file');
  }
  if (size.trim() !== '0') {
    throw new BenchFailure('zram0 is in use and the kernel makes no further ones; name a file with --file');
  }
  return { name: 'zram0', release: () => retryBusy(() => writeFile(`${zram0}/reset`, '1')) };
}

/** A server that was told to end may keep the file open for a moment. */
function unmount(mountPoint: string): Promise<void> {
  return retryBusy(() => runCommand('umount', [mountPoint]));
}

async function retryBusy(step: () => Promise<void>): Promise<void> {
  for (let attempt = 1; attempt < 20; attempt++) {
    try {
      return await step();
    } catch {
      await sleep(100);
    }
  }
  await step();
}
