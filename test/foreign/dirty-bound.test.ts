// A client that writes faster than the disk: what the server takes from it is bounded, and nobody else waits.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { DIRTY_LIMIT_BYTES } from '../../src/engine/dirty-bytes.js';
import { makeBacking } from '../support/backing.js';
import { MiB, patternFile, scratch } from '../support/files.js';
import { must, run } from '../support/programs.js';
import { serve } from '../support/server.js';

const SIZE = 2 * DIRTY_LIMIT_BYTES;
/** Longer than a server without a bound needs for all of it. */
const QUIET_SECONDS = 2;
const WRITER = fileURLToPath(new URL('./dirty_bound.py', import.meta.url));

t.test(
  'of writes to a disk that stands still, no more than the bound is answered; others go on',
  async (t) => {
    // A loop device over a file of a frozen file system: its page cache takes writes, the device does not.
    const inner = await makeBacking(t, 'file4k', SIZE);
    execFileSync('fallocate', ['--length', String(SIZE), inner.path]);
    const device = (await must('losetup', ['--find', '--show', '--direct-io=on', inner.path])).trim();
    t.teardown(() => run('losetup', ['--detach', device]));
    const other = patternFile(join(scratch(t), 'other'), MiB, 1);
    const server = await serve(t, {
      exports: [
        { name: 'slow', path: device, direct: 'off' },
        { name: 'other', path: other, direct: 'off' },
      ],
    });
    const mountPoint = join(inner.path, '..');
    let isFrozen = true;
    const thaw = () => {
      if (isFrozen) execFileSync('fsfreeze', ['--unfreeze', mountPoint]);
      isFrozen = false;
    };
    execFileSync('fsfreeze', ['--freeze', mountPoint]);
    t.teardown(thaw);

    const args = ['-B', WRITER, server.uri('slow'), String(SIZE), String(QUIET_SECONDS)];
    const writer = spawn('/usr/bin/python3', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    t.teardown(() => writer.kill('SIGKILL'));
    const lines = createInterface({ input: writer.stdout });
    const [first] = await once(lines, 'line');
    const answered = Number(first);
    t.ok(answered <= DIRTY_LIMIT_BYTES, `${answered / MiB} MiB were answered`);
    t.ok(answered >= DIRTY_LIMIT_BYTES / 2, 'the page cache took what it may');

    const copy = join(scratch(t), 'copy');
    await must('nbdcopy', [server.uri('other'), copy]);
    t.equal((await run('cmp', [other, copy])).code, 0, 'another export is read meanwhile');
    // Read-only: it would flush at its end otherwise, and wait for the disk.
    const piece = ['-r', '-f', 'raw', '-c', `read -P ${'x'.charCodeAt(0)} 0 ${MiB}`, server.uri('slow')];
    t.equal((await run('qemu-io', piece)).code, 0, 'and what is cached of this one, by another connection');

    thaw();
    const finished = once(lines, 'line');
    writer.stdin.write('\n');
    t.same(await finished, ['done'], 'all is written, and flushed, when the disk goes on');
    await server.stop(t);
  },
);
