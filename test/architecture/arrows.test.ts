import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import t from 'tap';

const SOURCE = resolve(import.meta.dirname ?? '.', '../../src');

/** What each folder of src may import from, besides itself, errors.ts and worker-flags.ts; see docs/architecture.md. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  engine: [],
  negotiation: ['protocol'],
  // Of the server only types; of the engine the addon, which opens sockets for another thread, and whose counters are a part of ours.
  metrics: ['server/api', 'protocol', 'engine/addon', 'engine/ring-counters'],
  export: ['engine', 'protocol', 'metrics/record', 'negotiation/directory'],
  transmission: ['protocol', 'engine', 'export', 'metrics/record', 'metrics/request-times'],
  server: ['protocol', 'engine', 'export', 'transmission', 'negotiation', 'metrics'],
  config: ['server/api', 'protocol'],
  cli: ['config', 'server', 'metrics', 'index'],
};

interface Import {
  readonly from: string;
  readonly what: string;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : path.endsWith('.ts') ? [path] : [];
  });
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const from = relative(SOURCE, file);
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => {
    const named = match[1]!;
    const what = named.startsWith('.')
      ? relative(SOURCE, resolve(dirname(file), named)).replace(/\.js$/, '')
      : named;
    return { from, what };
  });
}

const files = filesBelow(SOURCE);
const imports = files.flatMap(importsOf);

t.test('imports between the folders of src point downward only', async (t) => {
  t.ok(imports.length > 100, 'imports were found at all');
  for (const { from, what } of imports) {
    const folder = from.split('/')[0]!;
    const allowed = ALLOWED[folder];
    if (!from.includes('/') || what.includes(':') || !files.includes(join(SOURCE, `${what}.ts`))) continue;
    if (what === 'errors' || what === 'worker-flags' || what.startsWith(`${folder}/`)) continue;
    const fits = allowed?.some((prefix) => what === prefix || what.startsWith(`${prefix}/`)) ?? false;
    if (!fits) t.fail(`${from} imports ${what}`);
  }
});

t.test('protocol and negotiation do no I/O', async (t) => {
  for (const { from, what } of imports) {
    if (!/^(protocol|negotiation)\//.test(from)) continue;
    t.notMatch(what, /^node:(net|fs|http|tls|dgram|child_process)|addon|engine/, `${from} imports ${what}`);
  }
});

t.test('nothing below cli reads the command line or the environment', async (t) => {
  for (const file of files) {
    const name = relative(SOURCE, file);
    // The loader of the addon has an override for those who debug it.
    if (name.startsWith('cli/') || name === 'engine/addon.ts') continue;
    t.notMatch(readFileSync(file, 'utf8'), /process\.(argv|env)\b/, name);
  }
});

t.test('nothing but cli prints', async (t) => {
  for (const file of files) {
    const name = relative(SOURCE, file);
    if (name.startsWith('cli/')) continue;
    t.notMatch(readFileSync(file, 'utf8'), /\bconsole\.|process\.(stdout|stderr)\b/, name);
  }
});
