// What is offered for a word that is being typed; test/packaging/extras.test.ts asks as shells do.

import t from 'tap';
import { completeValue, isOffer } from '../../src/cli/completion.js';
import { SERVE_OPTIONS } from '../../src/cli/options.js';

const asked = (...words: string[]) => completeValue(['aionbd', ...words]);

t.test('where a flag has a fixed list of values these are offered', async (t) => {
  let lists = 0;
  for (const [flag, option] of Object.entries(SERVE_OPTIONS)) {
    if (!('choices' in option)) continue;
    lists++;
    t.same(asked('serve', `--${flag}`, ''), option.choices, flag);
  }
  t.ok(lists >= 4);
  t.same(asked('serve', '--busy-poll', ''), ['auto', 'off']);
  t.same(asked('serve', '--slow-request', ''), ['off']);
  t.same(asked('serve', '--metrics', ''), ['off']);
});

t.test('they are offered in whatever way the shell cuts --flag=value', async (t) => {
  t.same(asked('serve', 'x', '--direct', '=', 'o'), ['auto', 'on', 'off']);
  t.same(asked('serve', 'x', '--direct=o'), ['--direct=auto', '--direct=on', '--direct=off']);
});

t.test('where files are nothing is offered, so the shell offers those', async (t) => {
  for (const words of [
    ['serve', ''],
    ['serve', 'a'],
    ['serve', 'a.img', ''],
    ['serve', '--read-only', ''],
    ['serve', '--', '-'],
    ['serve', '--pid-file', ''],
    ['serve', '--export', 'name=x,path='],
    ['serve', '-l', ''],
    ['create', ''],
    ['doctor', 'x', ''],
  ]) {
    t.same(asked(...words), [], words.join(' '));
  }
});

t.test('names of commands and flags are left to yargs, but for letters with two dashes', async (t) => {
  for (const words of [
    [''],
    ['ser'],
    ['--'],
    ['serve', '-'],
    ['serve', '--li'],
    ['top', ''],
    ['nonsense', ''],
  ]) {
    t.equal(asked(...words), undefined, words.join(' '));
  }
  t.same(['--l', '--l:host', '-l', '--listen', 'serve:x'].filter(isOffer), ['-l', '--listen', 'serve:x']);
});
