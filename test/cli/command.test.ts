// The command as a program of its own: what it prints where, and how it ends. What needs no server.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { scratch } from '../support/files.js';
import { describe, type RunResult, run } from '../support/programs.js';
import { MAIN } from '../support/server.js';

const aionbd = (...args: string[]): Promise<RunResult> => run(process.execPath, [MAIN, ...args]);

/** One line on stderr, nothing on stdout, this exit code. */
function failed(t: Test, result: RunResult, code: number, ...parts: string[]): void {
  t.equal(result.code, code, describe(result));
  t.equal(result.stdout, '');
  t.match(result.stderr, /^aionbd: [^\n]+\n$/);
  for (const part of parts) {
    t.ok(result.stderr.includes(part), `${result.stderr.trim()} says ${part}`);
  }
}

t.test('--help and --version print to stdout and end with 0', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  t.match(await aionbd('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
  t.match(await aionbd('--help'), {
    code: 0,
    stdout: /aionbd serve.*aionbd create.*aionbd completion/s,
    stderr: '',
  });
  t.match(await aionbd('serve', '--help'), { code: 0, stdout: '--buffer-memory', stderr: '' });
  t.match(await aionbd('create', '-h'), { code: 0, stdout: '--preallocate', stderr: '' });
});

t.test('completion prints a script, and completes commands and values', async (t) => {
  t.match(await aionbd('completion'), { code: 0, stdout: 'complete -o bashdefault', stderr: '' });
  t.match(await aionbd('--get-yargs-completions', 'aionbd', ''), { code: 0, stdout: /^serve$/m });
  t.match(await aionbd('--get-yargs-completions', 'aionbd', 'serve', '--direct', ''), {
    code: 0,
    stdout: /^auto$/m,
  });
});

t.test('bad usage is one line on stderr and exit code 2', async (t) => {
  failed(t, await aionbd(), 2, 'no command given');
  failed(t, await aionbd('disk.img'), 2, '"disk.img"', 'aionbd serve FILE');
  failed(t, await aionbd('serve'), 2, 'aionbd serve disk.img');
  failed(t, await aionbd('serve', 'a', '--colour'), 2, 'colour');
  failed(t, await aionbd('serve', 'a', '--listen', '10809'), 2, '"10809"', 'localhost:10809');
  failed(t, await aionbd('serve', 'a', '--buffer-memory', 'lots'), 2, '"lots"', '64M');
  failed(t, await aionbd('serve', 'a', '--queue-depth', '1'), 2, '"1"', '16 to 32768');
  failed(
    t,
    await aionbd('serve', '-e', 'name=a,path=b,color=c'),
    2,
    '"color"',
    'name, path, readonly, direct, description',
  );
  failed(t, await aionbd('serve', '/x/a', '/y/a'), 2, '"a"', '--export');
  failed(t, await aionbd('create', 'a', '--size', '1e9'), 2, '"1e9"');
});

t.test('create makes a file and says nothing', async (t) => {
  const path = join(scratch(t), 'disk.img');
  t.match(await aionbd('create', path, '--size', '1.5M'), { code: 0, stdout: '', stderr: '' });
  t.equal(readFileSync(path).length, 1_572_864);
});

t.test('create refuses a file that is there, with exit code 1', async (t) => {
  const path = join(scratch(t), 'disk.img');
  writeFileSync(path, 'precious');
  failed(t, await aionbd('create', path, '--size', '1M'), 1, JSON.stringify(path), 'never overwritten');
  t.equal(readFileSync(path, 'utf8'), 'precious');
});

t.test('create refuses a directory that is not there, with exit code 1', async (t) => {
  const path = join(scratch(t), 'none', 'disk.img');
  failed(t, await aionbd('create', path, '--size', '1M'), 1, JSON.stringify(path), 'create that first');
  t.notOk(existsSync(path));
});
