import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BenchFailure } from './failure.js';

/** The Debian package that holds each program used here. */
const PACKAGES: Readonly<Record<string, string>> = {
  fio: 'fio',
  'qemu-nbd': 'qemu-utils',
  nbdkit: 'nbdkit',
  'nbd-server': 'nbd-server',
  nbdcopy: 'libnbd-bin',
  fincore: 'util-linux-extra',
  losetup: 'mount',
  cc: 'gcc',
  'mkfs.ext4': 'e2fsprogs',
  mount: 'mount',
  umount: 'mount',
  dd: 'coreutils',
  sync: 'coreutils',
  perf: 'linux-perf',
  df: 'coreutils',
};

/** Administrators' programs are not on every user's PATH. */
const SEARCH_PATH = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Full path of a program; throws BenchFailure naming the Debian package when it is not installed. */
export function findProgram(name: string): string {
  const path = lookUp(name);
  if (path !== undefined) return path;
  throw new BenchFailure(
    `${name} is not installed; on Debian it comes with: apt-get install ${PACKAGES[name] ?? name}`,
  );
}

function lookUp(name: string): string | undefined {
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
  return undefined;
}

/**
 * Makes sure that all these programs are there: with `install`, gets the Debian packages of those that are not.
 * Throws BenchFailure naming all that are missing, and the command that brings them.
 */
export async function requirePrograms(
  names: Iterable<string>,
  install: boolean,
  signal: AbortSignal,
): Promise<void> {
  const missing = [...new Set(names)].filter((name) => lookUp(name) === undefined);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => PACKAGES[name] ?? name))];
  if (!install) {
    throw new BenchFailure(
      `not installed: ${missing.join(', ')}; on Debian: apt-get install ${packages.join(' ')}, or add --install`,
    );
  }
  process.stderr.write(`installing ${packages.join(' ')}\n`);
  const options = { signal, env: { DEBIAN_FRONTEND: 'noninteractive' } };
  const get = [
    '-qq',
    '-y',
    '--no-install-recommends',
    '-o',
    'DPkg::Lock::Timeout=300',
    'install',
    ...packages,
  ];
  try {
    await runCommand('apt-get', get, options);
  } catch {
    // The lists of packages may be old or not there.
    await runCommand('apt-get', ['-qq', 'update'], options);
    await runCommand('apt-get', get, options);
  }
  for (const name of missing) findProgram(name);
}

/** What a short command prints, on stdout and, where `stderr` is set, on stderr; throws BenchFailure if it fails. */
export function readCommand(name: string, args: readonly string[], stderr = false): string {
  const result = spawnSync(findProgram(name), args, { encoding: 'utf8' });
  if (result.status !== 0) {
    throw new BenchFailure(
      `${name} ${args.join(' ')} ended with ${result.status}: ${oneLine(result.stderr)}`,
    );
  }
  return (stderr ? result.stdout + result.stderr : result.stdout).trim();
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
