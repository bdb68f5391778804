// What a package brings beside the program: the manual page and the scripts that complete the command in a shell.

import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { CREATE_OPTIONS, SERVE_OPTIONS, STATUS_OPTIONS } from '../../src/cli/options.js';
import { scratch } from '../support/files.js';
import { must, run } from '../support/programs.js';
import { MAIN } from '../support/server.js';

const EXTRAS = fileURLToPath(new URL('../../scripts/extras.mjs', import.meta.url));

/** Makes them in a directory of their own. */
async function makeExtras(t: Test): Promise<string> {
  const directory = scratch(t);
  await must(process.execPath, [EXTRAS, directory]);
  return directory;
}

/** Sections of a manual page as a reader sees them on a wide terminal, by their titles. */
function sectionsOf(text: string): Map<string, string> {
  const parts = text.split(/^(?=\S)/m).map((part) => {
    const [title = '', ...rest] = part.split('\n');
    return [title, rest.join('\n')] as const;
  });
  return new Map(parts);
}

t.test('the manual page has every flag of every command, and man finds no fault with it', async (t) => {
  const page = join(await makeExtras(t), 'man/aionbd.1');
  const env = { LC_ALL: 'C.UTF-8', MANWIDTH: '80', MAN_KEEP_FORMATTING: '', MANPAGER: 'cat' };
  const shown = await run('man', ['--warnings', '-l', page], { env });
  t.equal(shown.code, 0, 'man shows it', { output: shown.stderr });
  t.equal(shown.stderr, '', 'no warnings');
  const wide = await must('man', ['-l', page], { env: { ...env, MANWIDTH: '2000' } });
  const sections = sectionsOf(wide);
  const commands = { serve: SERVE_OPTIONS, create: CREATE_OPTIONS, status: STATUS_OPTIONS };
  for (const [command, options] of Object.entries(commands)) {
    const text = sections.get(`aionbd ${command}`) ?? '';
    for (const flag of Object.keys(options)) {
      // As a term, with something said of it.
      t.match(text, new RegExp(`^ +(-., )?--${flag}( [A-Z]+)?\\s+\\S.{8}`, 'm'), `${command} --${flag}`);
    }
  }
  for (const title of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXIT CODES', 'ENVIRONMENT', 'SEE ALSO'])
    t.match(sections.get(title), /\w/, title);
  t.match(wide, 'Default: localhost:10809.');
  t.notMatch(wide, /`|\]\(|\*\*/, 'no Markdown is left');
});

t.test('the manual page names every command that there is', async (t) => {
  const { stdout } = await run(process.execPath, [MAIN, '--help']);
  const commands = [...stdout.matchAll(/^ {2}aionbd (\w+)/gm)].map(([, name = '']) => name);
  t.ok(commands.length >= 6, stdout);
  const source = readFileSync(join(await makeExtras(t), 'man/aionbd.1'), 'utf8');
  for (const name of commands) t.match(source, `.SH "aionbd ${name}"`);
});

/** Gets the script and the words, the last of which is to be completed; prints what is offered. */
const ASK = `
  source "$1"
  shift
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  $(complete -p aionbd | sed 's/.*-F \\([^ ]*\\).*/\\1/') aionbd
  printf '%s\\n' "\${COMPREPLY[@]}"
`;

/** What bash offers for the last of `words`, with the script as it is installed and a command `aionbd` on PATH. */
async function offers(t: Test, script: string, words: readonly string[]): Promise<string[]> {
  const bin = join(scratch(t), 'bin');
  await must('sh', ['-c', `mkdir "$1" && ln -s "$2" "$1/aionbd" && chmod +x "$2"`, 'sh', bin, MAIN]);
  const PATH = [bin, process.env.PATH].join(delimiter);
  const said = await must('bash', ['--norc', '-c', ASK, 'bash', script, ...words], { env: { PATH } });
  return said.split('\n').filter(Boolean);
}

t.test('in bash, commands, flags and their values are completed', async (t) => {
  const script = join(await makeExtras(t), 'completion/aionbd');
  const commands = await offers(t, script, ['aionbd', '']);
  for (const name of ['serve', 'create', 'status', 'top', 'doctor']) t.ok(commands.includes(name), name);
  t.same(await offers(t, script, ['aionbd', 'ser']), ['serve']);
  const flags = await offers(t, script, ['aionbd', 'serve', '--']);
  for (const flag of Object.keys(SERVE_OPTIONS)) t.ok(flags.includes(`--${flag}`), flag);
  t.same(await offers(t, script, ['aionbd', 'serve', '--direct', '']), ['auto', 'on', 'off']);
  t.same(await offers(t, script, ['aionbd', 'serve', 'x', '--direct', '=', 'o']), ['on', 'off']);
  t.same(await offers(t, script, ['aionbd', 'create', '--pre']), ['--preallocate']);
});

/** What a script asks aionbd, and gets; zsh gets `name:description`. */
async function answers(shell: string, words: readonly string[]): Promise<string[]> {
  const ask = [MAIN, '--get-yargs-completions', 'aionbd', ...words];
  const said = await must(process.execPath, ask, { env: { SHELL: shell, ZSH_NAME: '' } });
  return said.split('\n').filter(Boolean);
}

for (const shell of ['/bin/bash', '/bin/zsh']) {
  const namesOf = (offered: readonly string[]) => offered.map((one) => one.replace(/:.*/, ''));

  t.test(`${shell} is offered commands, flags and the values of flags`, async (t) => {
    const commands = ['serve', 'create', 'status', 'top', 'doctor', 'completion'];
    t.same(namesOf(await answers(shell, [''])), commands);
    const flags = namesOf(await answers(shell, ['serve', '--']));
    for (const flag of Object.keys(SERVE_OPTIONS)) t.ok(flags.includes(`--${flag}`), flag);
    t.notOk(flags.includes('--l'), 'no letter with two dashes');
    t.same(await answers(shell, ['serve', '--on-stop', '']), ['refuse', 'disconnect']);
    t.same(await answers(shell, ['serve', '--read-only', '--busy-poll', 'o']), ['auto', 'off']);
    const one = (value: string) => `--direct=${value}`;
    t.same(await answers(shell, ['serve', '--direct=']), ['auto', 'on', 'off'].map(one), 'in one word');
  });

  t.test(`${shell} is offered nothing where files are, so that it offers those`, async (t) => {
    for (const words of [
      ['serve', ''],
      ['create', 'a'],
      ['serve', '--pid-file', ''],
    ]) {
      t.same(await answers(shell, words), [], words.join(' '));
    }
  });
}

t.test('in bash, where aionbd has nothing to offer the shell offers files', async (t) => {
  const script = readFileSync(join(await makeExtras(t), 'completion/aionbd'), 'utf8');
  t.match(script, 'complete -o bashdefault -o default -F');
});

t.test('the script for zsh is one that zsh loads for this command', async (t) => {
  const script = readFileSync(join(await makeExtras(t), 'completion/_aionbd'), 'utf8');
  t.match(script, /^#compdef aionbd\n/);
  t.match(script, 'aionbd --get-yargs-completions');
});
