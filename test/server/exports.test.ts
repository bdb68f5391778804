import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createServer } from '../../src/index.js';
import { MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { must } from '../support/programs.js';
import { memoryLog, start } from '../transmission/in-process.js';
import { EINVAL, EPERM, FLUSH, READ, WRITE } from '../transmission/wire.js';

const descriptors = () => readdirSync('/proc/self/fd').length;

t.test('several exports are served by name, and the first by the empty name', async (t) => {
  const folder = scratch(t);
  const one = patternFile(join(folder, 'one'), MiB, 1);
  const two = patternFile(join(folder, 'two'), 2 * MiB, 2);
  const started = await start(t, {
    exports: [
      { name: 'one', path: one },
      { name: 'two', path: two },
    ],
  });
  for (const [name, seed, size] of [
    ['', 1, MiB],
    ['one', 1, MiB],
    ['two', 2, 2 * MiB],
  ] as const) {
    const client = await started.client(name);
    t.equal(client.sizeBytes, size);
    const reply = await client.call({ type: READ, offset: 4096, length: 4096 });
    t.ok(reply?.data.equals(pattern(size, seed).subarray(4096, 8192)), `the bytes of "${name}"`);
  }
});

t.test(
  'one file under two names, writable and read-only, is opened once and shares its writes',
  async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    symlinkSync(path, `${path}-link`);
    const started = await start(t, {
      exports: [
        { name: 'ro', path: `${path}-link`, readOnly: true },
        { name: 'rw', path },
      ],
    });
    const writer = await started.client('rw');
    const reader = await started.client('ro');
    t.equal(await writer.errorOf({ type: WRITE, offset: 511, payload: Buffer.from('shared') }), 0);
    t.equal((await reader.call({ type: READ, offset: 511, length: 6 }))?.data.toString(), 'shared');
    t.equal(await reader.errorOf({ type: WRITE, offset: 0, payload: Buffer.from('x') }), EPERM);
  },
);

t.test('direct=on and direct=off for one file contradict each other', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const exports = [
    { name: 'a', path, direct: 'on' as const },
    { name: 'b', path, direct: 'off' as const },
  ];
  await t.rejects(createServer({ exports }), { code: 'AIONBD_E_DIRECT', message: /"a" and "b"/ });
});

t.test('an empty file is an export of size 0', async (t) => {
  const path = join(scratch(t), 'empty');
  writeFileSync(path, '');
  const started = await start(t, { exports: [{ name: 'empty', path }] });
  const client = await started.client();
  t.equal(client.sizeBytes, 0);
  t.equal(await client.errorOf({ type: READ, offset: 0, length: 1 }), EINVAL);
  t.equal(await client.errorOf({ type: READ, offset: 0, length: 0 }), 0);
  t.equal(await client.errorOf({ type: FLUSH }), 0);
});

t.test('a file that cannot be exported is refused by name, and nothing stays open', async (t) => {
  const folder = scratch(t);
  const fine = sparseFile(join(folder, 'fine'), MiB);
  mkdirSync(join(folder, 'folder'));
  await must('mkfifo', [join(folder, 'fifo')]);
  const before = descriptors();
  const cases: [string, RegExp][] = [
    [join(folder, 'missing'), /missing: no such file; create one with "aionbd create/],
    [join(folder, 'folder'), /folder is a directory; name a regular file/],
    [join(folder, 'fifo'), /fifo is a FIFO/],
    ['/dev/null', /\/dev\/null is a character device/],
  ];
  for (const [path, message] of cases) {
    const exports = [
      { name: 'fine', path: fine },
      { name: 'bad', path },
    ];
    await t.rejects(createServer({ exports }), { code: 'AIONBD_E_FILE', message });
  }
  t.equal(descriptors(), before, 'all descriptors are closed again');
});

t.test('names are checked: used twice, too long, or a default that is not there', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const before = descriptors();
  const reject = (options: Parameters<typeof createServer>[0], message: RegExp) =>
    t.rejects(createServer(options), { code: 'AIONBD_E_EXPORT_NAME', message });
  const twice = [
    { name: 'a', path },
    { name: 'a', path },
  ];
  await reject({ exports: twice }, /two exports are named "a"/);
  await reject({ exports: [{ name: 'ä'.repeat(2049), path }] }, /4098 bytes; the protocol allows 4096/);
  await reject(
    { exports: [{ name: 'a', path }], defaultExport: 'b' },
    /"b" is not among the exports \("a"\)/,
  );
  await t.rejects(createServer({ exports: [] }), { code: 'AIONBD_E_USAGE' });
  await t.rejects(createServer({ exports: [{ name: 'a', path }], queueDepth: 3 }), {
    code: 'AIONBD_E_USAGE',
    message: /queueDepth is 3; it must be a whole number from 16 to 32768/,
  });
  await t.rejects(createServer({ exports: [{ name: 'a', path }], bufferMemoryBytes: 4096 * MiB }), {
    code: 'AIONBD_E_USAGE',
    message: /bufferMemoryBytes is 4294967296; it must be a whole number from 8388608 to 2147483648/,
  });
  t.equal(descriptors(), before);
});

t.test('a writable image is locked: a second server is refused and told who has it', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  await start(t, { exports: [{ name: 'disk', path }] });
  const message = new RegExp(`disk is locked by process ${process.pid}; stop that one first`);
  await t.rejects(createServer({ exports: [{ name: 'disk', path }] }), { code: 'AIONBD_E_LOCKED', message });
  await t.rejects(createServer({ exports: [{ name: 'disk', path, readOnly: true }] }), {
    code: 'AIONBD_E_LOCKED',
  });
  const second = await createServer({ exports: [{ name: 'disk', path }], lock: false });
  await second.close();
});

t.test('read-only servers share an image, and the lock ends with its server', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const exports = [{ name: 'disk', path, readOnly: true }];
  const first = await createServer({ exports });
  const second = await createServer({ exports });
  await t.rejects(createServer({ exports: [{ name: 'disk', path }] }), { code: 'AIONBD_E_LOCKED' });
  await first.close();
  await second.close();
  const writable = await createServer({ exports: [{ name: 'disk', path }] });
  await writable.close();
});

t.test(
  'where a filesystem refuses direct I/O, auto serves buffered and says so once, and on is refused',
  async (t) => {
    // ramfs is nothing but page cache.
    const folder = scratch(t);
    patternFile(join(folder, 'disk'), MiB, 3);
    const mounted = join(folder, 'mnt');
    mkdirSync(mounted);
    const ramfs = await must('mount', ['-t', 'ramfs', 'ramfs', mounted]).catch(() => undefined);
    t.not(ramfs, undefined, 'ramfs can be mounted');
    t.teardown(() => must('umount', [mounted]));
    writeFileSync(join(mounted, 'disk'), readFileSync(join(folder, 'disk')));
    const { logger, lines } = memoryLog();
    const exports = [{ name: 'disk', path: join(mounted, 'disk') }];
    const started = await start(t, { exports, logger });
    t.equal(started.server.exports[0]!.direct, false);
    const said = lines.filter((line) => line.includes('page cache'));
    t.equal(said.length, 1);
    t.match(said[0], /^warn .*direct I\/O/);
    const client = await started.client();
    t.ok(
      (await client.call({ type: READ, offset: 77, length: 1000 }))?.data.equals(
        pattern(MiB, 3).subarray(77, 1077),
      ),
    );
    await t.rejects(createServer({ exports: [{ ...exports[0]!, direct: 'on' }], lock: false }), {
      code: 'AIONBD_E_DIRECT',
      message: /cannot be served with direct=on/,
    });
  },
);
