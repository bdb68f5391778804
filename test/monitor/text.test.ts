import fc from 'fast-check';
import t from 'tap';
import { paint, span } from '../../src/monitor/line.js';
import { cut, fit, inAscii, visible, widthOf } from '../../src/monitor/text.js';
import { count, duration, latency, mebibytes, percent, rate, size } from '../../src/monitor/units.js';

t.test(
  'nothing that a terminal would obey, hide or turn around is left in a text from outside',
  async (t) => {
    t.equal(
      visible('a\nb\tc\x1b[31m\u009b\u202e\u200b\u2028\x7f'),
      'a\\nb\\tc\\x1b[31m\\x9b\\u{202e}\\u{200b}\\u{2028}\\x7f',
    );
    t.equal(visible('plain, データ, é, 👍'), 'plain, データ, é, 👍');
    t.equal(visible('\ud800'), '\\u{d800}', 'half of a pair');
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 40 }),
        (text) => !/[\p{C}\p{Zl}\p{Zp}]/u.test(visible(text)),
      ),
    );
  },
);

t.test('width is what a terminal gives to a text: two columns for the wide, none for accents', async (t) => {
  t.equal(widthOf('abc'), 3);
  t.equal(widthOf('データ'), 6);
  t.equal(widthOf('e\u0301'), 1);
  t.equal(widthOf('👍'), 2);
});

t.test('a text is cut at a whole character, and is never wider than asked', async (t) => {
  t.equal(cut('abcdef', 4), 'abc…');
  t.equal(cut('データベース', 6), 'デー…');
  t.equal(cut('データ', 6), 'データ');
  t.equal(cut('ab', 0), '');
  t.equal(fit('データベース', 6), 'デー… ');
  t.equal(fit('7', 3, 'right'), '  7');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, columns) => {
      const shown = fit(visible(text), columns);
      return widthOf(shown) === columns;
    }),
  );
});

t.test('a terminal with ASCII alone gets the same number of columns', async (t) => {
  t.equal(inAscii('84µs… データ é'), '84us~ ?????? ?');
});

t.test('without colour a line is text alone; with colour it is as wide', async (t) => {
  const line = [span('abc', 'bad'), span('def')];
  t.equal(paint(line, 5, { colour: false, unicode: true }), 'abcd…');
  t.equal(paint(line, 5, { colour: true, unicode: true }), '\x1b[1;31mabc\x1b[0md…');
});

t.test('numbers are short and keep what matters', async (t) => {
  t.same([0, 7, 999, 999.6, 1234, 12_345, 229_499, 3_400_000].map(count), [
    '0',
    '7',
    '999',
    '1k',
    '1.2k',
    '12k',
    '229k',
    '3.4M',
  ]);
  t.same([0, 0.4, 9.9, 12.3].map(rate), ['0', '0.4', '9.9', '12']);
  t.same([0, 512, 1536, 10 * 1024 ** 3, 8 * 1024 ** 5].map(size), ['0', '512', '1.5K', '10G', '8P']);
  t.same([0, 1, 40_000, 3.2 * 2 ** 20, 2970 * 2 ** 20].map(mebibytes), ['0', '<0.01', '0.04', '3.2', '2970']);
  t.same([undefined, 850e-9, 4e-6, 84e-6, 999.7e-6, 1.23e-3, 45e-3, 3.1, 720].map(latency), [
    '-',
    '850ns',
    '4µs',
    '84µs',
    '1ms',
    '1.2ms',
    '45ms',
    '3.1s',
    '12m',
  ]);
  t.same([0, 5000, 200_000, 14_700_000, 1_047_600_000].map(duration), [
    '0s',
    '5s',
    '3m 20s',
    '4h 5m',
    '12d 3h',
  ]);
  t.same([percent(1, 8), percent(undefined, 8), percent(0, 0)], ['13%', '-', '-']);
  fc.assert(fc.property(fc.double({ min: 0, max: 1e17, noNaN: true }), (value) => count(value).length <= 5));
  fc.assert(
    fc.property(fc.double({ min: 0, max: 5000, noNaN: true }), (value) => latency(value).length <= 6),
  );
});
