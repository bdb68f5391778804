import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchFailure } from './failure.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILDS = join(ROOT, 'build-bench', 'revisions');

/**
 * Builds this project as it was at a commit, once, and returns the path of its command. It uses the packages that are
 * installed now. Throws BenchFailure if there is no such commit or it does not build.
 */
export function buildRevision(revision: string): string {
  const commit = git('rev-parse', '--verify', '--quiet', `${revision}^{commit}`).trim();
  const folder = join(BUILDS, commit);
  const main = join(folder, 'dist', 'cli', 'main.js');
  if (existsSync(main)) return main;
  process.stderr.write(`building ${revision} (${commit.slice(0, 10)})\n`);
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  run(ROOT, 'sh', '-c', `git archive ${commit} | tar -x -C '${unfinished}'`);
  symlinkSync(join(ROOT, 'node_modules'), join(unfinished, 'node_modules'));
  run(unfinished, join(ROOT, 'node_modules/.bin/node-gyp'), 'rebuild');
  // The commit's own way, which may be more than a compiler.
  run(unfinished, 'npm', 'run', '-s', 'build:ts');
  renameSync(unfinished, folder);
  return main;
}

function git(...args: readonly string[]): string {
  const result = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  if (result.status !== 0) {
    throw new BenchFailure(`git ${args.join(' ')}: there is no such commit; "git log --oneline" lists them`);
  }
  return result.stdout;
}

function run(cwd: string, program: string, ...args: readonly string[]): void {
  const result = spawnSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.status !== 0) {
    throw new BenchFailure(`${program} ${args.join(' ')} failed:\n${result.stdout}${result.stderr}`);
  }
}
