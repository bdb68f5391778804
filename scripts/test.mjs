#!/usr/bin/env node
// npm test [-- FILE|DIRECTORY...]
//
// Fetches the programs that the tests need, brings build/ and dist/ up to date, and runs the tests, all or those in the
// files and directories named. The last line is always `N passed, N failed`; the exit code is 0 only if something ran and
// nothing failed.

import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePackages, missingPrivileges, TEST_PACKAGES } from './packages.mjs';
import { runTap, sum } from './run-tap.mjs';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const named = process.argv.slice(2);
const args = named.flatMap(testFiles);
process.exitCode = await main();

async function main() {
  if (named.length > 0 && args.length === 0) {
    console.log(`no test (*.test.ts) in ${named.join(', ')}`);
    return sum(0, 1);
  }
  const missing = ensurePackages(packagesFor(args));
  if (args.length === 0 || args.some((file) => file.includes('test/foreign')))
    missing.push(...missingPrivileges());
  const trouble = missing.length > 0 ? missing.join('\n') : bringUpToDate();
  if (trouble !== undefined) {
    console.log(trouble);
    return sum(0, 1);
  }
  return runTap(args, { verbose: args.length > 0 });
}

/** The tests in a directory; anything else as it is. */
function testFiles(path) {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  return readdirSync(path, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join(path, name));
}

/** Without arguments all packages; with file names those that the files' directories need. */
function packagesFor(files) {
  if (files.length === 0) return TEST_PACKAGES;
  return TEST_PACKAGES.filter(
    (p) => p.tests === '*' || p.tests.some((d) => files.some((f) => f.includes(`test/${d}`))),
  );
}

/** Builds what is older than its sources. Returns what went wrong. */
function bringUpToDate() {
  const addon = newest(['build/Release/aionbd.node']);
  const steps = [];
  if (addon === 0) steps.push(['node_modules/.bin/node-gyp', 'rebuild']);
  else if (newest(['addon', 'binding.gyp']) > addon) steps.push(['npm', 'run', '-s', 'build:addon']);
  // The bundle is what is written last.
  if (newest(['src', 'page', 'tsconfig.build.json', 'scripts/bundle.mjs']) > newest(['dist/cli/main.js']))
    steps.push(['npm', 'run', '-s', 'build:ts']);
  for (const [program, ...rest] of steps) {
    console.log(`# ${[program, ...rest].join(' ')}`);
    const result = spawnSync(program, rest, { encoding: 'utf8', maxBuffer: 64 << 20 });
    if (result.status !== 0)
      return `${result.stdout}${result.stderr}\ncannot build: ${program} ${rest.join(' ')}`;
  }
  return undefined;
}

/** Latest modification time under `paths`, 0 if there is nothing. */
function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (stat.isDirectory())
      latest = Math.max(latest, newest(readdirSync(path).map((name) => join(path, name))));
    else latest = Math.max(latest, stat.mtimeMs);
  }
  return latest;
}
