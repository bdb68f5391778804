// What the benchmark reads from running processes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { accountFor, statusField } from '../../bench/accounting.js';
import { CollectionCounter } from '../../bench/collections.js';
import { requirePrograms } from '../../bench/command.js';
import { IdleClient } from '../../bench/idle-client.js';

t.test('the CPU time of children counts, those that have ended included', async (t) => {
  // A shell whose only work is done by a child, which is gone when we look.
  const shell = spawn(
    'sh',
    ['-c', 'read go; sh -c "i=0; while [ \\$i -lt 500000 ]; do i=\\$((i+1)); done"; echo done; read end'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  t.teardown(() => shell.kill('SIGKILL'));
  const { usage } = await accountFor(shell.pid!, async () => {
    const done = once(shell.stdout, 'data');
    shell.stdin.write('go\n');
    await done;
  });
  t.ok(usage.cpuMicroseconds >= 20_000, `${usage.cpuMicroseconds} µs`);
  t.ok(usage.peakRssKib > 100, `${usage.peakRssKib} KiB`);
  shell.stdin.end('end\n');
});

t.test('a process that ended has no field in its status', async (t) => {
  t.equal(statusField('Name:\tx\nVmHWM:\t  12 kB\n', 'VmHWM'), 12);
  t.equal(statusField('Name:\tx\n', 'VmHWM'), undefined);
});

t.test('garbage collections are counted from what Node.js traces', async (t) => {
  const node = spawn(process.execPath, [
    '--trace-gc',
    '--expose-gc',
    '-e',
    'gc(); gc(); console.log("ms: no")',
  ]);
  const counter = new CollectionCounter();
  let text = '';
  node.stdout.setEncoding('utf8').on('data', (data: string) => {
    text += data;
  });
  await once(node, 'close');
  for (const line of text.split('\n')) counter.line(line);
  t.ok(counter.count >= 2, text);
  t.notOk(counter.count >= text.trim().split('\n').length, 'a line of the program is none');
  counter.reset();
  t.equal(counter.count, 0);
});

t.test('all programs that are missing are named at once, with the command that brings them', async (t) => {
  await t.rejects(
    requirePrograms(['sh', 'no-such-program', 'neither-this'], false, new AbortController().signal),
    {
      message:
        'not installed: no-such-program, neither-this; on Debian: apt-get install no-such-program neither-this, or add --install',
    },
  );
  await requirePrograms(['sh'], false, new AbortController().signal);
});

t.test('the client of idle connections ends with an error where there is no NBD server', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aionbd-bench-test-'));
  const path = join(folder, 's');
  const server = createServer((socket) => socket.end('hello'));
  t.teardown(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await t.rejects(IdleClient.open({ kind: 'unix', path }), { message: /closed the connection/ });
});
