// libnbd's tools: what nbdinfo is told, what nbdcopy carries in and out, and sizes that are no multiple of anything.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { BACKING_CASES, makeBacking } from '../support/backing.js';
import { MiB, pattern, patternFile, scratch, sha256, sparseFile } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { assertVerdicts } from '../support/python.js';
import { serve } from '../support/server.js';
import { carryImage, IMAGE_BYTES } from './carry-image.js';

interface NbdInfo {
  readonly protocol: string;
  readonly TLS: boolean;
  readonly exports: readonly Record<string, unknown>[];
}

t.test('nbdinfo is told what an export is and can', async (t) => {
  const directory = scratch(t);
  const server = await serve(t, {
    tcp: true,
    exports: [
      {
        name: 'disk',
        path: sparseFile(join(directory, 'disk'), 7 * MiB),
        description: 'seven, and "quoted"',
      },
      { name: 'locked & öpen', path: sparseFile(join(directory, 'locked'), 1_000_003), readOnly: true },
    ],
  });
  const info = async (...args: string[]): Promise<NbdInfo> => {
    const result = await run('nbdinfo', ['--json', ...args]);
    t.equal(result.code, 0, `nbdinfo ${args.join(' ').replace(server.socketPath, 'SOCKET')} succeeds`, {
      output: describe(result),
    });
    return JSON.parse(result.stdout) as NbdInfo;
  };
  const can = {
    is_rotational: false,
    can_cache: true,
    can_flush: true,
    can_fua: true,
    can_multi_conn: true,
    block_size_minimum: 1,
    block_size_maximum: 32 * MiB,
  };

  const disk = await info(server.uri('disk'));
  t.equal(disk.protocol, 'newstyle-fixed', 'the protocol is fixed newstyle');
  t.equal(disk.TLS, false, 'without TLS');
  t.match(
    disk.exports[0],
    {
      ...can,
      'export-name': 'disk',
      description: 'seven, and "quoted"',
      'export-size': 7 * MiB,
      is_read_only: false,
      can_trim: true,
      can_zero: true,
      can_fast_zero: true,
    },
    'a writable export: its name, description, size, flags and block sizes',
  );
  const preferred = Number(disk.exports[0]?.block_size_preferred);
  t.ok(
    preferred >= 512 && Number.isInteger(Math.log2(preferred)),
    'the preferred block size is a power of two',
  );

  const locked = await info(server.uri('locked & öpen'));
  t.match(
    locked.exports[0],
    { 'export-name': 'locked & öpen', 'export-size': 1_000_003, is_read_only: true, can_fast_zero: false },
    'a read-only export whose name needs escapes and whose size is odd',
  );

  for (const uri of server.announced) {
    const byDefault = await info(uri);
    t.equal(
      byDefault.exports[0]?.['export-size'],
      7 * MiB,
      `the URI as printed shows the first export: ${uri.split(':')[0]}`,
    );
  }

  const list = await info('--list', server.uri(''));
  t.same(
    list.exports.map((e) => [e['export-name'], e['export-size'], e.is_read_only]),
    [
      ['disk', 7 * MiB, false],
      ['locked & öpen', 1_000_003, true],
    ],
    'nbdinfo --list shows both, in order',
  );
  await server.stop(t);
});

for (const { title, kind, direct } of BACKING_CASES) {
  t.test(`nbdcopy carries an image into and out of an export of ${title}`, async (t) => {
    const backing = await makeBacking(t, kind, IMAGE_BYTES);
    const server = await serve(t, { exports: [{ name: 'disk', path: backing.path, direct }] });
    const sum = await carryImage(t, server.uri('disk'));
    await server.stop(t);
    t.equal(await sha256(backing.path), sum, 'the backing has that checksum too');
  });
}

t.test('nbdcopy carries an image into and out of an export over TCP', async (t) => {
  const directory = scratch(t);
  const size = 40 * MiB + 12_345;
  const path = sparseFile(join(directory, 'disk'), size);
  const source = patternFile(join(directory, 'source'), size, 8);
  const back = join(directory, 'back');
  const server = await serve(t, { tcp: true, exports: [{ name: 'disk', path }] });
  const uri = `nbd://127.0.0.1:${server.port}/disk`;
  const into = await run('nbdcopy', ['--flush', source, uri]);
  t.equal(into.code, 0, 'it goes in', { output: describe(into) });
  const out = await run('nbdcopy', [uri, back]);
  t.equal(out.code, 0, 'it comes out', { output: describe(out) });
  t.equal(await sha256(back), await sha256(source), 'with the same checksum');
  await server.stop(t);
  t.equal(await sha256(path), await sha256(source), 'the file has that checksum too');
});

for (const direct of ['on', 'off'] as const) {
  for (const kind of ['file', 'file4k', 'tmpfs'] as const) {
    if (kind === 'tmpfs' && direct === 'on') continue; // kernels before 6.6 have no direct I/O there
    t.test(
      `a file of 1,000,003 bytes is served to its last byte: ${kind}, direct=${direct} (X17)`,
      async (t) => {
        const size = 1_000_003;
        const backing = await makeBacking(t, kind, size);
        writeFileSync(backing.path, pattern(size, 11));
        const model = patternFile(join(scratch(t), 'model'), size, 11);
        const server = await serve(t, { exports: [{ name: 'disk', path: backing.path, direct }] });
        await assertVerdicts(t, 'odd_size.py', [server.uri('disk'), String(size), model]);
        await server.stop(t);
        t.equal(
          await sha256(backing.path),
          await sha256(model),
          'the file has its old length and the right contents',
        );
      },
    );
  }
}
