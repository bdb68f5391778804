// qemu counts in sectors of 512 bytes. An export that ends inside one it reads to its last byte all the same.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { makeBacking } from '../support/backing.js';
import { MiB, patternFile, scratch } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { serve } from '../support/server.js';

const SECTOR = 512;

for (const { kind, direct } of [
  { kind: 'file', direct: 'on' },
  { kind: 'file', direct: 'off' },
  { kind: 'file4k', direct: 'on' },
  { kind: 'tmpfs', direct: 'auto' },
] as const) {
  t.test(`qemu reads exports of odd sizes to their end: ${kind}, direct=${direct}`, async (t) => {
    const sizes = [1, 511, 513, 4097, 65_537, 1_000_003];
    const directory = scratch(t);
    const beside = dirname((await makeBacking(t, kind, 4 * MiB)).path);
    const files = sizes.map((size) => ({
      name: String(size),
      path: patternFile(join(beside, String(size)), size, size),
      size,
    }));
    const server = await serve(t, { exports: files.map(({ name, path }) => ({ name, path, direct })) });
    for (const { name, path, size } of files) {
      const uri = server.uri(name);
      const back = join(directory, name);
      const quick = { timeoutMs: 10_000 };
      const out = await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', uri, back], quick);
      t.equal(out.code, 0, `qemu-img convert copies ${size} bytes out`, { output: describe(out) });
      const [got, want] = [readFileSync(back), readFileSync(path)];
      t.ok(got.subarray(0, size).equals(want), `all ${size} bytes`);
      const rest = got.subarray(size);
      const whole = (SECTOR - (size % SECTOR)) % SECTOR;
      t.ok(rest.equals(Buffer.alloc(whole)), `and ${whole} zeroes behind them, to the end of a sector`);
      const same = await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', uri, path], quick);
      t.equal(same.code, 0, `qemu-img compare finds ${size} bytes equal`, { output: describe(same) });
      const last = [`write -P 77 ${size - 1} 1`, 'flush', `read -P 77 ${size - 1} 1`];
      const io = await run('qemu-io', ['-f', 'raw', ...last.flatMap((c) => ['-c', c]), uri], quick);
      t.equal(io.code, 0, `qemu-io writes byte ${size - 1} and reads it back`, { output: describe(io) });
    }
    await server.stop(t);
    for (const { path, size } of files) {
      const bytes = readFileSync(path);
      t.same([bytes.length, bytes[size - 1]], [size, 77], `${size} bytes keep their number, the last is new`);
    }
  });
}
