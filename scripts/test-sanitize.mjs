#!/usr/bin/env node
// npm run test:sanitize
//
// Builds the addon a second time, in build-asan/, with AddressSanitizer and UndefinedBehaviorSanitizer, and runs the
// tests of the addon and of the engine against it. build/Release stays as it is.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTap, sum } from './run-tap.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const FOLDER = 'build-asan';
const TEST_DIRECTORIES = ['test/addon', 'test/engine'];

process.chdir(root);
process.exitCode = await main();

async function main() {
  const files = TEST_DIRECTORIES.flatMap((directory) =>
    existsSync(directory)
      ? readdirSync(directory, { recursive: true, encoding: 'utf8' })
          .filter((name) => name.endsWith('.test.ts'))
          .map((name) => join(directory, name))
      : [],
  ).sort();
  const broken = files.length === 0 ? `no test file in ${TEST_DIRECTORIES.join(' or ')}` : build();
  if (broken !== undefined) {
    console.log(broken);
    return sum(0, 1);
  }
  const testEnv = {
    AIONBD_ADDON: resolve(FOLDER, 'build/Release/aionbd.node'),
    // The runtime must be there before node starts; libstdc++ with it, or its interceptor for exceptions finds none.
    LD_PRELOAD: ['libasan.so', 'libstdc++.so'].map(libraryPath).join(' '),
    // V8's own heap looks like a leak, and it installs a handler for SIGSEGV. Tests that bound the growth of memory should
    // not see much of what is freed but kept back.
    ASAN_OPTIONS:
      'detect_leaks=0:abort_on_error=1:quarantine_size_mb=4:allow_user_segv_handler=1:strict_string_checks=1',
    UBSAN_OPTIONS: 'halt_on_error=1:abort_on_error=1:print_stacktrace=1',
  };
  const blind = loadsUnsanitized(testEnv);
  if (blind !== undefined) {
    console.log(blind);
    return sum(0, 1);
  }
  return runTap(files, { testEnv });
}

/** Makes sure that what passes has been looked at: the addon must bring the sanitizers' checks and find their runtime. */
function loadsUnsanitized(testEnv) {
  const script = `
    process.dlopen({ exports: {} }, process.env.AIONBD_ADDON);
    const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
    process.exitCode = ['build-asan', 'libasan', 'libubsan'].every((name) => maps.includes(name)) ? 0 : 3;`;
  const env = { ...process.env, ...testEnv };
  const result = spawnSync(process.execPath, ['-e', script], { env, encoding: 'utf8' });
  return result.status === 0 ? undefined : `the addon does not run under the sanitizers: ${result.stderr}`;
}

/** A copy of what node-gyp needs, built in place. Returns what went wrong. */
function build() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
  for (const name of ['addon', 'binding.gyp', 'package.json'])
    cpSync(name, join(FOLDER, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(FOLDER, 'node_modules'));
  const result = spawnSync(
    resolve('node_modules/.bin/node-gyp'),
    ['rebuild', '--jobs', 'max', '--', '-Dsanitize=address,undefined'],
    {
      cwd: FOLDER,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    },
  );
  return result.status === 0
    ? undefined
    : `${result.stdout}${result.stderr}\ncannot build the addon with sanitizers`;
}

/** Full path of one of the compiler's libraries. */
function libraryPath(name) {
  return spawnSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
}
