// Which addon is loaded, and what is said when none can be. The places are made up; the addon in them is the real one.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { findAddon, findPrebuilt, prebuiltPackages, type Surroundings } from '../../src/engine/find-addon.js';
import { AionbdError } from '../../src/errors.js';
import { ADDON } from '../addon/processes.js';
import { scratch } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { MAIN } from '../support/server.js';

const VERSION = '1.2.3';

/** Of an ELF file: the machine it is for, and the number of one that this is not. */
const MACHINE_OFFSET = 18;
const S390 = 22;

interface Place extends Surroundings {
  readonly directory: string;
}

/** A package in node_modules of an empty directory, without an addon; its program is linked against glibc, as far as can be seen. */
function emptyPlace(t: Test, interpreter = '/lib64/ld-linux-x86-64.so.2'): Place {
  const directory = scratch(t);
  const home = join(directory, 'node_modules/aionbd');
  mkdirSync(join(home, 'build/Release'), { recursive: true });
  const program = join(directory, 'program');
  writeFileSync(program, `\x7fELF${'\0'.repeat(800)}${interpreter}\0`);
  return {
    directory,
    override: undefined,
    platform: 'linux',
    arch: 'x64',
    program,
    from: join(home, 'index.js'),
    built: join(home, 'build/Release/aionbd.node'),
    version: VERSION,
  };
}

interface Prebuilt {
  readonly abi?: string;
  readonly version?: string;
  /** Default: the addon under test. */
  readonly content?: Uint8Array;
}

/** Puts a prebuilt package there and returns the path of its addon. */
function addPrebuilt({ directory }: Place, { abi = 'linux-x64-gnu', version = VERSION, content }: Prebuilt) {
  const folder = join(directory, `node_modules/aionbd-${abi}`);
  mkdirSync(folder, { recursive: true });
  const main = `aionbd.${abi}.node`;
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: `aionbd-${abi}`, version, main, files: [main] }),
  );
  if (content === undefined) copyFileSync(ADDON, join(folder, main));
  else writeFileSync(join(folder, main), content);
  return join(folder, main);
}

function addBuilt({ built }: Place): string {
  mkdirSync(dirname(built), { recursive: true });
  copyFileSync(ADDON, built);
  return built;
}

function forAnotherMachine(): Buffer {
  const addon = readFileSync(ADDON);
  addon.writeUInt16LE(S390, MACHINE_OFFSET);
  return addon;
}

/** What findAddon says when there is none. */
function refusal(t: Test, place: Surroundings): string {
  try {
    findAddon(place);
  } catch (error) {
    t.ok(error instanceof AionbdError && error.code === 'AIONBD_E_ADDON', 'AIONBD_E_ADDON', {
      error: String(error),
    });
    const { message } = error as Error;
    t.notMatch(message, '\n', 'it is one line');
    return message;
  }
  t.fail('an addon was loaded');
  return '';
}

function loads(t: Test, place: Surroundings, path: string): void {
  const found = findAddon(place);
  t.equal(found.path, path);
  t.type((found.exports as { Reactor: unknown }).Reactor, 'function');
}

t.test('a prebuilt package is loaded before the local build', async (t) => {
  const place = emptyPlace(t);
  addBuilt(place);
  loads(t, place, addPrebuilt(place, {}));
});

t.test('without a prebuilt package the local build is loaded', async (t) => {
  const place = emptyPlace(t);
  loads(t, place, addBuilt(place));
});

t.test('the override is loaded before all others', async (t) => {
  const place = emptyPlace(t);
  addBuilt(place);
  addPrebuilt(place, {});
  const override = join(place.directory, 'mine.node');
  copyFileSync(ADDON, override);
  loads(t, { ...place, override }, override);
});

t.test('an override that cannot be loaded is an error, though others could', async (t) => {
  const place = emptyPlace(t);
  addBuilt(place);
  addPrebuilt(place, {});
  const missing = join(place.directory, 'missing.node');
  const said = refusal(t, { ...place, override: missing });
  t.match(said, `${missing} (there is no such file)`);
  t.match(said, 'AIONBD_ADDON');
  t.notMatch(said, 'the package');
  const broken = join(place.directory, 'broken.node');
  writeFileSync(broken, 'no addon');
  t.match(refusal(t, { ...place, override: broken }), `${broken} (`);
});

t.test('a prebuilt package that does not do gives way to the local build', async (t) => {
  const cases: Record<string, Prebuilt> = {
    'a broken file': { content: Buffer.from('no addon') },
    'an empty file': { content: Buffer.alloc(0) },
    'one for another machine': { content: forAnotherMachine() },
    'one of another version': { version: '1.2.4' },
    'one for musl': { abi: 'linux-x64-musl' },
    'one for arm64': { abi: 'linux-arm64-gnu' },
  };
  for (const [title, prebuilt] of Object.entries(cases)) {
    t.test(title, async (t) => {
      const place = emptyPlace(t);
      addPrebuilt(place, prebuilt);
      loads(t, place, addBuilt(place));
    });
  }
});

