// What npm runs when this package is installed: nothing is built where a prebuilt addon can be loaded, and where none can
// it is built here, with node-gyp, which npm brings along.
//
// A source tree has no dist/ yet when this runs, and no prebuilt packages: there the addon is always built.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const FINDER = join(root, 'dist/engine/find-addon.js');

process.exitCode = await main();

async function main() {
  const tried = [];
  if (existsSync(FINDER)) {
    const { findPrebuilt, ownSurroundings } = await import(FINDER);
    const prebuilt = findPrebuilt(ownSurroundings());
    if (!Array.isArray(prebuilt)) {
      console.log(`aionbd: the prebuilt addon fits: ${prebuilt.path}`);
      return 0;
    }
    tried.push(...prebuilt.map(({ place, reason }) => `  ${place}: ${reason}`));
  }
  const missing = missingTools();
  if (missing.length > 0) {
    fail(`its addon has to be built here, and ${missing.join(', ')} cannot be found`, tried);
    return 1;
  }
  const { error, status } = spawnSync('node-gyp', ['rebuild', ...headers()], { cwd: root, stdio: 'inherit' });
  if (status === 0) return 0;
  fail(error === undefined ? 'its addon could not be built, see above' : String(error), tried);
  return 1;
}

/** Programs that node-gyp is going to need, by the variables that it honours too. */
function missingTools() {
  const { CXX = 'g++', MAKE = 'make', PYTHON, npm_config_python } = process.env;
  const python = npm_config_python ?? PYTHON ?? 'python3';
  return [python, MAKE, CXX].filter((command) => {
    const [program] = command.trim().split(/\s+/);
    return !hasProgram(program);
  });
}

function hasProgram(program) {
  const folders = program.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Many installations of Node bring its headers; then they need not be fetched. */
function headers() {
  if (process.env.npm_config_nodedir !== undefined) return [];
  const folder = dirname(dirname(process.execPath));
  const file = join(folder, 'include/node/node_version.h');
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const number = (part) => new RegExp(`^#define NODE_${part}_VERSION (\\d+)`, 'm').exec(text)?.[1];
  const version = ['MAJOR', 'MINOR', 'PATCH'].map(number).join('.');
  return version === process.versions.node ? [`--nodedir=${folder}`] : [];
}

function fail(reason, tried) {
  console.error(`
aionbd cannot be installed: ${reason}.
${tried.length > 0 ? `No prebuilt addon could be used:\n${tried.join('\n')}\n` : ''}
To build it, a compiler for C++20 is needed (it is tested with g++ 12), make and python3:
  Debian, Ubuntu   apt-get install g++ make python3
  Fedora, RHEL     dnf install gcc-c++ make python3
  Alpine           apk add g++ make python3 linux-headers
and the headers of Node.js, which node-gyp fetches if npm_config_nodedir does not say where they are.
Then install again. docs/install.md has more.
`);
}
