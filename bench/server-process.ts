import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from './address.js';
import { oneLine } from './command.js';
import { BenchFailure } from './failure.js';
import type { CommandLine } from './servers.js';

const READY_DEADLINE_MS = 15_000;
const STOP_DEADLINE_MS = 6_000;
const STDERR_KEPT_CHARS = 2_000;
/** Between two attempts: what a measured start may be too long by. */
const CONNECT_PAUSE_MS = 2;
const PID_PAUSE_MS = 5;

/** A server that is running and ready. */
export interface RunningServer {
  readonly pid: number;
  /** From the start of the process until it was ready. */
  readonly startMs: number;
  /** How it ended and its last words; undefined while it runs. */
  death(): string | undefined;
  /** Ends it and waits until it is gone. Never throws. */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly name: string;
  readonly command: CommandLine;
  readonly address: Address;
  readonly ready: 'uri' | 'connect';
  readonly signal: AbortSignal;
  /** The server goes to the background and leaves its process id there. */
  readonly pidFile?: string | undefined;
  /** Gets every line the server prints on stdout. */
  readonly onLine?: (line: string) => void;
}

/** Starts a server and waits until it serves; throws BenchFailure with its last words if it does not. */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  options.signal.throwIfAborted();
  const [program, ...args] = options.command;
  const startedAt = performance.now();
  // A process group of its own: Ctrl-C in the terminal must not end a server in the middle of a measurement.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', () => resolve(howItEnded(child)));
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT_CHARS);
  });
  const printedUri = readLines(child, options.onLine);
  const running = { pid: child.pid ?? 0, startMs: 0 };
  const { pidFile } = options;
  const server: RunningServer =
    pidFile === undefined
      ? Object.assign(running, {
          death: () => (isRunning(child) ? undefined : `${howItEnded(child)}: ${oneLine(stderr)}`),
          stop: () => stop(child, ended),
        })
      : Object.assign(running, {
          death: () => (processExists(running.pid) ? undefined : oneLine(stderr)),
          stop: () => stopDaemon(pidFile),
        });
  const failed =
    pidFile === undefined ? ended : ended.then((how) => (child.exitCode === 0 ? forever() : how));

  const waiting = new AbortController();
  const giveUp = AbortSignal.any([options.signal, waiting.signal]);
  try {
    const outcome = await Promise.race([
      failed.then((how) => `ended before it was ready (${how}): ${oneLine(stderr)}`),
      sleep(READY_DEADLINE_MS, undefined, { signal: giveUp }).then(
        () => `was not ready after ${READY_DEADLINE_MS / 1000} s: ${oneLine(stderr)}`,
      ),
      options.ready === 'uri' ? printedUri : acceptsConnections(options.address, giveUp),
    ]);
    if (outcome !== 'ready') throw new BenchFailure(`${options.name} ${outcome}`);
    running.startMs = performance.now() - startedAt;
    if (pidFile !== undefined) running.pid = await readPid(pidFile, giveUp);
  } catch (error) {
    await server.stop();
    throw error;
  } finally {
    waiting.abort();
  }
  return server;
}

/** Resolves when the first line that is an NBD URI has been printed; hands on every line. */
function readLines(child: ChildProcess, onLine: ((line: string) => void) | undefined): Promise<'ready'> {
  return new Promise((resolve) => {
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (/^nbds?(\+unix)?:\/\//.test(line)) resolve('ready');
        onLine?.(line);
      }
    });
  });
}

async function acceptsConnections(address: Address, signal: AbortSignal): Promise<'ready'> {
  while (!(await accepts(address))) await sleep(CONNECT_PAUSE_MS, undefined, { signal });
  return 'ready';
}

function accepts(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket =
      address.kind === 'unix' ? connect(address.path) : connect({ host: address.host, port: address.port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function howItEnded(child: ChildProcess): string {
  return `exit ${child.exitCode ?? child.signalCode}`;
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
  await ended;
  clearTimeout(force);
}

function forever(): Promise<never> {
  return new Promise(() => {});
}

function processExists(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** A daemon may accept before it has written its process id. */
async function readPid(pidFile: string, signal: AbortSignal): Promise<number> {
  const deadline = performance.now() + READY_DEADLINE_MS;
  for (;;) {
    const pid = pidIn(pidFile);
    if (pid !== undefined) return pid;
    if (performance.now() > deadline) throw new BenchFailure(`no process id came to be in ${pidFile}`);
    await sleep(PID_PAUSE_MS, undefined, { signal });
  }
}

function pidIn(pidFile: string): number | undefined {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8').trim()) : 0;
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

async function stopDaemon(pidFile: string): Promise<void> {
  const pid = pidIn(pidFile);
  if (pid === undefined) return;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const deadline = performance.now() + STOP_DEADLINE_MS;
    try {
      process.kill(pid, signal);
    } catch {
      return; // it is gone
    }
    while (performance.now() < deadline) {
      if (!processExists(pid)) return;
      await sleep(PID_PAUSE_MS);
    }
  }
}
