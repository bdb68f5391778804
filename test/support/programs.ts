// Running other programs from a test: always with a time limit, never outliving the test, never under the test
// runner's loader (the runner puts itself into NODE_OPTIONS of every child process).

import { type ChildProcess, spawn } from 'node:child_process';

export interface RunOptions {
  /** Default 60 000. At the end of it the program gets SIGKILL. */
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the program gets when the test process dies; `timeout` and the like want SIGTERM. Default KILL. */
  readonly deathSignal?: 'KILL' | 'TERM';
}

export interface RunResult {
  /** Exit code, or null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** Arguments for spawn() that start `program` without the runner's loader and tie its life to this process. */
export function tied(
  program: string,
  args: readonly string[],
  deathSignal: 'KILL' | 'TERM' = 'KILL',
): [string, string[]] {
  return ['setpriv', ['--pdeathsig', deathSignal, '--', 'env', '-u', 'NODE_OPTIONS', program, ...args]];
}

/** Runs a program to its end. Does not throw for a nonzero exit code: that is for the test to judge. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [command, commandArgs] = tied(program, args, options.deathSignal);
  const child = spawn(command, commandArgs, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {}); // a program that does not read its input is not an error of ours
  child.stdin.end(options.input ?? '');
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, options.timeoutMs ?? 60_000);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: stdout(), stderr: stderr(), timedOut });
    });
  });
}

/** Runs a program that has to succeed as part of the preparation of a test; throws what it said if it does not. */
export async function must(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await run(program, args, options);
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${describe(result)}`);
  return result.stdout;
}

/** How a program ended and what it said, for a failure's diagnostics. */
export function describe(result: RunResult): string {
  const end = result.timedOut ? 'timed out' : (result.signal ?? `exit ${result.code}`);
  return [end, result.stderr.trimEnd(), result.stdout.trimEnd()].filter(Boolean).join('\n');
}

/** Collects a stream as text. */
export function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

/** Resolves when `child` has ended; to undefined if it has not within `timeoutMs`. */
export function ended(
  child: ChildProcess,
  timeoutMs: number,
): Promise<{ code: number | null; signal: NodeJS.Signals | null } | undefined> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal });
    });
  });
}
