// NBD servers of others that pass on an export of ours: what goes through them has met two implementations of each side.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { scratch } from './files.js';
import { collect, ended, tied } from './programs.js';

const START_MS = 20_000;
const STOP_MS = 10_000;

/** How a client reaches an export. */
export const WAYS = ['directly', 'through nbdkit', 'through qemu-nbd'] as const;
export type Way = (typeof WAYS)[number];

/** The URI to use in place of `uri`; a proxy is gone when the test ends. */
export async function by(t: Test, way: Way, uri: string): Promise<string> {
  if (way === 'directly') return uri;
  const socketPath = join(scratch(t), 'p');
  const [program, args] =
    way === 'through nbdkit'
      ? tied('nbdkit', ['-f', '-U', socketPath, 'nbd', `uri=${uri}`])
      : tied('qemu-nbd', ['-f', 'raw', '-t', '--shared=16', '--discard=unmap', '-k', socketPath, uri]);
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended(child, STOP_MS);
  });
  const log = collect(child.stderr);
  const deadline = Date.now() + START_MS;
  while (!existsSync(socketPath)) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      throw new Error(`${program} ${args.join(' ')} is not ready\n${log()}`);
    }
    await sleep(10);
  }
  return `nbd+unix:///?socket=${socketPath}`;
}
