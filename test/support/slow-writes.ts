// Writes into the page cache that take their time, for a process of its own.

import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { preloaded } from './preload.js';

const SOURCE = fileURLToPath(new URL('slow-writes.c', import.meta.url));

/** The environment of a process whose writes each take `microseconds`, an expression in C that may name `offset`. */
export async function slowWrites(t: Test, microseconds: string): Promise<Record<string, string>> {
  return await preloaded(t, SOURCE, { MICROSECONDS: `(${microseconds})` });
}
