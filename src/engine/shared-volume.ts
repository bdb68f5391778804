import type { Backing } from './backing.js';
import { tracksHoles } from './granule-map.js';
import { SharedMap, type SharedMapMemory } from './shared-map.js';
import { LOCK_MEMORY_BYTES, VolumeLocks } from './volume-locks.js';

const SYNC_ERRNO = 0;
const WORDS = 1;

/** What a {@link SharedVolume} consists of; can be posted to other threads. */
export interface SharedVolumeMemory {
  readonly words: SharedArrayBuffer;
  readonly map: SharedMapMemory;
  /** Undefined where nobody writes. */
  readonly locks: SharedArrayBuffer | undefined;
}

/** One volume as far as all threads that use it have to agree on it. */
export class SharedVolume {
  readonly map: SharedMap;
  /** Undefined where nobody writes. */
  readonly locks: VolumeLocks | undefined;
  readonly #words: Int32Array;

  static allocate(backing: Backing): SharedVolumeMemory {
    return {
      words: new SharedArrayBuffer(WORDS * 4),
      map: SharedMap.allocate(backing.sizeBytes),
      locks: backing.readOnly ? undefined : new SharedArrayBuffer(LOCK_MEMORY_BYTES),
    };
  }

  constructor(memory: SharedVolumeMemory, backing: Backing) {
    this.#words = new Int32Array(memory.words);
    this.map = new SharedMap(memory.map, backing.sizeBytes, tracksHoles(backing));
    this.locks = memory.locks && new VolumeLocks(memory.locks, backing.unitBytes);
  }

  /** The error of the first sync that failed on any thread, or 0. */
  get syncErrno(): number {
    return Atomics.load(this.#words, SYNC_ERRNO);
  }

  set syncErrno(errno: number) {
    Atomics.compareExchange(this.#words, SYNC_ERRNO, 0, errno);
  }
}