t.test('a file that is cut short anywhere is refused in words, in a process that lives on', async (t) => {
  const whole = readFileSync(ADDON);
  const file = join(scratch(t), 'cut.node');
  const env = { AIONBD_ADDON: file };
  for (const length of [
    3,
    40,
    64,
    4096,
    Math.round(whole.length / 2),
    whole.length - 4096,
    whole.length - 1,
  ]) {
    writeFileSync(file, whole.subarray(0, length));
    const doctor = await run(process.execPath, [MAIN, 'doctor'], { env });
    t.same({ code: doctor.code, signal: doctor.signal }, { code: 1, signal: null }, `${length} bytes`);
    const reason =
      length < 64 ? /PROBLEM +addon .*cut\.node \(/ : /PROBLEM +addon .*\(the file is cut short\)/;
    t.match(doctor.stdout, reason, describe(doctor));
  }
  const place = emptyPlace(t);
  addPrebuilt(place, { content: whole.subarray(0, whole.length / 2) });
  loads(t, place, addBuilt(place));
});

t.test('where none can be loaded each place is named, with what is wrong and what to do', async (t) => {
  const nothing = emptyPlace(t);
  const said = refusal(t, nothing);
  t.match(said, 'the package aionbd-linux-x64-gnu (not installed)');
  t.match(said, `${nothing.built}, built on this machine (there is no such file)`);
  t.match(said, '"npm rebuild aionbd"');
  t.match(said, 'python3, make and g++');
  t.match(refusal(t, { ...nothing, built: '/src/build/Release/x.node' }), '"npm ci"', 'in a source tree');

  const broken = emptyPlace(t);
  const path = addPrebuilt(broken, { content: forAnotherMachine() });
  writeFileSync(broken.built, 'no addon');
  const why = refusal(t, broken);
  t.match(why, `the package aionbd-linux-x64-gnu at ${path} (`);
  t.match(why, `${broken.built}, built on this machine (`);
  t.notMatch(why, '()', 'each with a reason');

  const old = emptyPlace(t);
  addPrebuilt(old, { version: '1.0.0' });
  t.match(refusal(t, old), `(it is of version 1.0.0, and this is aionbd ${VERSION})`);

  const hollow = emptyPlace(t);
  const gone = addPrebuilt(hollow, {});
  writeFileSync(join(dirname(gone), 'package.json'), '{ broken');
  t.match(refusal(t, hollow), /the package aionbd-linux-x64-gnu \((?!not installed)[^)]+\)/);
});

t.test('the package is named by processor and C library', async (t) => {
  const names = (interpreter: string, arch = 'x64') =>
    prebuiltPackages({ ...emptyPlace(t, interpreter), arch });
  t.same(names('/lib64/ld-linux-x86-64.so.2'), ['aionbd-linux-x64-gnu']);
  t.same(names('/lib/ld-linux-aarch64.so.1', 'arm64'), ['aionbd-linux-arm64-gnu']);
  t.same(names('/lib/ld-musl-x86_64.so.1'), ['aionbd-linux-x64-musl']);
  t.same(names('/nix/store/abc-glibc-2.40/lib/ld-linux-x86-64.so.2'), ['aionbd-linux-x64-gnu']);
  t.same(names(''), ['aionbd-linux-x64-gnu', 'aionbd-linux-x64-musl'], 'of an unknown library both');
  t.same(prebuiltPackages({ ...emptyPlace(t), program: '/nowhere' }).length, 2, 'of no program, too');
});

t.test('of two prebuilt packages the one for this C library is loaded', async (t) => {
  const place = emptyPlace(t);
  addPrebuilt(place, { abi: 'linux-x64-musl', content: Buffer.from('no addon') });
  loads(t, place, addPrebuilt(place, {}));
  const unknown = emptyPlace(t, '');
  const musl = addPrebuilt(unknown, { abi: 'linux-x64-musl' });
  loads(t, unknown, musl);
});

t.test('whoever installs is told why no prebuilt package does, and nothing is thrown', async (t) => {
  const place = emptyPlace(t);
  t.same(findPrebuilt(place), [{ place: 'the package aionbd-linux-x64-gnu', reason: 'not installed' }]);
  // Another one: Node remembers what it has not found.
  const another = emptyPlace(t);
  const path = addPrebuilt(another, {});
  t.match(findPrebuilt(another), { path });
});

t.test('what is built elsewhere, without a package.json, finds the addon by the override', async (t) => {
  const place = emptyPlace(t);
  const nowhere: Surroundings = {
    ...place,
    override: ADDON,
    get version(): string {
      throw new Error('it is asked for');
    },
  };
  t.equal(findAddon(nowhere).path, ADDON);
  const built = addBuilt(place);
  // A spread would ask for it.
  const local = Object.defineProperty({ ...place }, 'version', { get: () => t.fail('it is asked for') });
  t.equal(findAddon(local).path, built);
});

t.test('the command loads what AIONBD_ADDON names, and says in one line when that cannot be', async (t) => {
  const mine = join(scratch(t), 'mine.node');
  copyFileSync(ADDON, mine);
  const doctor = await run(process.execPath, [MAIN, 'doctor'], { env: { AIONBD_ADDON: mine } });
  t.match(doctor.stdout, /^ok +addon/m, describe(doctor));
  const image = join(scratch(t), 'disk.img');
  writeFileSync(image, Buffer.alloc(4096));
  const env = { AIONBD_ADDON: '/nowhere/aionbd.node' };
  const served = await run(process.execPath, [MAIN, 'serve', image, '--metrics', 'off'], { env });
  t.equal(served.code, 1);
  t.match(served.stderr, /^aionbd: .*\/nowhere\/aionbd\.node \(there is no such file\).*\n$/);
  const ill = await run(process.execPath, [MAIN, 'doctor'], { env });
  t.match(ill.stdout, /^PROBLEM +addon .*\/nowhere\/aionbd\.node \(there is no such file\)\n +-> correct /m);
});
