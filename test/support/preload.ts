// Functions of ours in front of the C library's, for a process of its own.

import { basename, join } from 'node:path';
import type { Test } from 'tap';
import { scratch } from './files.js';
import { must } from './programs.js';

/** The environment of a process in which the functions of a C source come first. `macros` are defined in it. */
export async function preloaded(
  t: Test,
  source: string,
  macros: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  const library = join(scratch(t), basename(source).replace(/\.c$/, '.so'));
  const defines = Object.entries(macros).map(([name, value]) => `-D${name}=${value}`);
  const args = ['-shared', '-fPIC', '-O2', ...defines, '-o', library, source];
  await must(process.env.CC ?? 'cc', args, { env: { LD_PRELOAD: '' } });
  // A sanitizer's library, if there is one, comes first.
  return { LD_PRELOAD: [process.env.LD_PRELOAD, library].filter(Boolean).join(':') };
}
