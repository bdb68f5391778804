// What aionbd-attach says before it asks the kernel for anything. That it attaches is for test/kernel, where there is a kernel to ask.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { run } from '../support/programs.js';

const PROGRAM = fileURLToPath(new URL('../../deploy/attach/aionbd-attach', import.meta.url));
const GUIDE = fileURLToPath(new URL('../../docs/guides/attach.md', import.meta.url));

t.test('an address that is none is refused, with what it has to look like', async (t) => {
  for (const uri of [
    'storage',
    'http://storage/disk',
    'nbd:///disk',
    'nbd+unix:///disk',
    'nbd://h:port/disk',
  ]) {
    const { code, stderr } = await run(PROGRAM, [uri, '/dev/nbd0']);
    t.equal(code, 1, uri);
    t.match(stderr, / (is none of nbd:\/\/HOST|names no socket; write nbd\+unix:)/, uri);
    t.notMatch(stderr, 'Traceback', uri);
  }
});

t.test('a device that is none, and numbers that are none, are bad usage', async (t) => {
  const uri = 'nbd://127.0.0.1:1/disk';
  for (const args of [
    [uri, '/dev/sda'],
    [uri, '/dev/nbd'],
    [uri],
    ['--connections', '0', uri, '/dev/nbd0'],
    ['--block-size', '100', uri, '/dev/nbd0'],
  ]) {
    const { code, stderr } = await run(PROGRAM, args);
    t.equal(code, 2, args.join(' '));
    t.match(stderr, /^usage: aionbd-attach/);
  }
});

t.test('the guide has its options with their defaults', async (t) => {
  const { stdout } = await run(PROGRAM, ['--help']);
  const options = [...stdout.matchAll(/^ {2}(--[\w-]+) (?:[^-]|-(?!-))*?default (\d+)/gms)].map(
    ([, flag, initial]) => `${flag} ${initial}`,
  );
  const documented = [...readFileSync(GUIDE, 'utf8').matchAll(/^\| `(--[\w-]+) [A-Z]+` \| (\d+) \|/gm)].map(
    ([, flag, initial]) => `${flag} ${initial}`,
  );
  t.equal(options.length, 4);
  t.strictSame(documented, options);
});
