import { close, closeSync, constants, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { AionbdError } from '../errors.js';
import { type FileFacts, loadAddon } from './addon.js';
import { FRAME_BYTES } from './slab.js';

/** How a file is to be opened. */
export interface BackingOptions {
  readonly path: string;
  readonly readOnly: boolean;
  readonly direct: 'auto' | 'on' | 'off';
  /** Take an advisory lock: exclusive when writable, shared when read-only. */
  readonly lock: boolean;
}

/**
 * An open regular file or block device: descriptors and geometry. One per file, however many exports and
 * connections use it, since unaligned writes are kept apart by it.
 */
export interface Backing {
  readonly path: string;
  /** `device:inode` of a file, the device's number for a block device: the same for each way to name it. */
  readonly identity: string;
  readonly readOnly: boolean;
  readonly blockDevice: boolean;
  readonly sizeBytes: number;
  /** Descriptor opened with O_DIRECT, or -1 when I/O is buffered. */
  readonly directFd: number;
  /** Descriptor without O_DIRECT: for buffered I/O, or for the end of a file that is no whole unit. -1 if neither. */
  readonly bufferedFd: number;
  /**
   * A second open description of a file that is written through the page cache, for starting write-back early; -1 if it is
   * not. The kernel tells each description of data that it could not write back, once: a flush on `bufferedFd` still
   * hears of what was told here.
   */
  readonly writeBackFd: number;
  /** Descriptor for trimming and zeroing, where that has to be another one; see {@link reopenBacking}. */
  readonly clearFd?: number;
  /** Offsets and lengths of direct I/O are multiples of this, bytes; 1 when buffered. */
  readonly unitBytes: number;
  /** From here on the file is read and written through the page cache; `sizeBytes` or more when nowhere. */
  readonly directEndBytes: number;
  /** Why `direct: auto` ended in buffered I/O; undefined when it did not. */
  readonly bufferedBecause: string | undefined;
  /** It is locked against others that lock: what is known of it stays true. */
  readonly locked: boolean;
  close(): void;
}

/** What has been opened here. */
export interface OpenBacking extends Backing {
  /** Resolves when all is closed: of a file that hangs perhaps never, but no thread of ours waits for it. */
  closeInBackground(): Promise<void>;
}

/** Largest unit that read-modify-write is done for; a disk with larger ones is served buffered. */
const LARGEST_UNIT_BYTES = 65536;
const SMALLEST_UNIT_BYTES = 512;
const EWOULDBLOCK = 11;

/** A key for a path's file: equal for two paths of one file. Throws AIONBD_E_FILE as {@link openBacking} does. */
export function identify(path: string): string {
  return identityOf(examine(path));
}

/** Throws AIONBD_E_FILE, AIONBD_E_DIRECT or AIONBD_E_LOCKED, each with the path and the remedy. */
export function openBacking(options: BackingOptions): OpenBacking {
  const { path, readOnly } = options;
  const identity = identityOf(examine(path));
  const opened: number[] = [];
  const closeAll = () => {
    for (const fd of opened.splice(0)) closeSync(fd);
  };
  try {
    const direct = options.direct === 'off' ? undefined : openDirect(options, opened);
    let bufferedFd = -1;
    let facts: FileFacts;
    if (direct?.facts) {
      facts = direct.facts;
    } else {
      closeAll();
      bufferedFd = openFile(path, readOnly, exclusiveFlag(options), opened);
      facts = loadAddon().probeFile(bufferedFd);
    }
    const directFd = direct?.facts ? direct.fd : -1;
    if (options.lock) takeLock(directFd >= 0 ? directFd : bufferedFd, path, readOnly);

    const unitBytes =
      directFd >= 0 ? Math.max(facts.offsetAlignment, facts.memoryAlignment, SMALLEST_UNIT_BYTES) : 1;
    let directEndBytes = directFd >= 0 ? facts.sizeBytes : 0;
    if (directFd >= 0 && facts.sizeBytes % unitBytes !== 0) {
      // A direct write of the last, incomplete unit would lengthen the file. Whole pages of it go through the page
      // cache instead, and nothing else of the file does: a page that is both written directly and cached could be
      // written back stale.
      const pageUnit = Math.max(unitBytes, FRAME_BYTES);
      directEndBytes = Math.floor(facts.sizeBytes / pageUnit) * pageUnit;
      bufferedFd = openFile(path, readOnly, 0, opened);
    }
    const writeBackFd = directFd < 0 && !readOnly ? openAgain(bufferedFd, path, opened) : -1;
    return Object.freeze({
      path,
      identity,
      readOnly,
      blockDevice: facts.blockDevice,
      sizeBytes: facts.sizeBytes,
      directFd,
      bufferedFd,
      writeBackFd,
      unitBytes,
      directEndBytes,
      bufferedBecause: direct?.refusal,
      locked: options.lock,
      close: closeAll,
      closeInBackground: () => closeLater(opened.splice(0)),
    });
  } catch (error) {
    closeAll();
    throw error;
  }
}

/**
 * The same open file once more, with file descriptions of its own: the kernel tells of data that it lost once for each, and
 * SEEK_DATA moves the position of each. The lock stays with the first. Throws AIONBD_E_FILE.
 *
 * A block device is cleared through the first, too, which has it exclusively: for any other the kernel would not throw away
 * dirty pages of the range, and answer EBUSY.
 */
export function reopenBacking(backing: Backing): OpenBacking {
  const { path, readOnly } = backing;
  const opened: number[] = [];
  const closeAll = () => {
    for (const fd of opened.splice(0)) closeSync(fd);
  };
  const reopen = (fd: number, flags: number) => {
    if (fd < 0) return -1;
    const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
    try {
      const own = openQuietly(`/proc/self/fd/${fd}`, access | flags);
      opened.push(own);
      return own;
    } catch (cause) {
      const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
      const remedy = 'it has to be possible to open it by /proc/self/fd as well, or leave out --threads';
      const message = `${path} cannot be opened once more for another thread: ${why}; ${remedy}`;
      throw new AionbdError('AIONBD_E_FILE', message, { cause });
    }
  };
  try {
    const directFd = reopen(backing.directFd, constants.O_DIRECT);
    const bufferedFd = reopen(backing.bufferedFd, 0);
    const clearFd = backing.blockDevice ? Math.max(backing.directFd, backing.bufferedFd) : -1;
    return Object.freeze({
      ...backing,
      directFd,
      bufferedFd,
      clearFd,
      close: closeAll,
      closeInBackground: () => closeLater(opened.splice(0)),
    });
  } catch (error) {
    closeAll();
    throw error;
  }
}

async function closeLater(descriptors: readonly number[]): Promise<void> {
  await Promise.all(descriptors.map((fd) => new Promise<void>((resolve) => close(fd, () => resolve()))));
}

function examine(path: string): Stats {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (cause) {
    throw fileError(path, cause);
  }
  if (stats.isFile() || stats.isBlockDevice()) return stats;
  const kind = stats.isDirectory()
    ? 'a directory'
    : stats.isFIFO()
      ? 'a FIFO'
      : stats.isSocket()
        ? 'a socket'
        : stats.isCharacterDevice()
          ? 'a character device'
          : 'not a file';
  throw new AionbdError('AIONBD_E_FILE', `${path} is ${kind}; name a regular file or a block device`);
}

function identityOf(stats: Stats): string {
  return stats.isBlockDevice() ? `block:${stats.rdev}` : `${stats.dev}:${stats.ino}`;
}

function fileError(path: string, cause: unknown): unknown {
  const code = (cause as NodeJS.ErrnoException).code;
  const remedy = {
    ENOENT: 'no such file; create one with "aionbd create FILE --size SIZE"',
    EACCES: 'permission denied; run as a user who may open it, or serve it with --read-only',
    EPERM: 'operation not permitted; the file may be immutable: serve it with --read-only',
    EROFS: 'it is on a read-only filesystem; serve it with --read-only',
    EBUSY:
      'the device is in use (mounted, or part of an array or volume group); release it, or use --no-lock',
    ENOTDIR: 'a part of the path is not a directory',
    ELOOP: 'too many symbolic links',
    ENXIO: 'the device does not exist',
    ENOMEDIUM: 'there is no medium in the device',
    ETXTBSY: 'it is being executed or used as swap; serve another file',
  }[code ?? ''];
  if (code === undefined) return cause;
  return new AionbdError('AIONBD_E_FILE', `cannot open ${path}: ${remedy ?? code}`, { cause });
}

/**
 * What clients read is no access to the file that anybody wants to see, and keeping its time costs more than 1 % of a READ.
 * Only a file's owner (or root) may ask for that.
 */
function openQuietly(path: string, flags: number): number {
  try {
    return openSync(path, flags | constants.O_NOATIME);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return openSync(path, flags);
  }
}

function openFile(path: string, readOnly: boolean, flags: number, opened: number[]): number {
  try {
    const fd = openQuietly(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | flags);
    opened.push(fd);
    return fd;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EBUSY' && (flags & constants.O_EXCL) !== 0) {
      refuseIfLocked(path);
    }
    throw fileError(path, cause);
  }
}

