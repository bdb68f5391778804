// docs/protocol.md lists every rule with the tests that are named by it; this keeps the list and the tests together.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';

const TEST = resolve(import.meta.dirname ?? '.', '..');
const RULES = [
  ...Array.from({ length: 19 }, (_, i) => `H${i + 1}`),
  ...Array.from({ length: 22 }, (_, i) => `X${i + 1}`),
  ...Array.from({ length: 8 }, (_, i) => `E${i + 1}`),
];

interface Row {
  readonly rule: string;
  readonly state: string;
  readonly tests: readonly string[];
}

function rows(): Row[] {
  const text = readFileSync(resolve(TEST, '../docs/protocol.md'), 'utf8');
  const section = /\n## Rules\n([\s\S]*?)\n## /.exec(text)?.[1] ?? '';
  return [...section.matchAll(/^\| ([HXE]\d+) \| (.+) \| (.+) \| (.+) \|$/gm)].map((match) => ({
    rule: match[1]!,
    state: match[3]!,
    tests: [...match[4]!.matchAll(/`([^`]+)`/g)].map((name) => name[1]!),
  }));
}

t.test('docs/protocol.md lists every rule once', async (t) => {
  t.same(
    rows().map((row) => row.rule),
    RULES,
  );
});

t.test('every rule has tests that are named by it, where the list says', async (t) => {
  for (const { rule, state, tests } of rows()) {
    t.ok(tests.length > 0, `${rule} has tests`);
    t.ok(/^done\b/.test(state) || /: .{20,}/.test(state), `${rule} is done, or the list says why not`);
    const named = new RegExp(`['"\`](?:[A-Z]\\d+, )*${rule}(?:, [A-Z]\\d+)*:`);
    for (const file of tests) {
      const source = readFileSync(resolve(TEST, `${file}.test.ts`), 'utf8');
      t.ok(named.test(source), `${rule} is in ${file}`);
    }
  }
});
