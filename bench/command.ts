import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BenchFailure } from './failure.js';

/** The Debian package that holds each program used here. */
const PACKAGES: Readonly<Record<string, string>> = {
  fio: 'fio',
  'qemu-nbd': 'qemu-utils',
  nbdkit: 'nbdkit',
  'mkfs.ext4': 'e2fsprogs',
  mount: 'mount',
  umount: 'mount',
  dd: 'coreutils',
  sync: 'coreutils',
};

/** Administrators' programs are not on every user's PATH. */
const SEARCH_PATH = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Full path of a program; throws BenchFailure naming the Debian package when it is not installed. */
export function findProgram(name: string): string {
  if (name.includes('/')) return name;
  for (const folder of SEARCH_PATH) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  throw new BenchFailure(
    `${name} is not installed; on Debian it comes with: apt-get install ${PACKAGES[name] ?? name}`,
  );
}

export interface RunOptions {
  /** Ends the command with SIGTERM; leave it out for clean-up, which must run to its end. */
  readonly signal?: AbortSignal;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end; throws BenchFailure with what it wrote on stderr unless it exits with 0. */
export async function runCommand(
  name: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  // A process group of its own: Ctrl-C in the terminal reaches this program only, which then ends what it started.
  const child = spawn(findProgram(name), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    env: { ...process.env, ...options.env },
  });
  const abort = (): void => void child.kill('SIGTERM');
  options.signal?.addEventListener('abort', abort);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2000);
  });
  try {
    const status = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve(code ?? signal));
    });
    options.signal?.throwIfAborted();
    if (status !== 0) throw new BenchFailure(`${name} ended with ${status}: ${oneLine(stderr)}`);
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

/** A command's messages on one line. */
export function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ' · ') || '(it wrote nothing on stderr)';
}
