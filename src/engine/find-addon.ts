import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AionbdError } from '../errors.js';

/** What decides which addon is loaded. */
export interface Surroundings {
  /** A file that is taken instead of all others; nothing else is tried then. */
  readonly override: string | undefined;
  /** As `process.platform` and `process.arch` have it. */
  readonly platform: string;
  readonly arch: string;
  /** The program that is to load the addon, which tells its C library: node. */
  readonly program: string;
  /** A file of this package: prebuilt packages are looked for as if it asked for them. */
  readonly from: string;
  /** Where the build on this machine lies. */
  readonly built: string;
  /** Version of this package, which a prebuilt one must have too: the two share a layout of memory. */
  readonly version: string;
}

/** An addon that has been loaded, and where from. */
export interface FoundAddon {
  readonly exports: unknown;
  readonly path: string;
}

/** A place that was looked at in vain. */
export interface Failure {
  readonly place: string;
  readonly reason: string;
}

const requireHere = createRequire(import.meta.url);

/** This process and this package; both lie two levels up from `src/engine` as from `dist/engine` and bundles. */
export function ownSurroundings(override?: string): Surroundings {
  return {
    override,
    platform: process.platform,
    arch: process.arch,
    program: process.execPath,
    from: import.meta.url,
    built: fileURLToPath(new URL('../../build/Release/aionbd.node', import.meta.url)),
    // Looked up only when there is a prebuilt package to compare with. Read, since to require it takes a millisecond more.
    get version() {
      const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    },
  };
}

/**
 * Loads the addon: the override if there is one; else the prebuilt package that fits; else the build of this machine.
 *
 * @throws AionbdError AIONBD_E_ADDON, which names each place that was tried, what was wrong there, and the remedy
 */
export function findAddon(around: Surroundings): FoundAddon {
  const { override, built } = around;
  if (override !== undefined) {
    const found = load(override, override);
    if ('exports' in found) return found;
    throw cannotLoad([found], 'correct the path in AIONBD_ADDON, or leave that out');
  }
  const prebuilt = findPrebuilt(around);
  if (!Array.isArray(prebuilt)) return prebuilt;
  const local = load(built, `${built}, built on this machine`);
  if ('exports' in local) return local;
  throw cannotLoad([...prebuilt, local], remedy(built));
}

/** Loads the prebuilt package that fits, or says why there is none: never throws, so that it can be asked when installing. */
export function findPrebuilt(around: Surroundings): FoundAddon | Failure[] {
  const failures: Failure[] = [];
  for (const name of prebuiltPackages(around)) {
    const found = loadPackage(name, around);
    if ('exports' in found) return found;
    failures.push(found);
  }
  return failures;
}

/**
 * Names of the packages that may fit, best first: mostly one. Of a program that does not tell its C library both are tried;
 * loading the wrong one fails.
 */
export function prebuiltPackages({ platform, arch, program }: Surroundings): string[] {
  const libc = libcOf(program);
  const abis = libc === undefined ? ['gnu', 'musl'] : [libc];
  return abis.map((abi) => `aionbd-${platform}-${arch}-${abi}`);
}

/** More than the headers of a program take, behind which the name of its dynamic linker is. */
const HEAD_BYTES = 4096;

/** By the dynamic linker that the program asks for. `process.report` knows too, and takes milliseconds. */
function libcOf(program: string): 'gnu' | 'musl' | undefined {
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    const fd = openSync(program, 'r');
    try {
      readSync(fd, head, 0, HEAD_BYTES, 0);
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
  if (head.includes('/ld-musl-')) return 'musl';
  return head.includes('/ld-linux') ? 'gnu' : undefined;
}

function loadPackage(name: string, around: Surroundings): FoundAddon | Failure {
  const ask = createRequire(around.from);
  let path: string;
  let theirs: string;
  try {
    theirs = (ask(`${name}/package.json`) as { version: string }).version;
    path = ask.resolve(name);
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'MODULE_NOT_FOUND';
    return { place: `the package ${name}`, reason: missing ? 'not installed' : messageOf(cause) };
  }
  const place = `the package ${name} at ${path}`;
  const { version } = around;
  if (theirs !== version) {
    return { place, reason: `it is of version ${theirs}, and this is aionbd ${version}` };
  }
  return load(path, place);
}

function load(path: string, place: string): FoundAddon | Failure {
  if (!existsSync(path)) return { place, reason: 'there is no such file' };
  try {
    if (isCutShort(path)) return { place, reason: 'the file is cut short' };
    return { exports: requireHere(path) as unknown, path };
  } catch (cause) {
    // The message mostly begins with the path, which is there already.
    return { place, reason: messageOf(cause).replace(`${path}: `, '') };
  }
}

/** Of the head of an ELF file: where the table of its sections begins, which linkers put last, and how long that is. */
const ELF = { headBytes: 64, is64BitOffset: 4, byteOrderOffset: 5 } as const;
const SECTIONS = { startOffset: 40, entryBytesOffset: 58, countOffset: 60 } as const;

/**
 * Whether an addon's file ends before it should, as after a download that broke off: what is missing is mapped all the same, and whoever
 * touches it ends by SIGBUS, without a word. What is no file of this kind is for the linker to refuse.
 */
function isCutShort(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(ELF.headBytes);
    const isElf = readSync(fd, head, 0, ELF.headBytes, 0) > 4 && head.toString('latin1', 0, 4) === '\x7fELF';
    const [isFamiliar, isBig] = [head[ELF.is64BitOffset] === 2, head[ELF.byteOrderOffset] === 2];
    if (!isElf || !isFamiliar || isBig) return false;
    const start = Number(head.readBigUInt64LE(SECTIONS.startOffset));
    const bytes = head.readUInt16LE(SECTIONS.entryBytesOffset) * head.readUInt16LE(SECTIONS.countOffset);
    return fstatSync(fd).size < start + bytes;
  } finally {
    closeSync(fd);
  }
}

function messageOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0] ?? '';
}

function remedy(built: string): string {
  return built.includes('/node_modules/')
    ? 'build it, where aionbd is installed, with "npm rebuild aionbd" (for a global installation "npm rebuild -g aionbd"), which needs python3, make and g++'
    : 'build it for this machine and this Node with "npm ci", which needs python3, make and g++';
}

function cannotLoad(failures: readonly Failure[], advice: string): AionbdError {
  const tried = failures.map(({ place, reason }) => `${place} (${reason})`).join(', ');
  return new AionbdError('AIONBD_E_ADDON', `the native addon cannot be loaded. Tried: ${tried}; ${advice}`);
}
