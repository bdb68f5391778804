// `npm start`: serves demo.img on localhost:10809 and says what to type next. Flags are passed on to `aionbd serve`:
// `npm start -- --listen localhost:10999`.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** In the working directory, which npm makes the package's. */
const image = 'demo.img';

if (!existsSync(join(root, 'dist/cli/main.js')) || !existsSync(join(root, 'build/Release/aionbd.node'))) {
  const { status } = spawnSync('npm', ['run', 'build'], { cwd: root, stdio: ['inherit', 2, 'inherit'] });
  if (status !== 0) {
    process.exit(status ?? 1);
  }
}

const { report, run } = await import('../dist/cli/run.js');
process.stdout.on('error', () => {});
process.on('uncaughtException', (error) => process.exit(report(error)));
process.on('unhandledRejection', (error) => process.exit(report(error)));

if (!existsSync(image)) {
  const code = await run(['create', image, '--size', '1G']);
  if (code !== 0) {
    process.exit(code);
  }
}
process.exit(await run(['serve', image, ...process.argv.slice(2)], { ready: hint }));

/** @param {readonly string[]} uris */
function hint([uri]) {
  const { protocol, hostname, port } = new URL(uri);
  const host = hostname.replace(/^\[|\]$/g, '');
  const place =
    protocol === 'nbd:' ? `${host} ${port}` : `-unix ${decodeURIComponent(uri.split('socket=')[1])}`;
  process.stderr.write(`
Serving ${resolve(image)}. In another terminal:

  nbdinfo ${shell(uri)}
  qemu-io -f raw -c 'write -P 7 1M 64k' -c 'read -P 7 1M 64k' ${shell(uri)}

or as a disk of this machine, as root:

  modprobe nbd
  nbd-client -N ${image} -C 4 ${place} /dev/nbd0
  mkfs.ext4 /dev/nbd0 && mount /dev/nbd0 /mnt
  umount /mnt && nbd-client -d /dev/nbd0

With cores to spare, npm start -- --threads 4 serves those four connections on threads of their own.

Ctrl-C stops the server.

`);
}

/** @param {string} word */
function shell(word) {
  return /^[\w:/.[\]-]+$/.test(word) ? word : `'${word}'`;
}
