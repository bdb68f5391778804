// TypeScript for the tests, translated once for all of them.
//
// tap's own loader brings the TypeScript compiler into each test's process and translates there whatever the test
// imports, again for each of some two hundred processes: one to two seconds of a processor for each of them. Here
// esbuild does it for all files together, in about as long. Types are checked elsewhere (npm run typecheck).

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transform } from 'esbuild';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** What tests and what they import lie in. */
const FOLDERS = ['src', 'test', 'bench', 'page', 'scripts'];

/** Translates every TypeScript file of the tree into `folder`. Throws esbuild's own words if one is no TypeScript. */
export async function translate(folder) {
  const names = FOLDERS.flatMap((top) =>
    readdirSync(join(ROOT, top), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .map((name) => join(top, name)),
  );
  await Promise.all(
    names.map(async (name) => {
      const { code } = await transform(readFileSync(join(ROOT, name), 'utf8'), {
        loader: 'ts',
        format: 'esm',
        target: `node${process.versions.node}`,
        sourcefile: basename(name),
        sourcemap: 'inline',
        sourcesContent: false,
        tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
      });
      const path = join(folder, `${name}.js`);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, code);
    }),
  );
}

/** Arguments for tap with which its test processes take what `translate` has put into `folder`. */
export function translated(folder) {
  const loader = pathToFileURL(join(ROOT, 'scripts/test-import.mjs'));
  loader.searchParams.set('folder', folder);
  // The first keeps tap's own loader out, whatever tap says about the versions of Node.js that need it.
  return ['--test-env=TAP_TYPE_STRIP_ONLY=1', `--node-arg=--import=${loader}`];
}
