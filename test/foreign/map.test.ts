// What BLOCK_STATUS tells of a file's holes, as nbdinfo and qemu-img understand it, is what the file itself tells.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { BACKING_CASES, makeBacking } from '../support/backing.js';
import { MiB } from '../support/files.js';
import { serve } from '../support/server.js';
import {
  difference,
  LAYOUTS,
  type Layout,
  makeSparse,
  mapByNbdinfo,
  mapByQemu,
  mapOfFile,
  mapOfLayout,
} from '../support/sparse.js';

const GiB = 1024 * MiB;
/** What the files of all layouts take together, with room for the filesystem. */
const SPACE = 64 * MiB;

for (const { title, kind, direct } of BACKING_CASES) {
  if (kind === 'device' || kind === 'device4k') {
    t.test(`an export of ${title} is one extent of data`, async (t) => {
      const backing = await makeBacking(t, kind, 8 * MiB);
      const server = await serve(t, { exports: [{ name: 'disk', path: backing.path, direct }] });
      const want = [{ offset: 0, length: 8 * MiB, kind: 'data' }];
      t.same(await mapByNbdinfo(server.uri('disk')), want, 'says nbdinfo');
      t.same(await mapByQemu(server.uri('disk'), 8 * MiB), want, 'says qemu-img');
      await server.stop(t);
    });
    continue;
  }
  t.test(`the map of an export of ${title}`, async (t) => {
    const backing = await makeBacking(t, kind, SPACE);
    const files: { layout: Layout; name: string; path: string }[] = [];
    // Where a filesystem discards what it frees, it takes seconds to delete thousands of extents.
    const many = kind === 'tmpfs' || (kind === 'file4k' && direct === 'on');
    const layouts = LAYOUTS.filter(({ data }) => many || data.length < 1000);
    for (const [n, layout] of layouts.entries()) {
      const path = await makeSparse(join(dirname(backing.path), `layout${n}`), layout);
      files.push({ layout, name: `layout${n}`, path });
    }
    const server = await serve(t, { exports: files.map(({ name, path }) => ({ name, path, direct })) });
    for (const { layout, name, path } of files) {
      const ofFile = await mapOfFile(path);
      const uri = server.uri(name);
      t.equal(difference(ofFile, mapOfLayout(layout)), undefined, `the file is as planned: ${layout.title}`);
      t.equal(difference(await mapByNbdinfo(uri), ofFile), undefined, `nbdinfo maps ${layout.title}`);
      const byQemu = await mapByQemu(uri, layout.sizeBytes);
      t.equal(difference(byQemu, ofFile), undefined, `qemu-img maps ${layout.title}`);
    }
    await server.stop(t);
  });
}

t.test('a sparse file of 1 TiB with 40,000 extents is mapped to its end', async (t) => {
  const pieces = 20_000;
  const step = Math.floor((1024 * GiB) / pieces / MiB) * MiB;
  const layout: Layout = {
    title: '',
    sizeBytes: 1024 * GiB,
    data: Array.from({ length: pieces }, (_, n) => [(n + 1) * step - MiB + n, 1] as const),
  };
  const backing = await makeBacking(t, 'tmpfs', 0); // half a minute to delete it, elsewhere
  const path = await makeSparse(join(dirname(backing.path), 'large'), layout);
  const want = mapOfLayout(layout);
  t.equal(want.length, 2 * pieces + 1, 'it has that many extents');
  t.equal(difference(await mapOfFile(path), want), undefined, 'and the file tells the same');

  const server = await serve(t, { exports: [{ name: 'disk', path }] });
  const pid = server.child.pid!;
  const before = memory(pid, 'VmRSS');
  const began = Date.now();
  const got = await mapByNbdinfo(server.uri('disk'));
  const took = Date.now() - began;
  t.equal(difference(got, want), undefined, 'nbdinfo maps all of it');
  // It takes half a second; a search that began at the front for every request would take minutes.
  t.ok(took < 30_000, 'soon enough', { took });
  // Two maps of half a megabyte, and what JavaScript likes to leave lying about: 16 MiB of young objects.
  t.ok(memory(pid, 'VmHWM') < before + 32 * MiB, 'and the server keeps no list of them in its memory', {
    before,
    after: memory(pid, 'VmHWM'),
  });
  await server.stop(t);
});

/** A line of /proc/PID/status, in bytes. */
function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm'));
  if (!line) throw new Error(`no ${field} of process ${pid}`);
  return Number(line[1]) * 1024;
}
