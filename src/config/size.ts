import { AionbdError } from '../errors.js';
import { quote } from './quote.js';

/** File offsets travel as doubles: exact up to here, one byte less than 8 PiB. */
export const LARGEST_SIZE_BYTES = Number.MAX_SAFE_INTEGER;

const UNITS = 'KMGTP';
const SIZE = /^(?<whole>\d+)(?:\.(?<fraction>\d+))?(?:(?<unit>[KMGTP])(?:iB)?|B)?$/i;
const DECIMAL_UNIT = /^(\d+(?:\.\d+)?)([KMGTP])B$/i;
/** Enough digits to write any size to the byte in any unit; keeps the arithmetic small. */
const MOST_DIGITS = 64;

/**
 * Reads a size in bytes: digits, or a number with a unit of 1024 (`K M G T P`, or `KiB` … `PiB`, in either case).
 * A fraction is fine as long as it comes out as whole bytes: `1.5G`.
 *
 * @throws AionbdError AIONBD_E_SIZE
 */
export function parseSize(text: string): number {
  const parts = text.length <= MOST_DIGITS ? SIZE.exec(text)?.groups : undefined;
  if (parts === undefined) {
    throw sizeError(text, remedyFor(text));
  }
  const fraction = parts.fraction ?? '';
  const unit = parts.unit?.toUpperCase();
  const factor = unit === undefined ? 1n : 1024n ** BigInt(UNITS.indexOf(unit) + 1);
  const scaled = BigInt(`${parts.whole}${fraction}`) * factor;
  const divisor = 10n ** BigInt(fraction.length);
  if (scaled % divisor !== 0n) {
    throw sizeError(
      text,
      `it is not a whole number of bytes; ${scaled / divisor} bytes is the nearest below`,
    );
  }
  const bytes = scaled / divisor;
  if (bytes > BigInt(LARGEST_SIZE_BYTES)) {
    throw sizeError(text, 'a size stays below 8P');
  }
  return Number(bytes);
}

function remedyFor(text: string): string {
  const decimal = DECIMAL_UNIT.exec(text);
  if (decimal !== null) {
    const unit = decimal[2]?.toUpperCase();
    return `units are of 1024 here, so write ${decimal[1]}${unit} or ${decimal[1]}${unit}iB`;
  }
  return 'write bytes, or a number with K, M, G, T or P (units of 1024), such as 64M or 1.5G';
}

function sizeError(text: string, remedy: string): AionbdError {
  return new AionbdError('AIONBD_E_SIZE', `cannot read the size ${quote(text)}: ${remedy}`);
}
