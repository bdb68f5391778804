import type { ErrorCode } from '../errors.js';

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** What a different command line would have avoided, as against what the machine refused. */
const USAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  'AIONBD_E_USAGE',
  'AIONBD_E_SIZE',
  'AIONBD_E_ADDRESS',
  'AIONBD_E_EXPORT_SPEC',
  'AIONBD_E_EXPORT_NAME',
]);

/** 2 for what was typed wrong, 1 for everything else. */
export function exitCodeOf(code: ErrorCode): number {
  return USAGE_CODES.has(code) ? EXIT_USAGE : EXIT_FAILURE;
}
