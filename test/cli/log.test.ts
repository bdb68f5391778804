// Lines of the log as they reach a terminal or a file.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { scratch } from '../support/files.js';
import { run } from '../support/programs.js';

const LOG = new URL('../../dist/cli/log.js', import.meta.url).href;
/** Each of these does something to a terminal, or to whoever reads a line. */
const NASTY = 'a\nb\tc\r\x1b[31m\x07\x7f\x9b31m\u202e\u200b\u2028\u2029\u{e0001}z';

async function logged(format: 'pretty' | 'json', fields: string, message = 'message'): Promise<string> {
  const script = `
    const { createLogger } = await import(${JSON.stringify(LOG)});
    const logger = await createLogger({ level: 'info', format: ${JSON.stringify(format)}, terminal: false });
    logger.warn(${fields}, ${JSON.stringify(message)});`;
  const { code, stderr } = await run(process.execPath, ['--input-type=module', '--eval', script]);
  t.equal(code, 0, stderr);
  return stderr;
}

for (const format of ['pretty', 'json'] as const) {
  t.test(`no name makes a second line or does anything to a terminal, ${format}`, async (t) => {
    const line = await logged(
      format,
      JSON.stringify({ export: NASTY, list: [NASTY], [NASTY]: { deep: NASTY } }),
    );
    t.match(line, /^[^\n]+\n$/, 'one line');
    t.notMatch(line.slice(0, -1), /\p{C}|\p{Zl}|\p{Zp}/u, 'nothing but text');
    t.ok(line.includes('a\\nb'), 'it is escaped, not left out');
  });

  t.test(`an error with a name in its message does nothing to a terminal either, ${format}`, async (t) => {
    const text = await logged(format, `{ err: new Error(${JSON.stringify(NASTY)}) }`);
    t.notMatch(text.replaceAll('\n', ''), /\p{C}|\p{Zl}|\p{Zp}/u, 'nothing but text');
    t.notMatch(text, /^b/m, 'its message stays on one line');
  });
}

t.test('what JSON says is what was logged', async (t) => {
  const line = await logged('json', JSON.stringify({ export: NASTY }));
  t.match(JSON.parse(line), { level: 40, export: NASTY, msg: 'message' });
});

t.test('lines on a terminal are in colour unless NO_COLOR is set', async (t) => {
  const file = join(scratch(t), 'logs.mjs');
  writeFileSync(
    file,
    `const { createLogger } = await import(${JSON.stringify(LOG)});
     (await createLogger({ level: 'info', format: undefined, terminal: true })).info('message');`,
  );
  for (const [setting, coloured] of [
    ['', true],
    ['NO_COLOR=1', false],
  ] as const) {
    // Nothing of the environment of the tests: Node looks at CI, TERM_PROGRAM and many others, too.
    const inner = `env -i TERM=xterm-256color ${setting} '${process.execPath}' '${file}'`;
    const { code, stdout } = await run('script', ['-qec', inner, '/dev/null'], { env: { SHELL: '/bin/sh' } });
    t.equal(code, 0, stdout);
    t.match(stdout, /INFO.*message/);
    t.equal(stdout.includes('\x1b['), coloured, setting || 'as it is');
  }
});
