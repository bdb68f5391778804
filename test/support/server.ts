// The server under test as a process of its own, started as a user starts it.
//
// AIONBD_STAND_IN=nbdkit or qemu-nbd puts another server in its place: a test that fails there too is wrong about the
// protocol, or asks for what only ours promises.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { DirectMode } from '../../src/server/api.js';
import { scratch } from './files.js';
import { collect, ended, tied } from './programs.js';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const STAND_IN = process.env.AIONBD_STAND_IN;

const START_MS = 20_000;
const STOP_MS = 10_000;

export interface ExportSpec {
  readonly name: string;
  readonly path: string;
  readonly readOnly?: boolean;
  readonly direct?: DirectMode;
  readonly description?: string;
}

export interface ServeOptions {
  readonly exports: readonly ExportSpec[];
  /** Listens on TCP too, on a free port of 127.0.0.1. */
  readonly tcp?: boolean;
  /** More arguments for the command. */
  readonly args?: readonly string[];
  /** Arguments for node itself. */
  readonly nodeArgs?: readonly string[];
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningServer {
  readonly child: ChildProcess;
  readonly socketPath: string;
  /** What it printed when it was ready. */
  readonly announced: readonly string[];
  /** Port on 127.0.0.1, 0 if it does not listen there. */
  readonly port: number;
  /** URI of an export over the Unix socket. */
  uri(name: string): string;
  /** Everything on stderr so far. */
  log(): string;
  /** Sends SIGTERM and asserts that the server ends by itself, with 0. */
  stop(t: Test): Promise<void>;
}

/** Starts a server and waits until it is ready; it is gone when the test ends, even if the test fails. */
export async function serve(t: Test, options: ServeOptions): Promise<RunningServer> {
  const socketPath = join(scratch(t), 's');
  const [program, args] = command(options, socketPath);
  const [outer, outerArgs] = tied(program, args);
  const env = { ...process.env, ...options.env };
  const child = spawn(outer, outerArgs, { stdio: ['ignore', 'pipe', 'pipe'], env });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended(child, STOP_MS);
  });
  const stdout = collect(child.stdout);
  const log = collect(child.stderr);
  const wanted = options.tcp ? 2 : 1;
  const uris = () => stdout().split('\n').slice(0, -1);
  const ready = () => (STAND_IN ? existsSync(socketPath) : uris().length >= wanted);
  const deadline = Date.now() + START_MS;
  while (!ready()) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      throw new Error(`the server is not ready: ${program} ${args.join(' ')}\n${stdout()}${log()}`);
    }
    await sleep(10);
  }
  const announced = uris();
  const tcp = announced.find((uri) => uri.startsWith('nbd://'));
  return {
    child,
    socketPath,
    announced,
    port: tcp === undefined ? 0 : Number(new URL(tcp).port),
    uri: (name) => `nbd+unix:///${encodeURIComponent(name)}?socket=${socketPath}`,
    log,
    async stop(test) {
      child.kill('SIGTERM');
      const end = await ended(child, STOP_MS);
      test.same(end, { code: 0, signal: null }, 'the server ends by itself on SIGTERM, with 0', {
        log: log(),
      });
    },
  };
}

function command(options: ServeOptions, socketPath: string): [string, string[]] {
  const only = options.exports[0]!;
  switch (STAND_IN) {
    case undefined:
    case '': {
      const listen = ['--listen', `unix:${socketPath}`, ...(options.tcp ? ['--listen', '127.0.0.1:0'] : [])];
      const exports = options.exports.flatMap((e) => ['--export', exportSpec(e)]);
      const { args = [] } = options;
      const rest = args.includes('--metrics') ? args : ['--metrics', 'off', ...args];
      return [process.execPath, [...(options.nodeArgs ?? []), MAIN, 'serve', ...listen, ...exports, ...rest]];
    }
    case 'nbdkit':
      return ['nbdkit', ['-f', ...(only.readOnly ? ['-r'] : []), '-U', socketPath, 'file', only.path]];
    case 'qemu-nbd': {
      const cache = only.direct === 'off' ? 'writeback' : 'none';
      const shape = ['-f', 'raw', '-t', '--shared=16', '--discard=unmap', `--cache=${cache}`];
      return [
        'qemu-nbd',
        [...shape, ...(only.readOnly ? ['-r'] : []), '-x', only.name, '-k', socketPath, only.path],
      ];
    }
    default:
      throw new Error(`AIONBD_STAND_IN=${STAND_IN}: know nbdkit and qemu-nbd`);
  }
}

/** The value of --export. */
export function exportSpec(e: ExportSpec): string {
  const value = (text: string) => text.replaceAll(',', ',,');
  const fields = [`name=${value(e.name)}`, `path=${value(e.path)}`];
  if (e.readOnly) fields.push('readonly');
  if (e.direct !== undefined) fields.push(`direct=${e.direct}`);
  if (e.description !== undefined) fields.push(`description=${value(e.description)}`);
  return fields.join(',');
}