/** The same file once more, whatever its path leads to by now. */
function openAgain(fd: number, path: string, opened: number[]): number {
  try {
    return openFile(`/proc/self/fd/${fd}`, true, 0, opened);
  } catch {
    // Without /proc it is the path that there is.
    return openFile(path, true, 0, opened);
  }
}

/** A device that is in use may be so by another server, which is better said with its number. */
function refuseIfLocked(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY);
  } catch {
    return;
  }
  try {
    takeLock(fd, path, false);
  } finally {
    closeSync(fd);
  }
}

/**
 * A block device that is mounted, or part of an array, must not change under its user: the kernel keeps O_EXCL openers
 * apart from those. (On a regular file the flag would mean nothing without O_CREAT.)
 */
function exclusiveFlag({ path, readOnly, lock }: BackingOptions): number {
  return lock && !readOnly && statSync(path).isBlockDevice() ? constants.O_EXCL : 0;
}

interface DirectAttempt {
  readonly fd: number;
  /** Present when direct I/O works. */
  readonly facts?: FileFacts;
  /** Present when it does not. */
  readonly refusal?: string;
}

function openDirect(options: BackingOptions, opened: number[]): DirectAttempt {
  const { path, readOnly } = options;
  let fd: number;
  try {
    fd = openFile(path, readOnly, constants.O_DIRECT | exclusiveFlag(options), opened);
  } catch (error) {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
    if (code !== 'EINVAL' && code !== 'EOPNOTSUPP') throw error;
    return refuse(options, 'its filesystem does not do direct I/O');
  }
  const facts = loadAddon().probeFile(fd);
  if (facts.offsetAlignment === 0) return refuse(options, 'its filesystem does not do direct I/O on it');
  if (facts.offsetAlignment > LARGEST_UNIT_BYTES || facts.memoryAlignment > FRAME_BYTES) {
    const wanted = `${facts.offsetAlignment} bytes in the file and ${facts.memoryAlignment} in memory`;
    return refuse(options, `its direct I/O wants an alignment of ${wanted}`);
  }
  return { fd, facts };
}

