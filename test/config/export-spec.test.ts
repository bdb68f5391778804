import fc from 'fast-check';
import t from 'tap';
import { parseExportSpec } from '../../src/config/export-spec.js';
import { AionbdError } from '../../src/errors.js';
import { fails } from './fails.js';

const refused = (t: Parameters<typeof fails>[0], text: string, ...parts: string[]) =>
  fails(t, () => parseExportSpec(text), 'AIONBD_E_EXPORT_SPEC', ...parts);

t.test('a specification names an export and its file', async (t) => {
  t.strictSame(parseExportSpec('name=a,path=/b'), { name: 'a', path: '/b' });
  t.strictSame(parseExportSpec('description=,path=b=c,direct=off,readonly,name=a'), {
    name: 'a',
    path: 'b=c',
    readOnly: true,
    direct: 'off',
    description: '',
  });
  t.ok(Object.isFrozen(parseExportSpec('name=a,path=/b')));
});

t.test('readonly stands alone or is on or off', async (t) => {
  t.match(parseExportSpec('name=a,path=b,readonly'), { readOnly: true });
  t.match(parseExportSpec('name=a,path=b,readonly=on'), { readOnly: true });
  t.match(parseExportSpec('name=a,path=b,readonly=off'), { readOnly: false });
  refused(t, 'name=a,path=b,readonly=yes', '"yes"', 'readonly=on');
});

t.test('a doubled comma is a comma of the value', async (t) => {
  t.strictSame(parseExportSpec('name=a,,b,path=,,'), { name: 'a,b', path: ',' });
  t.strictSame(parseExportSpec('description=x,,,name=a,path=b'), { name: 'a', path: 'b', description: 'x,' });
  t.match(parseExportSpec('name=a,,path=b,path=c'), { name: 'a,path=b', path: 'c' });
});

t.test('an unknown key is refused with the known ones', async (t) => {
  refused(t, 'name=a,path=b,colour=red', '"colour"', 'name, path, readonly, direct, description');
  refused(t, 'name=a,path=b,Readonly', '"Readonly"');
  refused(t, 'name=a,path=b, readonly', '" readonly"');
});

t.test('what is missing, empty or given twice is refused', async (t) => {
  refused(t, 'path=b', 'name=NAME');
  refused(t, 'name=a', 'path=FILE');
  refused(t, 'name=a,path=', 'path=FILE');
  refused(t, 'name,path=b', 'name=…');
  refused(t, 'name=a,path=b,direct', 'direct=…');
  refused(t, '', 'nothing between');
  refused(t, 'name=a,path=b,', 'written twice');
  refused(t, 'name=a,path=b,name=c', 'name is given twice');
  refused(t, 'name=a,path=b,direct=maybe', '"maybe"', 'direct=auto');
  refused(t, `name=a,path=b,description=${'x'.repeat(4097)}`, '4096');
});

t.test('a name that clients cannot ask for is refused', async (t) => {
  fails(t, () => parseExportSpec('name=,path=b'), 'AIONBD_E_EXPORT_NAME', 'empty');
  fails(t, () => parseExportSpec('name=a\nb,path=b'), 'AIONBD_E_EXPORT_NAME', '"a\\nb"');
  fails(t, () => parseExportSpec(`name=${'é'.repeat(2049)},path=b`), 'AIONBD_E_EXPORT_NAME', '4096');
  t.equal(parseExportSpec(`name=${'é'.repeat(2048)},path=b`).name.length, 2048);
});

t.test('any name, path and description reads back after its commas are doubled, in any order', async () => {
  const printable = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
  const record = fc.record(
    {
      name: printable,
      path: printable,
      direct: fc.constantFrom('auto', 'on', 'off'),
      description: fc.string({ unit: 'grapheme', maxLength: 40 }),
    },
    { requiredKeys: ['name', 'path'] },
  );
  fc.assert(
    fc.property(record, fc.infiniteStream(fc.nat()), (wanted, order) => {
      const items = Object.entries(wanted)
        .map(([key, value]) => ({
          item: `${key}=${value.replaceAll(',', ',,')}`,
          rank: order.next().value ?? 0,
        }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ item }) => item);
      const got = parseExportSpec(items.join(','));
      return (Object.keys({ ...wanted, ...got }) as (keyof typeof wanted)[]).every(
        (key) => got[key] === wanted[key],
      );
    }),
  );
});

t.test('any text gives an export or an error on one line', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(fc.constantFrom('name', 'path', 'readonly', 'direct', '=', ',', 'a', 'on', '\n', '\0'))
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (text) => {
      try {
        const { name, path } = parseExportSpec(text);
        return name !== '' && path !== '';
      } catch (error) {
        return error instanceof AionbdError && !/[\r\n]/.test(error.message);
      }
    }),
    { numRuns: 2000 },
  );
});
