import { fdatasync, fstat, fstatSync } from 'node:fs';
import { type Backing, identify, type OpenBacking, openBacking, reopenBacking } from '../engine/backing.js';
import { type ContentMap, tracksHoles } from '../engine/granule-map.js';
import type { Ring } from '../engine/ring.js';
import { SharedVolume, type SharedVolumeMemory } from '../engine/shared-volume.js';
import { Volume } from '../engine/volume.js';
import { AionbdError } from '../errors.js';
import type { DirectMode, ExportOptions, Logger } from './api.js';
import type { VolumePlan } from './messages.js';

/** Files that are looked at for changes at once. */
const MOST_LOOKS = 1;
/** A file that has not said by then when it was changed hangs, ms. */
const PATIENCE_MS = 2000;

/** Opens each file once, however many exports name it, and writable if any of them is. */
export class Volumes {
  readonly #backings = new Map<string, OpenBacking>();
  readonly #volumes = new Map<string, Volume>();
  /** By path, as looked at once: what a path leads to may change. */
  readonly #identities = new Map<string, string>();
  /** What threads have in common of each file, and their own ways to it. */
  readonly #shared = new Map<string, SharedVolumeMemory>();
  readonly #reopened: OpenBacking[] = [];
  /** The files that nobody here writes to: when they were last changed, ns since 1970, and what is known of them. */
  readonly #watched = new Map<Backing, { readonly changedAt: bigint; readonly map: ContentMap }>();
  /** Those that are to be looked at, and how many are at this moment. */
  readonly #toLookAt: Backing[] = [];
  #looks = 0;

