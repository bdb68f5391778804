#!/usr/bin/env node
// The second half of `npm run build:ts`, after tsc.
//
// Loading a hundred small files took longer than all the rest of a start, so each program of this package is put into a
// few files with all that it imports, most packages too. They take the place of what tsc made of the same source; the
// library (dist/index.js) stays as tsc makes it. A process loads one or the other, so no module is there twice.
//
// Every file in src/ and dist/ lies two levels below the package, and chunks do as well: `new URL('../../build/…')`
// or `new URL('../server/worker.js', import.meta.url)` mean the same in the source, in tsc's output and in a bundle.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** What node is started with, or a worker thread: output below dist/, without .js, and source. */
const PROGRAMS = {
  'cli/main': 'src/cli/main.ts',
  'server/thread': 'src/server/thread.ts',
  'metrics/thread': 'src/metrics/thread.ts',
};

/** Of constants and classes, by their names: at the start of a line, since esbuild indents what is within something. */
const TOP_LEVEL_CONSTANT = /^var ([A-Z][\w$]*) =/gm;

const CHUNKS = 'dist/chunks';
const LICENSES = 'dist/THIRD-PARTY-LICENSES.txt';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
rmSync(CHUNKS, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: PROGRAMS,
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  // What is imported dynamically is loaded when it is needed.
  splitting: true,
  // Not needed to get started, and yargs looks for files of its own beside its code: these stay packages.
  external: ['yargs', 'prom-client'],
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  sourcesContent: false,
  metafile: true,
  logLevel: 'warning',
  // CommonJS packages ask for Node's modules by `require`, which an ES module does not have.
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);",
  },
});
keepConstants(Object.keys(metafile.outputs));
const pageInputs = await buildPage('page', 'dist/metrics/page.html');
writeFileSync(LICENSES, licensesOf([...Object.keys(metafile.inputs), ...pageInputs]));

/**
 * esbuild makes `var` of every `const` and `class` at the top level of a module. V8 builds the value of a `const` into machine code that it
 * optimizes, with all that follows from it; a `var` it reads and checks each time. So they are made `const` again, if nothing in the file looks as if it assigned
 * to them later (by destructuring nobody does that to a name that begins with a capital).
 */
function keepConstants(files) {
  for (const file of files.filter((name) => name.endsWith('.js'))) {
    const code = readFileSync(file, 'utf8');
    const assignments = (name) => {
      const it = name.replaceAll('$', '\\$');
      const assign = String.raw` *(<<|>>>?|\*\*|&&|\|\||\?\?|[-+*/%&|^])?=(?![=>])`;
      return new RegExp(String.raw`(?<![\w$.])${it}(${assign}|\+\+|--)|(\+\+|--)${it}(?![\w$])`, 'g');
    };
    const isConstant = (name) => code.match(assignments(name)).length === 1;
    writeFileSync(
      file,
      code.replaceAll(TOP_LEVEL_CONSTANT, (found, name) => (isConstant(name) ? `const ${name} =` : found)),
    );
  }
}

/** The status page: one file with all that it needs in line. Returns the names of the files that are in it. */
async function buildPage(source, target) {
  const options = { bundle: true, minify: true, write: false, metafile: true, logLevel: 'warning' };
  const script = await build({
    ...options,
    entryPoints: [join(source, 'main.ts')],
    format: 'esm',
    platform: 'browser',
    target: ['chrome111', 'firefox113', 'safari16.4'],
  });
  const style = await build({ ...options, entryPoints: [join(source, 'all.css')] });
  const inLine = (result) => result.outputFiles[0].text.trim();
  // What would end the element early is written in another way; functions, since `$&` means something in a replacement.
  const page = readFileSync(join(source, 'index.html'), 'utf8')
    .replace('/*STYLE*/', () => inLine(style).replaceAll('</style', '<\\/style'))
    .replace('/*SCRIPT*/', () => inLine(script).replaceAll('</script', '<\\/script'));
  writeFileSync(target, page);
  return [script, style].flatMap((result) => Object.keys(result.metafile.inputs));
}

/** The licenses of the packages that these files come from; they want to go where the code goes. */
function licensesOf(files) {
  const folders = files.map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]);
  return [...new Set(folders.filter((folder) => folder !== undefined))]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const text = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
      const body = text === undefined ? '' : `\n\n${readFileSync(join(folder, text), 'utf8').trim()}`;
      return `${name} ${version} (${license})${body}\n`;
    })
    .join(`\n${'-'.repeat(72)}\n\n`);
}
