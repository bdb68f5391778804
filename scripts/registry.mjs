#!/usr/bin/env node
// node scripts/registry.mjs TARBALL...
//
// A registry on loopback for trying installations without the real one: it has the packages in these tarballs, and those in node_modules.
// Prints its URL and serves until its stdin ends. What it does not have does not exist: 404.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MOST_BYTES = 64 << 20;

/** By name, then by version: package.json and a function that gives the tarball. */
const packages = new Map();
for (const file of process.argv.slice(2)) addTarball(file);
addNodeModules();

const server = createServer((request, response) => {
  const [path] = decodeURIComponent(request.url).slice(1).split('?');
  const tarball = /^(.+)\/-\/(.+)\.tgz$/.exec(path);
  const found = packages.get(tarball?.[1] ?? path);
  if (found === undefined) return void response.writeHead(404).end('{"error":"not found"}');
  if (tarball !== null) return void response.end(found.get(tarball[2]).pack());
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(about(path, found, `http://${request.headers.host}`)));
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.stdin.resume().on('end', () => process.exit(0));

/** What npm asks for first: all versions, and where to get each. */
function about(name, found, url) {
  const versions = [...found].map(([version, { manifest }]) => [
    version,
    { ...manifest, dist: { tarball: `${url}/${name}/-/${version}.tgz` } },
  ]);
  const latest = versions.at(-1)[0];
  return { name, 'dist-tags': { latest }, versions: Object.fromEntries(versions) };
}

function addTarball(file) {
  const text = execFileSync('tar', ['-xzOf', file, 'package/package.json'], { encoding: 'utf8' });
  add(JSON.parse(text), () => readFileSync(file));
}

function addNodeModules() {
  const { packages: locked } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  for (const path of Object.keys(locked)) {
    const folder = join(root, path);
    const file = join(folder, 'package.json');
    if (path === '' || !existsSync(file)) continue;
    const pack = () =>
      execFileSync(
        'tar',
        ['-czf', '-', '-C', dirname(folder), `--transform=s,^[^/]*,package,`, basename(folder)],
        { maxBuffer: MOST_BYTES },
      );
    // npm has run these when they were installed here.
    add({ ...JSON.parse(readFileSync(file, 'utf8')), scripts: {} }, pack);
  }
}

function add(manifest, pack) {
  const { name, version } = manifest;
  // npm knows by this that there is something to run after unpacking.
  const hasInstallScript = manifest.scripts?.install !== undefined;
  const versions = packages.get(name) ?? new Map();
  if (!versions.has(version)) versions.set(version, { manifest: { ...manifest, hasInstallScript }, pack });
  packages.set(name, versions);
}
