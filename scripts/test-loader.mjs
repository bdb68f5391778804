// Module hooks for a test's process: TypeScript comes from the folder that test-modules.mjs has filled; the folder is
// in this module's own URL, `?folder=…`. Runs twice: in the test's thread, to register itself, and in the hooks' thread.

import { existsSync, readFileSync } from 'node:fs';
import { register } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FOLDER = new URL(import.meta.url).searchParams.get('folder') ?? '';

if (isMainThread) register(import.meta.url);

/** `./x.js` is `./x.ts` where only that is there. */
export function resolve(specifier, context, nextResolve) {
  if (/^(\.|file:).*\.[jt]s$/.test(specifier)) {
    const asked = new URL(specifier, context.parentURL);
    const typed = new URL(asked.href.replace(/\.js$/, '.ts'));
    if (existsSync(typed) && (asked.href === typed.href || !existsSync(asked)))
      return { url: typed.href, format: 'module', shortCircuit: true };
  }
  return nextResolve(specifier, context);
}

export function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const source = readFileSync(join(FOLDER, `${relative(ROOT, fileURLToPath(url))}.js`));
  return { format: 'module', source, shortCircuit: true };
}
