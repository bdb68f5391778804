// How the commands of a block are typed, and that none of them fails unseen.

import t, { type Test } from 'tap';
import { scratch } from '../support/files.js';
// @ts-expect-error: no TypeScript, since it also runs where nothing is compiled
import { statements as untypedStatements } from './statements.mjs';
// @ts-expect-error: the same
import { Shell as UntypedShell } from './terminal.mjs';

interface Shell {
  type(text: string): Promise<{ printed: string; ok: boolean; failed?: string }>;
  close(): void;
}

const statements = untypedStatements as (text: string) => string[];

function shell(t: Test): Shell {
  const folder = scratch(t);
  const made = new (UntypedShell as new (folder: string, cwd: string) => Shell)(folder, folder);
  t.teardown(() => made.close());
  return made;
}

t.test('a command that fails is seen, wherever it stands', async (t) => {
  for (const [text, failed] of [
    ['false', 'false'],
    ['true && false', 'true && false'],
    ['false && true\necho on', 'false && true'],
    ['echo first\nfalse && true\necho on', 'false && true'],
    ['false && true; echo on', 'false && true'],
    ['false; echo on', 'false'],
    ['true; false; echo on', 'false'],
    ['false | cat\necho on', 'false | cat'],
    ['(cd . && false)\necho on', '(cd . && false)'],
    ['cd . &&\n  false && true\necho on', 'cd . &&\n  false && true'],
    ['for i in 1 2; do false; done; echo on', 'for i in 1 2; do false; done'],
    ['if true; then false && true; fi; echo on', 'if true; then false && true; fi'],
  ] as const) {
    const end = await shell(t).type(text);
    t.match(end, { ok: false, failed }, text);
    t.notMatch(end.printed, /^on$/m, 'what follows is not typed');
  }
});

t.test('what a command is to find out is no failure', async (t) => {
  const bash = shell(t);
  for (const text of [
    'n=0; until [ $n = 2 ]; do n=$((n + 1)); done; echo on',
    'false || echo on',
    'if false; then echo no; fi\necho on',
    '! false\necho on',
    'sleep 0 & wait; echo on',
  ]) {
    t.match(await bash.type(text), { ok: true, printed: /on\n$/ }, text);
  }
});

t.test(
  'directory, variables and jobs stay from command to command, and output is in its order',
  async (t) => {
    const bash = shell(t);
    t.match(await bash.type('mkdir -p a; cd a\nx=1'), { ok: true, printed: '' });
    t.match(await bash.type('(sleep 0; echo later >f) &'), { ok: true });
    t.same(await bash.type('wait; cat f; echo "$x; $(basename "$PWD")"\necho error >&2\necho last'), {
      ok: true,
      printed: 'later\n1; a\nerror\nlast\n',
    });
  },
);

t.test('commands are cut where one is complete, and nowhere else', async (t) => {
  for (const [text, parts] of [
    ['one\ntwo', ['one', 'two']],
    ['one; two', ['one', ' two']],
    ['one;\n\ntwo', ['one', '\n\ntwo']],
    ['one \\\n    more; two', ['one \\\n    more', ' two']],
    ['echo "a; b" \'c\nd\'; e', ['echo "a; b" \'c\nd\'', ' e']],
    ['echo a\\; b', ['echo a\\; b']],
    ['(a; b) && c', ['(a; b) && c']],
    ['x=$(a; b)\nc', ['x=$(a; b)', 'c']],
    ['case a in a) b;; *) c;; esac; d', ['case a in a) b;; *) c;; esac', ' d']],
    ['cat <<E; a\none; two\nE\nb', ['cat <<E; a\none; two\nE', 'b']],
    ['f() {\n  a; b\n}\nf', ['f() {\n  a; b\n}', 'f']],
    ['a # with; this\n# and; that\nb', ['a # with; this', '# and; that', 'b']],
  ] as const) {
    t.same(statements(text), parts, text);
  }
});
