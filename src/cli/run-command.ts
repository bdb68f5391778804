import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ListenAddress } from '../server/api.js';

/** A command that is told to end has so long for it while the server still serves it, ms. */
const LEAVE_MS = 1000;

/** A command that runs as long as the server is there for it. */
export interface RunningCommand {
  /** Its exit code; 128 and the signal's number if a signal ended it, as shells have it. */
  readonly ended: Promise<number>;
  /** Tells the shell to end, if it has not, and waits a second for that. */
  stopped(): Promise<void>;
  /** Ends the shell at once, if it has not ended. */
  kill(): void;
}

/**
 * Starts a command with /bin/sh. It finds the server in its environment: `$uri`, and `$unixsocket` or `$host` and `$port`, with
 * `$exportname` of the default export.
 */
export function runCommand(
  command: string,
  uri: string,
  address: ListenAddress,
  exportName: string,
): RunningCommand {
  const where =
    address.kind === 'unix'
      ? { unixsocket: address.path }
      : { host: address.host, port: String(address.port) };
  const child = spawn('/bin/sh', ['-c', command], {
    stdio: 'inherit',
    env: { ...process.env, uri, exportname: exportName, ...where },
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]),
    );
  });
  return {
    ended,
    async stopped() {
      child.kill('SIGTERM');
      const timer = new AbortController();
      await Promise.race([ended, sleep(LEAVE_MS, undefined, { signal: timer.signal }).catch(() => {})]);
      timer.abort();
    },
    kill: () => void child.kill('SIGKILL'),
  };
}
