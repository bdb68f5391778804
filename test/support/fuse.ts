// A file whose filesystem can be made to hang: nbdkit keeps it in memory, nbdfuse makes a file of it, and SIGSTOP makes both
// as silent as a disk that is gone.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { scratch } from './files.js';
import { ended, run, tied } from './programs.js';

const START_MS = 20_000;
const END_MS = 10_000;

export interface FuseFile {
  readonly path: string;
  /** No request to the file is answered any more. */
  hang(): void;
  /** All of them are answered again. */
  goOn(): void;
}

/** A file of so many bytes, all of them zero. Gone when the test ends, with all that waits for it. */
export async function fuseFile(t: Test, sizeBytes: number): Promise<FuseFile> {
  const folder = scratch(t);
  const socket = join(folder, 'nbdkit');
  const path = join(folder, 'disk');
  writeFileSync(path, '');
  const children: ChildProcess[] = [];
  const start = (program: string, args: readonly string[]) => {
    const [command, commandArgs] = tied(program, args);
    const child = spawn(command, commandArgs, { stdio: 'ignore' });
    children.push(child);
    return child;
  };
  t.teardown(async () => {
    // Whoever waits for an answer can't be ended; when nobody is left to give it, the kernel does.
    for (const child of children) child.kill('SIGKILL');
    for (const child of children) await ended(child, END_MS);
    await run('umount', ['--lazy', path]);
  });
  const ready = async (what: string, isReady: () => boolean) => {
    const deadline = Date.now() + START_MS;
    while (!isReady()) {
      if (Date.now() > deadline) throw new Error(`${what} is not ready`);
      await sleep(10);
    }
  };
  start('nbdkit', ['-f', '-U', socket, 'memory', String(sizeBytes)]);
  await ready('nbdkit', () => existsSync(socket));
  start('nbdfuse', [path, `nbd+unix:///?socket=${socket}`]);
  await ready('nbdfuse', () => statSync(path).size === sizeBytes);
  return {
    path,
    hang: () => children.forEach((child) => void child.kill('SIGSTOP')),
    goOn: () => children.forEach((child) => void child.kill('SIGCONT')),
  };
}
