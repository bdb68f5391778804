// The Debian packages that the tests and the checks need, how to see whether one is there, and how to get it.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';

/** Programs of administration lie in sbin, which is not on everybody's PATH. */
export const SEARCH_PATH = [
  ...new Set([
    ...(process.env.PATH ?? '').split(':').filter(Boolean),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
  ]),
].join(':');

/** Whether `name` is an executable program. */
export function hasProgram(name) {
  return SEARCH_PATH.split(':').some((directory) => {
    try {
      accessSync(`${directory}/${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const programs =
  (...names) =>
  () =>
    names.filter((name) => !hasProgram(name));

function kernelModules() {
  const root = '/usr/lib/uml/modules';
  const found =
    existsSync(root) && readdirSync(root).some((v) => existsSync(`${root}/${v}/kernel/drivers/block/nbd.ko`));
  return found ? [] : ['nbd.ko for User Mode Linux'];
}

function pythonModule() {
  // Debian's interpreter by its full name: another python3 earlier on PATH does not see Debian's modules.
  const found = spawnSync('/usr/bin/python3', ['-c', 'import nbd'], { stdio: 'ignore' }).status === 0;
  return found ? [] : ['the nbd module of /usr/bin/python3'];
}

function nbdkitPlugin() {
  if (!hasProgram('nbdkit')) return ['nbdkit'];
  const found = spawnSync('nbdkit', ['nbd', '--dump-plugin'], { stdio: 'ignore' }).status === 0;
  return found ? [] : ["nbdkit's plugin nbd"];
}

/** `missing()` names what is not there; `tests` are the directories under test/ that need it, '*' all that have a server. */
export const TEST_PACKAGES = [
  { name: 'nbdkit', tests: ['foreign', 'guides'], missing: nbdkitPlugin },
  { name: 'libnbd-bin', tests: '*', missing: programs('nbdinfo', 'nbdcopy', 'nbdfuse') },
  { name: 'python3-libnbd', tests: '*', missing: pythonModule },
  { name: 'qemu-utils', tests: '*', missing: programs('qemu-io', 'qemu-img', 'qemu-nbd') },
  { name: 'prometheus', tests: ['metrics', 'guides'], missing: programs('prometheus', 'promtool') },
  { name: 'fio', tests: ['foreign', 'kernel', 'metrics', 'browser'], missing: programs('fio') },
  { name: 'fuse3', tests: ['foreign'], missing: programs('fusermount3') },
  { name: 'chromium', tests: ['browser'], missing: programs('chromium') },
  { name: 'tmux', tests: ['cli'], missing: programs('tmux') },
  { name: 'man-db', tests: ['packaging'], missing: programs('man') },
  { name: 'binutils', tests: ['packaging'], missing: programs('objdump') },
  { name: 'systemd', tests: ['deploy'], missing: programs('systemd-analyze') },
  { name: 'nbd-client', tests: ['kernel', 'guides'], missing: programs('nbd-client') },
  {
    name: 'user-mode-linux',
    tests: ['kernel', 'guides'],
    missing: () => [...programs('linux.uml')(), ...kernelModules()],
  },
  { name: 'kmod', tests: ['kernel', 'guides'], missing: programs('insmod', 'modprobe') },
  { name: 'iproute2', tests: ['kernel', 'guides'], missing: programs('ip') },
  { name: 'e2fsprogs', tests: ['foreign', 'kernel', 'guides'], missing: programs('mkfs.ext4', 'e2fsck') },
  { name: 'mount', tests: ['foreign', 'kernel', 'guides'], missing: programs('mount', 'umount', 'losetup') },
  { name: 'bsdutils', tests: ['cli', 'guides'], missing: programs('script') },
  { name: 'qemu-system-x86', tests: ['guides'], missing: programs('qemu-system-x86_64') },
  { name: 'procps', tests: ['guides'], missing: programs('sysctl') },
  { name: 'curl', tests: ['guides'], missing: programs('curl') },
  {
    name: 'util-linux',
    tests: '*',
    missing: programs('setpriv', 'fstrim', 'fsfreeze', 'blkdiscard', 'blockdev', 'fallocate', 'prlimit'),
  },
];

/** Loop devices and mounts make file systems with sectors of a chosen size; no package brings the permission. */
export function missingPrivileges() {
  if (process.getuid?.() !== 0)
    return ['missing: root, to make loop devices and mount file systems; remedy: run as root'];
  if (!existsSync('/dev/loop-control')) return ['missing: /dev/loop-control; remedy: modprobe loop'];
  return [];
}

const mayInstall = () => process.getuid?.() === 0 && hasProgram('apt-get');

function aptGet(...args) {
  return spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, PATH: SEARCH_PATH, DEBIAN_FRONTEND: 'noninteractive' },
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
}

/**
 * Installs those of `packages` of which something is missing. Returns one line for each thing that is still missing
 * afterwards; an empty list means that everything is there.
 */
export function ensurePackages(packages) {
  const wanting = () => packages.filter((p) => p.missing().length > 0);
  let wanted = wanting();
  let reason = '';
  if (wanted.length > 0 && mayInstall()) {
    const names = wanted.map((p) => p.name);
    console.log(`# installing ${names.join(' ')}`);
    let result = aptGet('install', '-y', '--no-install-recommends', ...names);
    if (result.status !== 0) {
      aptGet('update');
      result = aptGet('install', '-y', '--no-install-recommends', ...names);
    }
    if (result.status !== 0) reason = `\n${result.stderr.trimEnd()}`;
    wanted = wanting();
  }
  if (wanted.length === 0) return [];
  const lines = wanted.map((p) => `missing: ${p.missing().join(', ')} (Debian package ${p.name})`);
  lines.push(`remedy: apt-get install ${wanted.map((p) => p.name).join(' ')}${reason}`);
  return lines;
}
