#!/usr/bin/env node
// npm run build:extras [-- DIRECTORY]
//
// What a package brings beside the program, made of the program itself and of docs/cli.md: the manual page and the scripts that
// complete the command in a shell. Written below dist/, or DIRECTORY. Needs dist/cli/main.js.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { literal, sections, synopsis } from './roff.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = process.argv[2] ?? join(root, 'dist');

/** What a manual page has and docs/cli.md has elsewhere or not at all. */
const MORE = `
## Environment

| Variable | |
|---|---|
| \`AIONBD_ADDON\` | Path of the native addon that is loaded instead of the prebuilt or the local one. |
| \`LISTEN_FDS\`, \`LISTEN_PID\` | Sockets that a service manager or a client has opened; see [Ways to be started](#ways). |
| \`NOTIFY_SOCKET\`, \`WATCHDOG_USEC\`, \`WATCHDOG_PID\` | Where a service manager is told of the server's state. |
| \`NO_COLOR\` | Colours are not used. |

## See also

**nbd-client**(8), **qemu-nbd**(8), **nbdinfo**(1), **nbdcopy**(1), **nbdkit**(1), **losetup**(8), **io_submit**(2), **systemd.socket**(5)

The documents that are named here lie in the folder docs of the package; the manual page is made of docs/cli.md.
`;

write('man/aionbd.1', manPage());
// The names are those by which bash-completion and zsh look for them.
write('completion/aionbd', completion('/bin/bash'));
write('completion/_aionbd', completion('/bin/zsh'));

function manPage() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const cli = readFileSync(join(root, 'docs/cli.md'), 'utf8');
  const calls = synopsis(cli).map((line) => line.replace(/^aionbd/, ''));
  return [
    '.\\" Made by scripts/extras.mjs of docs/cli.md; do not edit.',
    `.TH AIONBD 1 "" "aionbd ${version}" "User Commands"`,
    '.SH NAME',
    'aionbd \\- NBD server with direct, asynchronous I/O',
    '.SH SYNOPSIS',
    ...calls.map((line) => `\\fBaionbd\\fR${literal(line)}\n.br`),
    '.SH DESCRIPTION',
    '\\fBaionbd\\fR exports files and block devices to the clients of the NBD protocol: the kernel\\(aqs, qemu and libnbd. It reads and writes them with direct, asynchronous I/O, so no second copy of the data sits in the page cache.',
    sections(cli) + sections(MORE),
  ].join('\n');
}

/** What the command itself prints. yargs looks at the environment for the shell. */
function completion(shell) {
  const { ZSH_NAME, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'dist/cli/main.js'), 'completion'],
    { encoding: 'utf8', env: { ...env, SHELL: shell } },
  );
  if (status !== 0) throw new Error(`aionbd completion ended with ${status}: ${stderr}`);
  // The program says how to install what it prints; what is installed need not.
  return stdout.replace(/^# Installation:.*\n#.*\n/m, '');
}

function write(name, text) {
  const path = join(target, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
