// Module hooks for a test's process: TypeScript comes from the folder that test-modules.mjs has filled.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
let folder = '';

export function initialize(data) {
  folder = data.folder;
}

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
  const source = readFileSync(join(folder, `${relative(ROOT, fileURLToPath(url))}.js`));
  return { format: 'module', source, shortCircuit: true };
}
