import t from 'tap';
import { EXPORT_NAME, join, option, text, u16, u32, u64 } from './bytes.js';
import { agreed, closeReason, DISK, directoryOf, playBytes, SECOND, SHUTTING_DOWN } from './session.js';

function exportName(name: Uint8Array, flags = 3) {
  return join(u32(flags), option(EXPORT_NAME, name));
}

t.test('H3: with NO_ZEROES the answer to EXPORT_NAME is size and flags, ten bytes', async (t) => {
  const { output, next } = playBytes(exportName(text('disk')));
  t.strictSame(output, join(u64(1_000_003), u16(0x016d)));
  t.strictSame(next, {
    kind: 'transmission',
    offer: DISK,
    negotiated: agreed(),
  });
});

t.test('H3: without NO_ZEROES 124 zeroes follow', async (t) => {
  for (const flags of [0, 1]) {
    const { output, next } = playBytes(exportName(text('zwei'), flags));
    t.strictSame(output, join(u64(2 ** 52 + 4096), u16(0x0003), Buffer.alloc(124)));
    t.match(next, { kind: 'transmission', offer: SECOND, negotiated: { noZeroes: false } });
  }
});

t.test('EXPORT_NAME with the empty name gets the default export under its real name', async (t) => {
  t.match(playBytes(exportName(text(''))).next, { kind: 'transmission', offer: { name: 'disk' } });
});

t.test('the bytes after EXPORT_NAME are left for the transmission phase', async (t) => {
  const input = exportName(text('disk'));
  t.equal(playBytes(join(input, text('a request'))).consumed, input.length);
});

t.test('H5: EXPORT_NAME that cannot be granted closes the connection without a byte of answer', async (t) => {
  const cases: [Uint8Array, string][] = [
    [text('nowhere'), 'there is no export "nowhere"'],
    [Buffer.from([0xc3, 0x28]), 'not valid UTF-8'],
    [Buffer.from([0x61, 0x00]), 'NUL'],
    [Buffer.alloc(4097, 'n'), '4097 bytes is longer than 4096'],
    [Buffer.alloc(100_000, 'n'), '100000 bytes of data'],
  ];
  for (const [name, reason] of cases) {
    const played = playBytes(exportName(name));
    t.match(closeReason(played), reason);
    t.equal(played.output.length, 0);
    t.match(played.next, { orderly: false });
  }
});

t.test('H5: the default export may be missing', async (t) => {
  const directory = { ...directoryOf([DISK]), find: () => undefined };
  t.match(closeReason(playBytes(exportName(text('')), { directory })), 'no default export');
});

t.test('H5, H17: EXPORT_NAME during shutdown closes the connection', async (t) => {
  const played = playBytes(exportName(text('disk')), { directory: SHUTTING_DOWN });
  t.match(closeReason(played), 'shutting down');
  t.equal(played.output.length, 0);
});

t.test('a size of several TiB and one of nothing are told exactly', async (t) => {
  for (const sizeBytes of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1]) {
    const directory = directoryOf([{ ...DISK, sizeBytes }]);
    const { output } = playBytes(exportName(text('disk')), { directory });
    t.strictSame(output.subarray(0, 8), u64(sizeBytes));
  }
});
