#!/usr/bin/env node
// npm run package [-- --out DIRECTORY] [--artifacts DIRECTORY] [--no-build]
//
// Makes the tarballs that are to be published: the package itself, and one with the prebuilt addon for each target of which there is a binary.
// The addon of this machine is one of them; --artifacts names a directory with those that other machines have built, as
// aionbd.linux-arm64-gnu.node and the like. Nothing is published.
//
// All of this happens to a copy, since only the published package.json asks for the prebuilt packages: in a source tree
// npm would look for them in the registry.

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NAPI = join(root, 'node_modules/.bin/napi');

/** Targets of @napi-rs/cli, by what it calls their files. */
const TARGETS = {
  'linux-x64-gnu': 'x86_64-unknown-linux-gnu',
  'linux-arm64-gnu': 'aarch64-unknown-linux-gnu',
  'linux-x64-musl': 'x86_64-unknown-linux-musl',
  'linux-arm64-musl': 'aarch64-unknown-linux-musl',
};

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'build-packages') },
    artifacts: { type: 'string' },
    'no-build': { type: 'boolean', default: false },
  },
});

const out = resolve(values.out);
const stage = mkdtempSync(join(tmpdir(), 'aionbd-package-'));
try {
  if (!values['no-build']) {
    // What an older source has left there would be packed as well.
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    // Without dist/ this builds the addon.
    run('npm', ['run', '-s', 'install'], root);
    run('npm', ['run', '-s', 'build:ts'], root);
  }
  run(process.execPath, [join(root, 'scripts/extras.mjs')], root);
  copyPackage();
  const platforms = await gatherAddons();
  const manifest = stagedManifest(platforms);
  writeManifest(manifest);
  run(NAPI, ['create-npm-dirs'], stage);
  run(NAPI, ['artifacts'], stage);
  run(NAPI, ['version'], stage);
  run(NAPI, ['pre-publish', '-t', 'npm', '--no-gh-release', '--skip-optional-publish', '--dry-run'], stage);
  writeManifest(published(manifest, platforms));
  mkdirSync(out, { recursive: true });
  const folders = ['.', ...platforms.map((platform) => `./npm/${platform}`)];
  const packed = run('npm', ['pack', '--pack-destination', out, ...folders], stage);
  for (const tarball of packed.trim().split('\n')) console.log(join(out, tarball));
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** Copies what `files` in package.json says, as npm understands it. */
function copyPackage() {
  const said = JSON.parse(run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], root));
  const { files } = Array.isArray(said) ? said[0] : Object.values(said)[0];
  for (const { path } of files) {
    mkdirSync(dirname(join(stage, path)), { recursive: true });
    copyFileSync(join(root, path), join(stage, path));
  }
}

/** Collects binaries in artifacts/ and returns the platforms that they are for. */
async function gatherAddons() {
  const { ownSurroundings, prebuiltPackages } = await import(
    pathToFileURL(join(root, 'dist/engine/find-addon.js')).href
  );
  const folder = join(stage, 'artifacts');
  mkdirSync(folder);
  if (values.artifacts !== undefined) cpSync(values.artifacts, folder, { recursive: true });
  const here = prebuiltPackages(ownSurroundings())[0].replace('aionbd-', '');
  copyFileSync(join(root, 'build/Release/aionbd.node'), join(folder, `aionbd.${here}.node`));
  const platforms = readdirSync(folder).map((name) => /^aionbd\.(.+)\.node$/.exec(name)?.[1]);
  const unknown = platforms.filter((platform) => TARGETS[platform] === undefined);
  if (unknown.length > 0)
    throw new Error(`no target for ${unknown.join(', ')}; know ${Object.keys(TARGETS).join(', ')}`);
  return platforms;
}

/** @napi-rs/cli wants a binary for each target that it finds. */
function stagedManifest(platforms) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const known = manifest.napi.targets;
  const targets = platforms.map((platform) => TARGETS[platform]);
  const surplus = targets.filter((target) => !known.includes(target));
  if (surplus.length > 0) throw new Error(`not among the targets in package.json: ${surplus.join(', ')}`);
  return { ...manifest, napi: { ...manifest.napi, targets } };
}

/**
 * What users get: it asks for those prebuilt packages that there are, by exact version, and has no script but the one that
 * installs it. A package of another platform that nobody has published must not be asked for: anybody could take its name.
 */
function published({ napi, devDependencies, scripts, ...manifest }, platforms) {
  const { version } = manifest;
  return {
    ...manifest,
    scripts: { install: scripts.install },
    optionalDependencies: Object.fromEntries(platforms.map((platform) => [`aionbd-${platform}`, version])),
  };
}

function writeManifest(manifest) {
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Runs a program that has to succeed, and returns what it printed. */
function run(program, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')}: ${error ?? `exit ${status}`}\n${stdout}${stderr}`);
}