  /** Throws AIONBD_E_FILE, AIONBD_E_DIRECT or AIONBD_E_LOCKED; nothing stays open then. */
  constructor(exports: readonly ExportOptions[], lock: boolean, logger: Logger) {
    try {
      for (const { path } of exports) this.#identities.set(path, identify(path));
      for (const [identity, sharers] of this.#groupByFile(exports)) {
        const first = sharers[0]!;
        const backing = openBacking({
          path: first.path,
          readOnly: sharers.every((sharer) => sharer.readOnly ?? false),
          direct: agreedMode(sharers),
          lock,
        });
        this.#backings.set(identity, backing);
        if (backing.bufferedBecause !== undefined) {
          const fields = { path: first.path, reason: backing.bufferedBecause };
          logger.warn(fields, 'I/O goes through the page cache');
        }
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Registers the files with the reactor. */
  attach(ring: Ring): void {
    for (const [identity, backing] of this.#backings) {
      const volume = new Volume(ring, backing);
      this.#volumes.set(identity, volume);
      this.#watch(backing, volume.map);
    }
  }

  /** For several threads: allocates what they have in common of each file. */
  share(): void {
    for (const [identity, backing] of this.#backings) {
      const memory = SharedVolume.allocate(backing);
      this.#shared.set(identity, memory);
      this.#watch(backing, new SharedVolume(memory, backing).map);
    }
  }

  /** What one more thread is to know of the files, in their order; {@link share} comes first. Throws AIONBD_E_FILE. */
  planForThread(): VolumePlan[] {
    return [...this.#backings].map(([identity, backing]) => {
      const reopened = reopenBacking(backing);
      this.#reopened.push(reopened);
      const { close, closeInBackground, ...facts } = reopened;
      return { backing: facts, shared: this.#shared.get(identity)! };
    });
  }

  #watch(backing: Backing, map: ContentMap): void {
    if (backing.readOnly && tracksHoles(backing)) {
      this.#watched.set(backing, { changedAt: changeTime(backing), map });
    }
  }

  /**
   * Looks whether somebody else has written to a file that is only served for reading: then what is remembered of its holes
   * is worth nothing. (Not everybody who writes asks for the lock.)
   *
   * A file that hangs answers late or never, so no thread of ours waits for it; those that wait are Node's, which has few.
   */
  checkUnchanged(logger: Logger): void {
    if (this.#toLookAt.length === 0) this.#toLookAt.push(...this.#watched.keys());
    while (this.#looks < MOST_LOOKS && this.#toLookAt.length > 0) this.#lookAtNext(logger);
  }

  #lookAtNext(logger: Logger): void {
    const backing = this.#toLookAt.pop();
    if (backing === undefined) return;
    const known = this.#watched.get(backing);
    if (known === undefined) return;
    this.#looks++;
    const late = setTimeout(() => this.#distrustAll(logger), PATIENCE_MS).unref();
    fstat(statFd(backing), { bigint: true }, (error, stats) => {
      clearTimeout(late);
      this.#looks--;
      this.#lookAtNext(logger);
      if (error !== null || stats.ctimeNs === known.changedAt || !this.#watched.delete(backing)) return;
      known.map.distrust();
      const fields = { path: backing.path };
      logger.warn(fields, 'somebody else has changed this file; replies will not tell its holes any more');
    });
  }

  /** One that does not answer keeps the others from being looked at: what is remembered of them may be wrong before anybody sees. */
  #distrustAll(logger: Logger): void {
    for (const [backing, { map }] of this.#watched) {
      map.distrust();
      const fields = { path: backing.path };
      logger.warn(
        fields,
        'a file that hangs keeps this one from being watched; replies will not tell its holes any more',
      );
    }
    this.#watched.clear();
  }

  /** The volume of a path that was given to the constructor. */
  of(path: string): Volume {
    return this.#volumes.get(this.#identities.get(path)!)!;
  }

  /** The file behind a path that was given to the constructor, and its place in their order. */
  backingOf(path: string): Backing {
    return this.#backings.get(this.#identities.get(path)!)!;
  }

  indexOf(path: string): number {
    return [...this.#backings.keys()].indexOf(this.#identities.get(path)!);
  }

  #groupByFile(exports: readonly ExportOptions[]): Map<string, ExportOptions[]> {
    const groups = new Map<string, ExportOptions[]>();
    for (const options of exports) {
      const identity = this.#identities.get(options.path)!;
      const group = groups.get(identity);
      if (group) group.push(options);
      else groups.set(identity, [options]);
    }
    return groups;
  }

  /** Brings everything that was written to stable storage; resolves to what failed. */
  async sync(): Promise<readonly { readonly path: string; readonly error: Error }[]> {
    const failures: { path: string; error: Error }[] = [];
    const writable = [...this.#backings.values()].filter((backing) => !backing.readOnly);
    const syncs = writable.map(
      (backing) =>
        new Promise<void>((resolve) => {
          fdatasync(Math.max(backing.directFd, backing.bufferedFd), (error) => {
            if (error) failures.push({ path: backing.path, error });
            resolve();
          });
        }),
    );
    await Promise.all(syncs);
    return failures;
  }

  /** Closes all descriptors, which also gives up the locks. */
  close(): void {
    for (const backing of this.#forgotten()) backing.close();
  }

  /** The same; closing a file that hangs would wait with it, so no thread of ours does. */
  async closeInBackground(): Promise<void> {
    await Promise.all(this.#forgotten().map((backing) => backing.closeInBackground()));
  }

  #forgotten(): OpenBacking[] {
    const all = [...this.#reopened.splice(0), ...this.#backings.values()];
    this.#toLookAt.length = 0;
    this.#watched.clear();
    this.#backings.clear();
    return all;
  }
}

function changeTime(backing: Backing): bigint {
  return fstatSync(statFd(backing), { bigint: true }).ctimeNs;
}

function statFd({ directFd, bufferedFd }: Backing): number {
  return Math.max(directFd, bufferedFd);
}

/** `auto` gives way to what another export of the same file asks for; `on` and `off` contradict each other. */
function agreedMode(sharers: readonly ExportOptions[]): DirectMode {
  const asked = new Set(sharers.map((sharer) => sharer.direct ?? 'auto'));
  if (asked.has('on') && asked.has('off')) {
    const names = sharers.map((sharer) => `"${sharer.name}"`).join(' and ');
    throw new AionbdError(
      'AIONBD_E_DIRECT',
      `exports ${names} are the same file, ${sharers[0]!.path}, with direct=on and direct=off; choose one for both`,
    );
  }
  return asked.has('on') ? 'on' : asked.has('off') ? 'off' : 'auto';
}
