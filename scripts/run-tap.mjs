// Runs tap over test files, prints a report, and removes what cut-off tests left behind.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SEARCH_PATH } from './packages.mjs';
import { Report } from './report.mjs';
import { testEnvironment } from './test-environment.mjs';
import { translate, translated } from './test-modules.mjs';

const env = { ...testEnvironment(process.env), PATH: SEARCH_PATH };

/**
 * Runs tap with `args` (options and files), prints the report and, as the last line, the sum. `testEnv` goes to the
 * test processes only, not to the runner. Resolves to the exit code: 0 only if something ran and nothing failed.
 */
export async function runTap(args, { verbose = false, testEnv = {} } = {}) {
  const scratch = mkdtempSync(join(tmpdir(), 'aionbd-test-'));
  const report = new Report({ verbose });
  const modules = join(scratch, 'modules');
  try {
    await translate(modules);
  } catch (error) {
    console.log(`FAIL  ${error.message}`);
    sweep(scratch);
    return sum(0, 1);
  }
  const forTests = Object.entries(testEnv).map(([key, value]) => `--test-env=${key}=${value}`);
  const tap = spawn(
    'node_modules/.bin/tap',
    ['run', '--reporter=tap', '--no-color', ...translated(modules), ...forTests, ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...env, AIONBD_TEST_DIR: scratch },
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => tap.kill(signal));
  const ended = new Promise((resolve) => tap.on('close', (code, signal) => resolve(code ?? signal)));
  for await (const line of createInterface({ input: tap.stdout })) report.line(line);
  const end = await ended;
  sweep(scratch);
  if (end !== 0 && report.failed === 0) {
    console.log(`FAIL  tap ended with ${end} although no assertion failed`);
    report.failed++;
  }
  if (report.passed + report.failed === 0) {
    console.log('FAIL  no test ran');
    report.failed++;
  }
  return sum(report.passed, report.failed);
}

/** Prints the last line that a run ends with and returns the exit code that belongs to it. */
export function sum(passed, failed) {
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** Tests clean up after themselves; this is for those that were cut off: mounts, loop devices, then the files. */
function sweep(scratch) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${scratch}/`));
  for (const path of mounts.reverse()) {
    console.log(`# left behind: a mount on ${path}`);
    spawnSync('umount', ['-l', path], { env });
  }
  const loops = spawnSync('losetup', ['-nO', 'NAME,BACK-FILE'], { env, encoding: 'utf8' }).stdout ?? '';
  for (const [name, file] of loops.split('\n').map((line) => line.trim().split(/\s+/))) {
    if (name === undefined || !file?.startsWith(`${scratch}/`)) continue;
    console.log(`# left behind: ${name} over ${file}`);
    spawnSync('losetup', ['-d', name], { env });
  }
  rmSync(scratch, { recursive: true, force: true });
}
