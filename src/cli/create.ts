import { spawn } from 'node:child_process';
import { type FileHandle, open, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { quote } from '../config/quote.js';
import { AionbdError } from '../errors.js';

const ZEROES_BYTES = 4 * 1024 * 1024;

export interface CreateOptions {
  readonly path: string;
  readonly sizeBytes: number;
  /** Take all blocks now instead of when they are first written. */
  readonly preallocate: boolean;
  /** Stops the work; the file is taken away again. */
  readonly signal?: AbortSignal;
}

/**
 * Creates an image file: sparse, or with all its blocks. Never touches a file that is there already, and leaves nothing
 * behind when it fails.
 *
 * @throws AionbdError AIONBD_E_CREATE, AIONBD_E_SIZE
 */
export async function createImage(options: CreateOptions): Promise<void> {
  const { path, sizeBytes, preallocate, signal } = options;
  if (sizeBytes === 0) {
    throw new AionbdError(
      'AIONBD_E_SIZE',
      `cannot create ${quote(path)} with no size: give at least one byte, such as 1G`,
    );
  }
  let file: FileHandle;
  try {
    file = await open(path, 'wx');
  } catch (error) {
    throw createError(path, error);
  }
  try {
    await file.truncate(sizeBytes);
    if (preallocate) {
      await takeBlocks(file, options);
    }
    await file.sync();
    signal?.throwIfAborted();
  } catch (error) {
    await unlink(path).catch(() => {});
    throw signal?.aborted
      ? new AionbdError('AIONBD_E_CREATE', `stopped; ${quote(path)} was not created`)
      : createError(path, error);
  } finally {
    await file.close();
  }
}

/** By the `fallocate` program, which is quick; where that is missing or the filesystem can't, by writing zeroes. */
async function takeBlocks(file: FileHandle, options: CreateOptions): Promise<void> {
  const { path, sizeBytes, signal } = options;
  const { bavail, bsize } = await statfs(dirname(path));
  if (bavail * bsize < sizeBytes) {
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  }
  if (!(await fallocate(file, sizeBytes, signal))) {
    await writeZeroes(file, sizeBytes, signal);
  }
}

/** The program is handed our descriptor, so it cannot meet another file by the same name. */
function fallocate(file: FileHandle, sizeBytes: number, signal: AbortSignal | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('fallocate', ['--length', String(sizeBytes), '/proc/self/fd/3'], {
      stdio: ['ignore', 'ignore', 'ignore', file.fd],
      ...(signal !== undefined && { signal }),
    });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
}

async function writeZeroes(
  file: FileHandle,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const zeroes = Buffer.alloc(Math.min(ZEROES_BYTES, sizeBytes));
  for (let offset = 0; offset < sizeBytes; ) {
    signal?.throwIfAborted();
    const { bytesWritten } = await file.write(zeroes, 0, Math.min(zeroes.length, sizeBytes - offset), offset);
    offset += bytesWritten;
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  EEXIST: 'it exists already and is never overwritten; choose another name or remove it first',
  ENOENT: 'its directory does not exist; create that first',
  ENOTDIR: 'a part of its path is not a directory; check the path',
  EACCES: 'permission denied; choose a directory you may write to',
  EPERM: 'permission denied; choose a directory you may write to',
  EROFS: 'the filesystem is read-only; choose another directory',
  ENOSPC: 'not enough free space; choose a smaller size, another filesystem, or leave out --preallocate',
  EDQUOT: 'the quota is used up; choose a smaller size or another filesystem',
  EFBIG: 'the filesystem cannot hold a file of this size; choose a smaller size or another filesystem',
  EINVAL: 'the filesystem cannot hold a file of this size; choose a smaller size or another filesystem',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
};

function createError(path: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') {
    return cause;
  }
  const remedy = REMEDIES[cause.code] ?? `${cause.message}; check the path and the filesystem`;
  return new AionbdError('AIONBD_E_CREATE', `cannot create ${quote(path)}: ${remedy}`, { cause });
}
