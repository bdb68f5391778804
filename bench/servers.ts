import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Address } from './address.js';
import { findProgram } from './command.js';
import { BenchFailure } from './failure.js';
import { buildRevision } from './revision.js';

export type CommandLine = readonly [program: string, ...args: string[]];

/** A server to measure: how to start it, and how it tells that it is ready. */
export interface ServerKind {
  readonly description: string;
  /** `uri`: prints its URI on stdout. `connect`: says nothing, so we try to connect until it accepts. */
  readonly ready: 'uri' | 'connect';
  /** Reads through the page cache: it is filled before a round, so that this server is seen at its best. */
  readonly pageCache: boolean;
  /** Throws BenchFailure if the program is not there. */
  readonly command: (file: string, address: Address) => CommandLine;
}

const AIONBD_MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** Connections are not what is compared: enough for every case. */
const QEMU_SHARED = 32;

/** A further peer is a further entry; nothing else depends on which ones there are. */
export const SERVERS: Readonly<Record<string, ServerKind>> = {
  aionbd: {
    description: 'this project, direct I/O',
    ready: 'uri',
    pageCache: false,
    command: (file, address) => aionbdCommand(file, address, []),
  },
  'aionbd-buffered': {
    description: 'this project with --direct off, through the page cache',
    ready: 'uri',
    pageCache: true,
    command: (file, address) => [...aionbdCommand(file, address, []), '--direct', 'off'],
  },
  'qemu-nbd-io_uring': {
    description: 'qemu-nbd --cache=none --aio=io_uring',
    ready: 'connect',
    pageCache: false,
    command: (file, address) => qemuCommand(file, address, 'io_uring'),
  },
  'qemu-nbd-native': {
    description: 'qemu-nbd --cache=none --aio=native',
    ready: 'connect',
    pageCache: false,
    command: (file, address) => qemuCommand(file, address, 'native'),
  },
  'qemu-nbd-threads': {
    description: 'qemu-nbd --cache=none --aio=threads',
    ready: 'connect',
    pageCache: false,
    command: (file, address) => qemuCommand(file, address, 'threads'),
  },
  nbdkit: {
    description: 'nbdkit file, through the page cache',
    ready: 'connect',
    pageCache: true,
    command: (file, address) => [findProgram('nbdkit'), '-f', ...nbdkitListen(address), 'file', file],
  },
};

/** `aionbd@COMMIT` is this project as it was then. */
const AT_REVISION = /^aionbd@(.+)$/;

/** Undefined for a name that is none. Builds what has to be built; throws BenchFailure if it can't be. */
export function serverKind(name: string): ServerKind | undefined {
  const revision = AT_REVISION.exec(name)?.[1];
  if (revision === undefined) return SERVERS[name];
  const main = buildRevision(revision);
  return {
    description: `this project at ${revision}`,
    ready: 'uri',
    pageCache: false,
    command: (file, address) => serveCommand(main, file, address, []),
  };
}

export const DEFAULT_CANDIDATE = 'aionbd';
export const DEFAULT_PEER = 'qemu-nbd-io_uring';

/** The command line of this project's server, with `nodeFlags` for the Node.js it runs in. */
export function aionbdCommand(file: string, address: Address, nodeFlags: readonly string[]): CommandLine {
  if (!existsSync(AIONBD_MAIN)) {
    throw new BenchFailure(`aionbd is not built (no ${AIONBD_MAIN}); run: npm run build`);
  }
  return serveCommand(AIONBD_MAIN, file, address, nodeFlags);
}

function serveCommand(
  main: string,
  file: string,
  address: Address,
  nodeFlags: readonly string[],
): CommandLine {
  const listen = address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
  return [process.execPath, ...nodeFlags, main, 'serve', file, '-l', listen, '--metrics', 'off'];
}

function qemuCommand(file: string, address: Address, aio: 'io_uring' | 'native' | 'threads'): CommandLine {
  const listen =
    address.kind === 'unix' ? ['-k', address.path] : ['-b', address.host, '-p', `${address.port}`];
  const fixed = ['-f', 'raw', '-t', `--shared=${QEMU_SHARED}`, '--cache=none', `--aio=${aio}`];
  return [findProgram('qemu-nbd'), ...fixed, ...listen, file];
}

function nbdkitListen(address: Address): readonly string[] {
  return address.kind === 'unix' ? ['-U', address.path] : ['-i', address.host, '-p', `${address.port}`];
}
