import fc from 'fast-check';
import t from 'tap';
import { decodeText, encodeText, quoteText } from '../../src/protocol/text.js';

t.test('a string of up to 4096 bytes is read, one of 4097 is too long', async (t) => {
  for (const length of [0, 1, 255, 256, 257, 4096]) {
    t.strictSame(decodeText(Buffer.alloc(length, 'x')), { ok: true, text: 'x'.repeat(length) });
  }
  t.strictSame(decodeText(Buffer.alloc(4097, 'x')), { ok: false, fault: 'too-long' });
});

t.test('bytes that are not UTF-8, or NUL, are faults and not exceptions', async (t) => {
  for (const hex of ['ff', 'c328', 'c080', 'eda080', 'f4908080', '61c3']) {
    t.strictSame(decodeText(Buffer.from(hex, 'hex')), { ok: false, fault: 'not-utf8' }, hex);
  }
  for (const hex of ['00', '6100', '0061']) {
    t.strictSame(decodeText(Buffer.from(hex, 'hex')), { ok: false, fault: 'nul' }, hex);
  }
});

t.test('reading agrees with Node about any bytes', async (t) => {
  const agrees = (bytes: Uint8Array) => {
    const decoded = decodeText(bytes);
    const byNode = Buffer.from(bytes).toString('utf8');
    const isText = Buffer.from(byNode, 'utf8').equals(bytes) && !byNode.includes('\0');
    return decoded.ok ? isText && decoded.text === byNode : !isText;
  };
  t.doesNotThrow(() => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), agrees), { numRuns: 500 });
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => agrees(Buffer.from(text, 'utf8'))));
  });
});

t.test('a leading U+FEFF belongs to the string', async (t) => {
  t.strictSame(decodeText(Buffer.from('efbbbf61', 'hex')), { ok: true, text: '\ufeffa' });
  t.strictSame(Buffer.from(encodeText('\ufeffa')).toString('hex'), 'efbbbf61');
});

t.test('a quoted string is safe to print and short', async (t) => {
  t.equal(quoteText('disk'), '"disk"');
  t.equal(quoteText('a"b\n\u001b[0m'), '"a\\"b\\n\\u001b[0m"');
  t.equal(quoteText('x'.repeat(64)), `"${'x'.repeat(64)}"`);
  t.equal(quoteText('x'.repeat(65)), `"${'x'.repeat(64)}"…`);
  t.equal(quoteText('\u{1f4be}'.repeat(65)), `"${'\u{1f4be}'.repeat(64)}"…`, 'no character is cut in two');
});
