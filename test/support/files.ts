// Files for tests: places for them, contents that can be made again, and checksums.

import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

export const KiB = 1024;
export const MiB = 1024 * KiB;

/** A directory of its own for this test, gone when the test ends. Short, so that Unix sockets fit into it. */
export function scratch(t: Test): string {
  const directory = mkdtempSync(join(process.env.AIONBD_TEST_DIR ?? tmpdir(), 't-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** `length` bytes that look random and are the same for the same `seed`. */
export function pattern(length: number, seed: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** A file full of `pattern(length, seed)`. */
export function patternFile(path: string, length: number, seed: number): string {
  writeFileSync(path, pattern(length, seed));
  return path;
}

/** A file that is one hole. */
export function sparseFile(path: string, length: number): string {
  writeFileSync(path, '');
  truncateSync(path, length);
  return path;
}

/** SHA-256 of a file or block device in hexadecimal. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: MiB })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Bytes that a file really takes on its filesystem. */
export function allocatedBytes(path: string): number {
  return statSync(path).blocks * 512;
}
