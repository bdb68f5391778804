// The tarballs as they would be published, and an installation of them where there is no compiler. What this leaves out (a fresh system, a
// build from source) is in scripts/test-install.sh.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { describe, must, type RunResult, run, tied } from '../support/programs.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HERE = `linux-${process.arch}-gnu`;
/** Platforms that are not this one, by processor and by C library, of which there shall be a binary, too. */
const ELSEWHERE = [
  process.arch === 'arm64' ? 'linux-x64-gnu' : 'linux-arm64-gnu',
  `linux-${process.arch}-musl`,
];
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

/** Everything that a directory for programs has to have for npm, and no compiler. */
const BARE = ['node', 'npm', 'sh', 'env'];
const INSTALL_MS = 120_000;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly os?: string[];
  readonly cpu?: string[];
  readonly libc?: string[];
  readonly main?: string;
  readonly man?: string;
  readonly scripts?: Record<string, string>;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

/** Packs what has been built, with made-up binaries for other machines. Returns the directory of the tarballs. */
async function makeTarballs(t: Test): Promise<string> {
  const artifacts = scratch(t);
  for (const platform of ELSEWHERE) writeFileSync(join(artifacts, `aionbd.${platform}.node`), platform);
  const out = scratch(t);
  const script = join(ROOT, 'scripts/package.mjs');
  const args = [script, '--no-build', '--out', out, '--artifacts', artifacts];
  await must(process.execPath, args, { timeoutMs: INSTALL_MS });
  return out;
}

