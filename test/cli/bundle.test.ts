// The files that the command starts from. How long a start takes is for `npm run bench -- --case start`; what makes it short is here.

import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { MAIN } from '../support/server.js';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));

/** Everything that a start may come to load: the file itself and what it imports, statically or not. */
function reachable(file: string, files = new Set<string>(), packages = new Set<string>()) {
  if (files.has(file)) return { files, packages };
  files.add(file);
  const code = readFileSync(file, 'utf8');
  for (const [, name = ''] of code.matchAll(/(?:^import|^export|\bfrom|\bimport\()\s*["']([^"'\n]+)["']/gm)) {
    if (name.startsWith('.')) reachable(join(dirname(file), name), files, packages);
    else if (!name.startsWith('node:') && !builtinModules.includes(name)) packages.add(name);
  }
  return { files, packages };
}

t.test('the command is loaded from a few files, and none of the library’s is among them', async (t) => {
  const { files, packages } = reachable(MAIN);
  const names = [...files].map((file) => relative(DIST, file));
  t.ok(names.length > 1 && names.length < 40, names.join(' '));
  t.same(
    names.filter((name) => name !== 'cli/main.js' && !name.startsWith('chunks/')),
    [],
  );
  t.same([...packages], ['yargs'], 'a package that a start does not need');
});

t.test('what the metrics need is loaded by the thread that shows them, and by no other', async (t) => {
  const watch = reachable(join(DIST, 'metrics/thread.js'));
  t.same([...watch.packages], ['prom-client']);
  const isHttp = (file: string) => /from "node:http"/.test(readFileSync(file, 'utf8'));
  t.ok([...watch.files].some(isHttp));
  // aionbd status and top speak HTTP, too; a server does not load what only they need.
  const ofOthers = readdirSync(join(DIST, 'chunks'))
    .filter((name) => /^(status|top)-.*\.js$/.test(name))
    .map((name) => join(DIST, 'chunks', name));
  t.equal(ofOthers.length, 2);
  t.notOk(
    [...reachable(MAIN, new Set(ofOthers)).files].some((file) => !ofOthers.includes(file) && isHttp(file)),
  );
});

t.test('constants and classes are constants for V8, too', async (t) => {
  for (const entry of [MAIN, join(DIST, 'server/thread.js')]) {
    const code = [...reachable(entry).files].map((file) => readFileSync(file, 'utf8')).join('\n');
    t.same(code.match(/^var [A-Z][\w$]* =.*$/gm), null, entry);
    t.match(code, /^const Intake = class/m);
    t.match(code, /^const REQUEST_SENDING = /m);
  }
});

t.test('what is bundled can be read, and the licenses of its packages are there', async (t) => {
  const code = [...reachable(MAIN).files].map((file) => readFileSync(file, 'utf8')).join('');
  t.ok(code.includes('NbdServer = class extends EventEmitter {'), 'names and lines are as they were written');
  const licenses = readFileSync(join(DIST, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
  const bundled = [...code.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)/gm)].map(([, name]) => name);
  const missing = bundled.filter((name) => !`\n${licenses}`.includes(`\n${name} `));
  t.ok(bundled.includes('pino'));
  t.same(missing, []);
  t.match(licenses, /^pino .*\(MIT\)\n\n[\s\S]*Permission is hereby granted/m);
});
