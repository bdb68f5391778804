import fc from 'fast-check';
import t from 'tap';
import { LARGEST_SIZE_BYTES, parseSize } from '../../src/config/size.js';
import { AionbdError } from '../../src/errors.js';
import { fails } from './fails.js';

t.test('a size is bytes, or a number with a unit of 1024', async (t) => {
  for (const [text, bytes] of [
    ['0', 0],
    ['512', 512],
    ['512B', 512],
    ['1K', 1024],
    ['64M', 67_108_864],
    ['64m', 67_108_864],
    ['64MiB', 67_108_864],
    ['64mib', 67_108_864],
    ['1.5G', 1_610_612_736],
    ['0.5K', 512],
    ['0.001953125K', 2],
    ['1T', 1_099_511_627_776],
    ['9007199254740991', LARGEST_SIZE_BYTES],
    ['7P', 7 * 2 ** 50],
    ['007', 7],
  ] as const) {
    t.equal(parseSize(text), bytes, text);
  }
});

t.test('a size that cannot be read is refused with what to write instead', async (t) => {
  for (const text of [
    '',
    ' ',
    'x',
    '-1',
    '+1',
    '1e3',
    '1 M',
    '64X',
    '1.',
    '.5M',
    '0x10',
    '1,5G',
    'Infinity',
    'NaN',
    '6４',
  ]) {
    fails(t, () => parseSize(text), 'AIONBD_E_SIZE', JSON.stringify(text), 'such as 64M');
  }
  fails(t, () => parseSize('1'.repeat(10_000)), 'AIONBD_E_SIZE', 'such as 64M');
  fails(t, () => parseSize('10\n'), 'AIONBD_E_SIZE', '"10\\n"');
});

t.test('a decimal unit is refused and both binary spellings are offered', async (t) => {
  fails(t, () => parseSize('10MB'), 'AIONBD_E_SIZE', '"10MB"', '10M or 10MiB');
});

t.test('a fraction of a byte is refused with the nearest size below', async (t) => {
  fails(t, () => parseSize('1.1K'), 'AIONBD_E_SIZE', '"1.1K"', '1126 bytes');
  fails(t, () => parseSize('1.5'), 'AIONBD_E_SIZE', '1 bytes');
});

t.test('a size of 8 PiB and more is refused', async (t) => {
  fails(t, () => parseSize('8P'), 'AIONBD_E_SIZE', '"8P"', 'below 8P');
  fails(t, () => parseSize('8.5P'), 'AIONBD_E_SIZE', '"8.5P"', '8P');
  fails(t, () => parseSize('9007199254740993'), 'AIONBD_E_SIZE', '8P');
});

t.test('every whole number of bytes or units reads back exactly', async () => {
  const units = ['', 'K', 'M', 'G', 'T', 'P'];
  fc.assert(
    fc.property(
      fc
        .nat({ max: 5 })
        .chain((power) =>
          fc.tuple(
            fc.constant(power),
            fc.bigInt({ min: 0n, max: (2n ** 53n - 1n) / 1024n ** BigInt(power) }),
            fc.constantFrom('', 'iB'),
          ),
        ),
      ([power, count, suffix]) => {
        const unit = units[power];
        const text = unit === '' ? `${count}` : `${count}${unit}${suffix}`;
        return BigInt(parseSize(text)) === count * 1024n ** BigInt(power);
      },
    ),
  );
});

t.test('any size written as a decimal fraction of a unit reads back exactly', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), fc.integer({ min: 1, max: 3 }), (bytes, power) => {
      const divisor = 2n ** (10n * BigInt(power));
      // bytes / 2^n as an exact decimal: n digits behind the point are enough.
      const digits = 10 * power;
      const scaled = (BigInt(bytes) * 10n ** BigInt(digits)) / divisor;
      const padded = scaled.toString().padStart(digits + 1, '0');
      const text = `${padded.slice(0, -digits)}.${padded.slice(-digits)}${'KMG'[power - 1]}`;
      return parseSize(text) === bytes;
    }),
  );
});

t.test('any text gives a size within the limit or AIONBD_E_SIZE on one line', async () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'0123456789.KMGTPEiBkmgb -') }),
  );
  fc.assert(
    fc.property(text, (text) => {
      try {
        const bytes = parseSize(text);
        return Number.isInteger(bytes) && bytes >= 0 && bytes <= LARGEST_SIZE_BYTES;
      } catch (error) {
        return (
          error instanceof AionbdError && error.code === 'AIONBD_E_SIZE' && !/[\r\n]/.test(error.message)
        );
      }
    }),
    { numRuns: 2000 },
  );
});
