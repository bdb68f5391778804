// The documents say what the program does: no more, no less.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { exitCodeOf } from '../../src/cli/exit-code.js';
import { CREATE_OPTIONS, SERVE_OPTIONS, STATUS_OPTIONS } from '../../src/cli/options.js';
import { DEFAULTS } from '../../src/config/serve-config.js';
import { ERRORS, type ErrorCode } from '../../src/errors.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The rows of all tables as their cells. */
const rows = (markdown: string): string[][] =>
  markdown
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .replaceAll('\\|', '/')
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

t.test(
  'docs/errors.md lists exactly the codes there are, in their order, each with its exit code',
  async (t) => {
    const table = rows(read('docs/errors.md'));
    t.strictSame(
      table.map(([code]) => code?.replaceAll('`', '')),
      Object.keys(ERRORS),
    );
    for (const [code = '', exit, cause, remedy] of table) {
      t.equal(exit, String(exitCodeOf(code.replaceAll('`', '') as ErrorCode)), code);
      t.match(cause, /\.$/, `${code} has a cause`);
      t.match(remedy, /\.$/, `${code} has a remedy`);
    }
  },
);

t.test('docs/cli.md lists exactly the flags there are', async (t) => {
  const flags = rows(read('docs/cli.md')).flatMap(([cell = '']) => /`--([a-z-]+)/.exec(cell)?.[1] ?? []);
  t.strictSame(
    flags.sort(),
    [SERVE_OPTIONS, CREATE_OPTIONS, STATUS_OPTIONS].flatMap((options) => Object.keys(options)).sort(),
  );
});

t.test('docs/cli.md has the defaults of the flags', async (t) => {
  const table = rows(read('docs/cli.md'));
  for (const [key, value] of Object.entries(DEFAULTS)) {
    const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    t.equal(table.find(([cell]) => cell?.includes(`${flag} `))?.[1], `\`${value}\``, flag);
  }
});
