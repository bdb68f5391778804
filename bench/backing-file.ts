import { mkdtemp, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
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
}

/**
 * Hands a file to `use`: the one the user named, as it is, or with `undefined` a RAM-backed one that is removed
 * afterwards, however `use` ends.
 */
export async function withBackingFile<T>(
  named: string | undefined,
  signal: AbortSignal,
  use: (file: BackingFile) => Promise<T>,
): Promise<T> {
  if (named !== undefined) return use(await existingFile(named));
  const undo: UndoStep[] = [];
  try {
    return await use(await makeRamBackedFile(undo, signal));
  } finally {
    await undoAll(undo);
  }
}

async function existingFile(path: string): Promise<BackingFile> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined || !(stats.isFile() || stats.isBlockDevice())) {
    const what = stats === undefined ? 'no such file' : 'neither a file nor a block device';
    throw new BenchFailure(`--file ${path}: ${what}; name a file or block device of some GiB`);
  }
  return { path, description: path };
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
  const size = ['bs=1M', `count=${FILE_MIB}`];
  await runCommand('dd', ['if=/dev/zero', `of=${path}`, 'oflag=direct', ...size], { signal });
  return { path, description: `${FILE_MIB} MiB of zeroes on ext4 on ${zram.name} (memory)` };
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
