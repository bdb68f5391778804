// qemu's tools write patterns, zeroes and whole images through an export; what they read back, and what lies in the
// backing afterwards, equals a model.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { BACKING_CASES, type BackingCase, makeBacking } from '../support/backing.js';
import { KiB, MiB, pattern, patternFile, scratch, sha256, sparseFile } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { serve } from '../support/server.js';

const SIZE = 48 * MiB;

for (const backingCase of BACKING_CASES) {
  t.test(`qemu on an export of ${backingCase.title}`, (t) => qemuOn(t, backingCase));
}

async function qemuOn(t: Test, { kind, direct }: BackingCase): Promise<void> {
  const backing = await makeBacking(t, kind, SIZE);
  const directory = scratch(t);
  const image = join(directory, 'image');
  const back = join(directory, 'back');
  const model = pattern(SIZE, 7);
  const save = () => writeFileSync(image, model);
  const server = await serve(t, { exports: [{ name: 'disk', path: backing.path, direct }] });
  const uri = server.uri('disk');

  const img = async (sentence: string, ...args: string[]) => {
    const result = await run('qemu-img', args);
    t.equal(result.code, 0, sentence, { output: describe(result) });
    return result.stdout;
  };
  const io = async (sentence: string, commands: readonly string[]) => {
    const result = await run('qemu-io', ['-f', 'raw', ...commands.flatMap((c) => ['-c', c]), uri]);
    t.equal(result.code, 0, sentence, { output: describe(result) });
  };
  const raw = ['-f', 'raw'];
  const rawOut = ['-O', 'raw'];

  const info = JSON.parse(
    await img('qemu-img info reads the export', 'info', '--output=json', ...raw, uri),
  ) as {
    'virtual-size': number;
  };
  t.equal(info['virtual-size'], SIZE, 'qemu-img info shows the size of the file');

  save();
  await img('qemu-img convert copies an image in', 'convert', '-n', ...raw, ...rawOut, image, uri);
  await img('qemu-img compare finds the export equal to it', 'compare', ...raw, '-F', 'raw', image, uri);

  // Ends and beginnings of blocks, sectors and pages; first byte, last byte; more than one maximum request of qemu's.
  const writes = [
    [511, 1025],
    [0, 1],
    [SIZE - 1, 1],
    [SIZE - 4097, 4097],
    [4095, 2],
    [4 * KiB, 4 * KiB],
    [8 * KiB + 512, 512],
    [1 * MiB + 1, 64 * KiB],
    [2 * MiB - 100, 200],
    [3 * MiB + 12345, 2 * MiB + 54321],
    [8 * MiB, 32 * MiB],
  ] as const;
  const commands = writes.map(([offset, length], n) => {
    model.fill(n + 1, offset, offset + length);
    return `write ${n % 3 === 0 ? '-f ' : ''}-P ${n + 1} ${offset} ${length}`;
  });
  commands.push('flush');
  for (const [offset, length] of writes.slice(0, 9)) {
    commands.push(`read -P ${model[offset]} ${offset} ${Math.min(length, 1)}`);
  }
  commands.push(`read -P 1 511 1025`, `read -P 11 8M 32M`);
  await io('qemu-io reads back the patterns it wrote, aligned or not, with FUA or without', commands);

  // Many writes at once, side by side within the same blocks.
  const atOnce: string[] = [];
  for (let n = 0; n < 60; n++) {
    const [offset, length] = [5 * MiB + n * 333, 333];
    model.fill(n + 100, offset, offset + length);
    atOnce.push(`aio_write -q -P ${n + 100} ${offset} ${length}`);
  }
  await io('qemu-io writes neighbours within one block at the same time', [...atOnce, 'aio_flush', 'flush']);

  await io('qemu-io writes zeroes, aligned or not, with the permission to free blocks and without', [
    'write -z 9M 1M',
    'write -z -u 11M 1M',
    `write -z ${13 * MiB + 77} 300000`,
    `write -z -u ${14 * MiB + 77} 300000`,
    `write -z ${15 * MiB + 10} 20`,
    `read -P 0 ${13 * MiB + 77} 300000`,
    `read -P 11 ${13 * MiB} 77`,
    'read -P 0 9M 1M',
    'read -P 0 11M 1M',
  ]);
  model.fill(0, 9 * MiB, 10 * MiB);
  model.fill(0, 11 * MiB, 12 * MiB);
  model.fill(0, 13 * MiB + 77, 13 * MiB + 77 + 300_000);
  model.fill(0, 14 * MiB + 77, 14 * MiB + 77 + 300_000);
  model.fill(0, 15 * MiB + 10, 15 * MiB + 30);

  save();
  await img('the export equals the model', 'compare', ...raw, '-F', 'raw', image, uri);

  const full = backing.allocatedBytes();
  await io('qemu-io writes zeroes without the permission to free blocks', ['write -z 24M 8M', 'flush']);
  model.fill(0, 24 * MiB, 32 * MiB);
  t.ok(backing.allocatedBytes() >= full, 'zeroes without that permission keep their blocks (X13)', {
    before: full,
    after: backing.allocatedBytes(),
  });
  await io('qemu-io discards 8 MiB', [
    'discard 16M 8M',
    'flush',
    `read -P 11 ${15 * MiB + 4096} 1044480`,
    'read -P 0 24M 8M',
  ]);
  // The file below may need a block or two more to note where its data lies now.
  t.ok(backing.allocatedBytes() <= full - 8 * MiB + 64 * KiB, 'a discard of 8 MiB frees 8 MiB below', {
    before: full,
    after: backing.allocatedBytes(),
  });
  await io('qemu-io discards what begins and ends inside blocks', [
    `discard ${32 * MiB + 100} 50000`,
    'flush',
    'read -P 0 24M 8M',
    `read -P 11 32M 100`,
    `read -P 11 ${32 * MiB + 50_100} 10000`,
    `write -P 12 16M ${16 * MiB + 50_100}`,
  ]);
  model.fill(12, 16 * MiB, 32 * MiB + 50_100);

  save();
  await img('qemu-img convert copies an image out', 'convert', ...raw, ...rawOut, uri, back);
  t.equal(await sha256(back), await sha256(image), 'the copy equals the model');
  await img('an image in qcow2 is copied in', 'convert', ...raw, '-O', 'qcow2', image, `${image}.qcow2`);
  await img('over what was there', 'convert', '-n', '-f', 'qcow2', ...rawOut, `${image}.qcow2`, uri);
  await img('and equals it', 'compare', '-f', 'qcow2', '-F', 'raw', `${image}.qcow2`, uri);

  await server.stop(t);
  t.equal(await sha256(backing.path), await sha256(image), 'the backing itself holds the model');
}

// qemu writes images in sectors: so a whole number of those, but not of pages. odd-sizes.test.ts goes to the last byte.
t.test('qemu-img copies into and out of an export that ends inside a 4 KiB block', async (t) => {
  const directory = scratch(t);
  const size = 3_000_320;
  const path = sparseFile(join(directory, 'disk'), size);
  const source = patternFile(join(directory, 'source'), size, 3);
  const back = join(directory, 'back');
  const server = await serve(t, { exports: [{ name: 'disk', path }] });
  const into = await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', source, server.uri('disk')]);
  t.equal(into.code, 0, 'qemu-img convert copies it in', { output: describe(into) });
  const out = await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', server.uri('disk'), back]);
  t.equal(out.code, 0, 'qemu-img convert copies it out', { output: describe(out) });
  t.equal(await sha256(back), await sha256(source), 'to its last byte');
  await server.stop(t);
});
