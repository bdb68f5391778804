import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { AionbdError } from '../errors.js';

/**
 * Writes the process's id into a file, for scripts that start and stop the server.
 *
 * @returns what takes the file away again
 * @throws AionbdError AIONBD_E_PID_FILE
 */
export function writePidFile(path: string, pid: number): () => void {
  try {
    writeFileSync(path, `${pid}\n`);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new AionbdError(
      'AIONBD_E_PID_FILE',
      `cannot write the pid file ${JSON.stringify(path)}: ${why}; name a file in a directory that you may write to`,
      { cause },
    );
  }
  return () => {
    try {
      // Another server may have written its own there since.
      if (readFileSync(path, 'utf8') === `${pid}\n`) unlinkSync(path);
    } catch {
      // Somebody else has taken it away, which is what we wanted.
    }
  };
}
