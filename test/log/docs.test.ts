// docs/logs.md and docs/hooks.md list exactly what there is.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { LINES } from '../../src/log/lines.js';
import { HANDSHAKE_FAILURES } from '../../src/metrics/snapshot.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Message and level of each line in a table. */
const documented = [
  ...read('docs/logs.md').matchAll(/^\| `([^`]+)` \| (debug|info|warn|error) \| (.*) \|$/gm),
].map(([, message = '', level = '', text = '']) => ({ message, level, text }));

/** Calls such as `logger.warn(fields, 'message')`. */
function logCalls(): { message: string; level: string }[] {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  return files.flatMap((name) => {
    const source = read(join('src', name));
    const calls = [...source.matchAll(/\b(?:logger|log|#logger|#log)\s*\.(debug|info|warn|error)\(/g)];
    return calls.map((call) => {
      const end = endOfCall(source, call.index + call[0].length);
      const strings = [...source.slice(call.index, end).matchAll(/'((?:[^'\\]|\\.)*)'/g)];
      return { message: strings.at(-1)?.[1] ?? `${name}: ${source.slice(call.index, end)}`, level: call[1]! };
    });
  });
}

/** Behind the bracket that ends a call; brackets and semicolons in strings are text. */
function endOfCall(source: string, start: number): number {
  const parts = /'(?:[^'\\]|\\.)*'|[()]/g;
  parts.lastIndex = start;
  for (let depth = 1; depth > 0; ) {
    const part = parts.exec(source);
    if (part === null) throw new Error('a call has no end');
    if (part[0] === '(') depth++;
    if (part[0] === ')') depth--;
  }
  return parts.lastIndex;
}

const key = ({ message, level }: { message: string; level: string }) => `${level}: ${message}`;

t.test('docs/logs.md lists exactly the lines there are, each with its level', async (t) => {
  const fromTrouble = [
    { level: 'warn', message: 'a connection could not be accepted; trying again' },
    { level: 'warn', message: 'connections still cannot be accepted; trying again' },
  ];
  const calls = logCalls().filter(({ message }) => !message.includes('accept-trouble.ts'));
  t.ok(calls.length > 10, 'calls were found at all');
  const all = [...calls, ...fromTrouble, ...Object.values(LINES)].map(key);
  t.strictSame(documented.map(key).sort(), [...new Set(all)].sort());
});

t.test('docs/logs.md explains every field of what connections and requests cause', async (t) => {
  const source = read('src/log/lines.ts');
  const fields = [...source.matchAll(/^\s+readonly (\w+): (?:string|number|readonly)/gm)].map(
    ([, name]) => name!,
  );
  t.ok(fields.length > 15, 'fields were found at all');
  const text = documented.map(({ text }) => text).join('\n');
  for (const field of fields.filter((name) => !['level', 'message', 'channel'].includes(name))) {
    t.ok(text.includes(`\`${field}\``), field);
  }
  for (const failure of HANDSHAKE_FAILURES) t.ok(read('docs/logs.md').includes(`\`${failure}\``), failure);
});

t.test('docs/hooks.md lists exactly the channels there are, each with its messages', async (t) => {
  const rows = [...read('docs/hooks.md').matchAll(/^\| `(aionbd:[^`]+)` \| .* \| (.*) \|$/gm)].map(
    ([, channel, messages = '']) => ({
      channel,
      messages: [...messages.matchAll(/`([^`]+)`/g)].map(([, message]) => message),
    }),
  );
  const lines = Object.values(LINES);
  const channels = [...new Set(lines.map(({ channel }) => channel))];
  t.same(rows.map(({ channel }) => channel).sort(), channels.sort());
  for (const { channel, messages } of rows) {
    t.same(
      messages,
      lines.filter((line) => line.channel === channel).map(({ message }) => message),
      channel,
    );
  }
});
