import { errnoName } from '../protocol/errno.js';
import { commandName } from '../protocol/names.js';
import type { Client } from './client.js';

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 20;

interface Log {
  warn(fields: object, message: string): void;
}

/** Errors of the disk, with the errno that the wire can't carry; a flood of them is cut short and counted. */
export class ErrorLog {
  readonly #log: Log;
  #windowStart = 0;
  #lines = 0;
  #leftOut = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `errno` is Linux's, positive; offset and length in bytes. */
  report(client: Client, command: number, offset: number, length: number, errno: number): void {
    const now = Date.now();
    if (now - this.#windowStart >= WINDOW_MS) {
      if (this.#leftOut > 0) this.#log.warn({ leftOut: this.#leftOut }, 'more I/O errors, not logged');
      this.#windowStart = now;
      this.#lines = 0;
      this.#leftOut = 0;
    }
    if (this.#lines >= LINES_PER_WINDOW) {
      this.#leftOut++;
      return;
    }
    this.#lines++;
    this.#log.warn(
      {
        export: client.target.name,
        peer: client.peer,
        command: commandName(command),
        offset,
        length,
        error: errnoName(errno),
      },
      'I/O error',
    );
  }
}
