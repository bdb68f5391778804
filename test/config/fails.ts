import type { Test } from 'tap';
import { AionbdError, type ErrorCode } from '../../src/errors.js';

/** Asserts that `action` throws an AionbdError with this code, on one line, that holds each of `parts`. */
export function fails(t: Test, action: () => unknown, code: ErrorCode, ...parts: string[]): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof AionbdError)) {
      throw error;
    }
    t.equal(error.code, code, error.message);
    t.notMatch(error.message, /[\r\n]/, 'the message is one line');
    for (const part of parts) {
      t.ok(error.message.includes(part), `the message says ${part}: ${error.message}`);
    }
    return;
  }
  t.fail(`nothing was thrown, ${code} was expected`);
}