function refuse(options: BackingOptions, refusal: string): DirectAttempt {
  if (options.direct === 'on') {
    const remedy = 'use direct=auto or direct=off, or move it to another filesystem';
    throw new AionbdError(
      'AIONBD_E_DIRECT',
      `${options.path} cannot be served with direct=on: ${refusal}; ${remedy}`,
    );
  }
  return { fd: -1, refusal };
}

function takeLock(fd: number, path: string, readOnly: boolean): void {
  const result = loadAddon().lockFile(fd, !readOnly);
  if (result === 0) return;
  if (result !== -EWOULDBLOCK) {
    const why = getSystemErrorName(result);
    const message = `${path} cannot be locked: ${why}; its filesystem may not do locks: use --no-lock`;
    throw new AionbdError('AIONBD_E_FILE', message);
  }
  const holder = lockHolder(fd);
  const who = holder === undefined ? 'another process' : `process ${holder}`;
  const remedy = 'stop that one first, or use --no-lock if you know that both may use it';
  throw new AionbdError('AIONBD_E_LOCKED', `${path} is locked by ${who}; ${remedy}`);
}

/** The process that holds a flock on the descriptor's file, as far as /proc/locks tells. */
function lockHolder(fd: number): number | undefined {
  try {
    // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF`; the device in hexadecimal, the inode in decimal.
    const stats = statSync(`/proc/self/fd/${fd}`);
    const major = ((stats.dev >> 8) & 0xfff).toString(16).padStart(2, '0');
    const minor = ((stats.dev & 0xff) | ((stats.dev >> 12) & 0xfff00)).toString(16).padStart(2, '0');
    const wanted = `${major}:${minor}:${stats.ino}`;
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      const fields = line.split(/\s+/);
      if (fields[1] === 'FLOCK' && fields[5] === wanted) return Number(fields[4]);
    }
  } catch {
    // Without /proc the message simply does not name the holder.
  }
  return undefined;
}