async function contents(tarball: string): Promise<string[]> {
  const said = await must('tar', ['-tzf', tarball]);
  return said.split('\n').map((path) => path.replace(/^package\//, ''));
}

async function manifest(tarball: string): Promise<Manifest> {
  return JSON.parse(await must('tar', ['-xzOf', tarball, 'package/package.json'])) as Manifest;
}

/** A registry that has these tarballs and what they need. */
async function startRegistry(t: Test, files: readonly string[]): Promise<string> {
  const [program, args] = tied(process.execPath, [join(ROOT, 'scripts/registry.mjs'), ...files]);
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.stdin.end());
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error('the registry has not started');
}

/** `npm install --global aionbd` into `prefix`, with nothing at hand that could compile. */
async function installBare(t: Test, registry: string, prefix: string): Promise<RunResult> {
  const home = scratch(t);
  const bin = join(home, 'bin');
  mkdirSync(bin);
  for (const name of BARE) {
    symlinkSync((await must('sh', ['-c', `command -v ${name}`])).trim(), join(bin, name));
  }
  const flags = ['--global', '--prefix', prefix, '--cache', join(home, 'cache'), '--registry', registry];
  const more = ['--no-audit', '--no-fund', '--no-update-notifier', '--foreground-scripts'];
  const env = { PATH: bin, HOME: home };
  // npm looks at the variables of the npm that runs the tests.
  const unset = Object.keys(process.env)
    .filter((name) => /^npm_/i.test(name))
    .flatMap((name) => ['-u', name]);
  const words = [...unset, `PATH=${bin}`, `HOME=${home}`, 'npm', 'install', ...flags, ...more, 'aionbd'];
  return await run('env', words, {
    cwd: home,
    timeoutMs: INSTALL_MS,
    env: { ...env, PATH: process.env.PATH ?? '' },
  });
}

t.test('the tarballs', async (t) => {
  const tarballs = await makeTarballs(t);
  const main = join(tarballs, `aionbd-${version}.tgz`);

  await t.test('there is one for the package and one for each binary', async (t) => {
    const names = ['', ...[HERE, ...ELSEWHERE].map((platform) => `${platform}-`)];
    t.same(readdirSync(tarballs).sort(), names.map((name) => `aionbd-${name}${version}.tgz`).sort());
  });

  await t.test('the package has what it takes to run and to be built, and no more', async (t) => {
    const files = await contents(main);
    const needed =
      'package.json README.md LICENSE binding.gyp addon/binding.cc addon/ring.h scripts/install.mjs dist/cli/main.js dist/index.js ' +
      'dist/index.d.ts dist/engine/find-addon.js dist/metrics/thread.js dist/metrics/page.html dist/server/thread.js ' +
      'dist/THIRD-PARTY-LICENSES.txt dist/man/aionbd.1 dist/completion/aionbd dist/completion/_aionbd docs/cli.md docs/install.md ' +
      'deploy/systemd/aionbd.service';
    for (const path of needed.split(' ')) t.ok(files.includes(path), path);
    const sources = await must('git', ['ls-files', 'addon'], { cwd: ROOT });
    for (const path of sources.split('\n').filter(Boolean)) t.ok(files.includes(path), path);
    const kinds =
      /^(addon\/[^/]+\.(cc|h)|dist\/.*\.(js|d\.ts|html)|dist\/(THIRD-PARTY-LICENSES\.txt|man\/.*|completion\/.*)|docs\/.*\.md|deploy\/.*|scripts\/install\.mjs|[^/]+)$/;
    t.same(
      files.filter((path) => path !== '' && !kinds.test(path)),
      [],
      'nothing of another kind',
    );
    const top = new Set(files.filter(Boolean).map((path) => path.split('/')[0]));
    t.same(
      [...top].sort(),
      'CHANGELOG.md LICENSE README.md addon binding.gyp deploy dist docs package.json scripts'
        .split(' ')
        .sort(),
    );
  });

  await t.test(
    'the package asks for exactly the binaries that there are, and for nothing to develop it',
    async (t) => {
      const said = await manifest(main);
      const asked = [HERE, ...ELSEWHERE].map((platform) => [`aionbd-${platform}`, version]);
      t.same(said.optionalDependencies, Object.fromEntries(asked));
      t.same(Object.keys(said.dependencies ?? {}).sort(), ['node-addon-api', 'prom-client', 'yargs']);
      t.same(Object.keys(said.scripts ?? {}), ['install']);
      t.equal(said.devDependencies, undefined);
    },
  );

  await t.test('each binary says which machines it is for', async (t) => {
    for (const platform of [HERE, ...ELSEWHERE]) {
      const [, cpu = '', abi = ''] = platform.split('-');
      const tarball = join(tarballs, `aionbd-${platform}-${version}.tgz`);
      const file = `aionbd.${platform}.node`;
      t.match(await manifest(tarball), {
        name: `aionbd-${platform}`,
        version,
        os: ['linux'],
        cpu: [cpu],
        libc: [abi === 'gnu' ? 'glibc' : 'musl'],
        main: file,
      });
      t.ok((await contents(tarball)).includes(file), file);
    }
  });

  await t.test(
    'without a compiler the binary that fits is installed, nothing is built, and it serves',
    async (t) => {
      const files = readdirSync(tarballs).map((name) => join(tarballs, name));
      const registry = await startRegistry(t, files);
      const prefix = scratch(t);
      const installed = await installBare(t, registry, prefix);
      t.equal(installed.code, 0, describe(installed));
      t.match(installed.stdout, 'the prebuilt addon fits');
      const home = join(prefix, 'lib/node_modules/aionbd');
      t.notOk(existsSync(join(home, 'build')), 'nothing was built');
      const prebuilt = readdirSync(join(home, 'node_modules')).filter((name) => name.startsWith('aionbd-'));
      t.same(prebuilt, [`aionbd-${HERE}`]);
      t.ok(existsSync(join(prefix, 'share/man/man1/aionbd.1')), 'the manual page is where man looks');

      const image = sparseFile(join(scratch(t), 'disk.img'), 8 * MiB);
      const client = `qemu-io -f raw -c 'write -P 0x5a 1M 1M' -c 'read -P 0x5a 1M 1M' "$uri"`;
      const served = await run(join(prefix, 'bin/aionbd'), ['serve', image, '--run', client]);
      t.equal(served.code, 0, describe(served));
      t.ok(
        readFileSync(image)
          .subarray(MiB, 2 * MiB)
          .equals(Buffer.alloc(MiB, 0x5a)),
        'it is in the file',
      );
    },
  );

  await t.test('with neither a compiler nor a binary that fits it says what to install', async (t) => {
    const registry = await startRegistry(t, [main]);
    const refused = await installBare(t, registry, scratch(t));
    t.not(refused.code, 0, describe(refused));
    const said = refused.stdout + refused.stderr;
    t.match(said, 'python3, make, g++ cannot be found');
    t.match(said, `the package aionbd-${HERE}: not installed`);
    t.match(said, 'apt-get install g++ make python3');
  });
});
