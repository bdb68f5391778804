// Writes into the page cache that take their time, for a process of its own.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { scratch } from './files.js';
import { must } from './programs.js';

const SOURCE = fileURLToPath(new URL('slow-writes.c', import.meta.url));

/** The environment of a process whose writes each take `microseconds`, an expression in C that may name `offset`. */
export async function slowWrites(t: Test, microseconds: string): Promise<Record<string, string>> {
  const library = join(scratch(t), 'slow-writes.so');
  const args = ['-shared', '-fPIC', '-O2', `-DMICROSECONDS=(${microseconds})`, '-o', library, SOURCE];
  await must(process.env.CC ?? 'cc', args, { env: { LD_PRELOAD: '' } });
  // A sanitizer's library, if there is one, comes first.
  return { LD_PRELOAD: [process.env.LD_PRELOAD, library].filter(Boolean).join(':') };
}
