import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Address } from './address.js';
import { findProgram } from './command.js';
import { BenchFailure } from './failure.js';
import { FLOORS } from './floors.js';
import { LOCAL_TARGETS, type LocalKind } from './local-targets.js';
import { buildRevision } from './revision.js';
import { UNCOUNTED_MAIN } from './uncounted.js';

export type CommandLine = readonly [program: string, ...args: string[]];

/** What a server's command line depends on. */
export interface Launch {
  readonly file: string;
  readonly address: Address;
  /** For what the server needs besides: removed after it has ended. */
  readonly folder: string;
  /** Flags for Node.js; servers that don't run on it ignore them. */
  readonly nodeFlags?: readonly string[];
}

/** A server to measure: how to start it, and how it tells that it is ready. */
export interface ServerKind {
  readonly kind: 'server';
  readonly description: string;
  /** What has to be installed. */
  readonly programs: readonly string[];
  /** `uri`: prints its URI on stdout. `connect`: says nothing, so we try to connect until it accepts. */
  readonly ready: 'uri' | 'connect';
  /** Reads through the page cache: it is filled before a round, so that this server is seen at its best. */
  readonly pageCache: boolean;
  /** Runs on Node.js, and so has garbage collections. */
  readonly onNode?: boolean;
  /** What it exports is known by this name; default: the default export. */
  readonly exportName?: string;
  /** Goes to the background; its process id is then in {@link PID_FILE} of the launch's folder. */
  readonly daemon?: boolean;
  /** Throws BenchFailure if the program is not there. */
  readonly command: (launch: Launch) => CommandLine;
}

/** What can be measured: NBD servers, and the same load without one. */
export type Contender = ServerKind | LocalKind;

export const PID_FILE = 'server.pid';

const AIONBD_MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** Connections are not what is compared: enough for every case. */
const QEMU_SHARED = 32;

/** A further peer is a further entry; what runs when is in sets.ts. */
export const SERVERS: Readonly<Record<string, Contender>> = {
  aionbd: aionbd('this project, as it is by default: direct I/O', []),
  'aionbd-no-busy-poll': aionbd('this project, --busy-poll off', ['--busy-poll', 'off']),
  'aionbd-buffered': aionbd('this project, --direct off: through the page cache', ['--direct', 'off'], true),
  'aionbd-uncounted': {
    ...aionbd('this project, counting no requests (npm run bench:metrics)', []),
    command: (launch) => {
      if (!existsSync(UNCOUNTED_MAIN)) {
        throw new BenchFailure('aionbd-uncounted is not built; npm run bench:metrics does that');
      }
      return serveCommand(UNCOUNTED_MAIN, launch, []);
    },
  },
  'aionbd-threads2': aionbd('this project, --threads 2', ['--threads', '2']),
  'qemu-nbd-io_uring': qemu('io_uring'),
  'qemu-nbd-native': qemu('native'),
  'qemu-nbd-threads': qemu('threads'),
  nbdkit: {
    kind: 'server',
    description: 'nbdkit file, through the page cache',
    programs: ['nbdkit'],
    ready: 'connect',
    pageCache: true,
    command: ({ file, address }) => [findProgram('nbdkit'), '-f', ...nbdkitListen(address), 'file', file],
  },
  'nbd-server': {
    kind: 'server',
    description: 'nbd-server, through the page cache',
    programs: ['nbd-server'],
    ready: 'connect',
    pageCache: true,
    exportName: 'bench',
    daemon: true,
    command: nbdServerCommand,
  },
  ...LOCAL_TARGETS,
  // Last, here as in every table.
  ...FLOORS,
};

export const QEMU_ENGINES = ['qemu-nbd-native', 'qemu-nbd-io_uring', 'qemu-nbd-threads'] as const;

/** `aionbd@COMMIT` is this project as it was then. */
const AT_REVISION = /^aionbd@(.+)$/;

/** Builds what has to be built. Throws BenchFailure if there is none of this name or it can't be built. */
export function contenderNamed(name: string): Contender {
  const revision = AT_REVISION.exec(name)?.[1];
  if (revision !== undefined) {
    const main = buildRevision(revision);
    return {
      kind: 'server',
      description: `this project at ${revision}`,
      programs: [],
      ready: 'uri',
      pageCache: false,
      onNode: true,
      command: (launch) => serveCommand(main, launch, []),
    };
  }
  const found = Object.hasOwn(SERVERS, name) ? SERVERS[name] : undefined;
  if (found !== undefined) return found;
  const names = [...Object.keys(SERVERS), 'aionbd@COMMIT'].join(', ');
  throw new BenchFailure(`--server ${name}: there is no such one; take one of ${names}`);
}

function aionbd(description: string, flags: readonly string[], pageCache = false): ServerKind {
  return {
    kind: 'server',
    description,
    programs: [],
    ready: 'uri',
    pageCache,
    onNode: true,
    command: (launch) => aionbdCommand(launch, flags),
  };
}

/** The command line of this project's server as it is in dist/; throws BenchFailure if it is not built. */
export function aionbdCommand(launch: Launch, flags: readonly string[]): CommandLine {
  if (!existsSync(AIONBD_MAIN)) {
    throw new BenchFailure(`aionbd is not built (no ${AIONBD_MAIN}); run: npm run build`);
  }
  return serveCommand(AIONBD_MAIN, launch, flags);
}

function serveCommand(main: string, launch: Launch, flags: readonly string[]): CommandLine {
  const { file, address, nodeFlags = [] } = launch;
  const listen = address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
  return [process.execPath, ...nodeFlags, main, 'serve', file, '-l', listen, '--metrics', 'off', ...flags];
}

function qemu(aio: 'io_uring' | 'native' | 'threads'): ServerKind {
  return {
    kind: 'server',
    description: `qemu-nbd --cache=none --aio=${aio}`,
    programs: ['qemu-nbd'],
    ready: 'connect',
    pageCache: false,
    command: ({ file, address }) => {
      const listen =
        address.kind === 'unix' ? ['-k', address.path] : ['-b', address.host, '-p', `${address.port}`];
      const fixed = ['-f', 'raw', '-t', `--shared=${QEMU_SHARED}`, '--cache=none', `--aio=${aio}`];
      return [findProgram('qemu-nbd'), ...fixed, ...listen, file];
    },
  };
}

function nbdkitListen(address: Address): readonly string[] {
  return address.kind === 'unix' ? ['-U', address.path] : ['-i', address.host, '-p', `${address.port}`];
}

/** Without -d, which serves one client and no more: it goes to the background and forks for each connection. */
function nbdServerCommand({ file, address, folder }: Launch): CommandLine {
  const listen =
    address.kind === 'unix'
      ? [`unixsock = ${address.path}`]
      : [`listenaddr = ${address.host}`, `port = ${address.port}`];
  const config = join(folder, 'nbd-server.conf');
  writeFileSync(config, ['[generic]', ...listen, '[bench]', `exportname = ${file}`, ''].join('\n'));
  return [findProgram('nbd-server'), '-C', config, '-p', join(folder, PID_FILE)];
}
