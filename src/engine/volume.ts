import type { Backing } from './backing.js';
import { DIRTY_LIMIT_BYTES, DirtyBytes } from './dirty-bytes.js';
import { Gate, NO_JOB } from './gate.js';
import { type ContentMap, GranuleMap, tracksHoles } from './granule-map.js';
import { ReadAhead } from './read-ahead.js';
import type { Ring } from './ring.js';
import type { SharedVolume } from './shared-volume.js';
import { FRAME_BYTES, LARGEST_BLOCK_BYTES } from './slab.js';
import type { VolumeLocks } from './volume-locks.js';

/**
 * A backing as one reactor uses it: its registered files, and the jobs that change it, in the order in which they
 * came. The lists are kept by {@link JobEngine}.
 */
export class Volume {
  readonly backing: Backing;
  readonly sizeBytes: number;
  /** 1 when buffered. A power of two. */
  readonly unitBytes: number;
  readonly directEndBytes: number;
  /** Files as numbered by the addon; -1 if there is none. */
  readonly directFile: number;
  readonly bufferedFile: number;
  /** The file for what concerns the whole, such as sync; and the one to trim and zero. */
  readonly anyFile: number;
  readonly clearFile: number;
  readonly #ring: Ring;
  readonly #wholeUnits: boolean;

  /** Jobs that change the volume, running or waiting, oldest first. */
  firstMutator = NO_JOB;
  lastMutator = NO_JOB;
  /** How many of them must not overlap with any other. */
  exclusiveMutators = 0;
  /** How many of them wait for an older one. */
  waitingMutators = 0;
  /** How many of them must come before what other threads begin, and hold nothing yet; and when the last of them came. */
  markedMutators = 0;
  lastMarked = 0;
  /** Syncs that the running fdatasync covers, and those that came too late for it. */
  runningSyncs = NO_JOB;
  laterSyncs = NO_JOB;
  /** Learned: the filesystem can't zero ranges, even if it may punch holes; or if it may not. */
  punchUnsupported = false;
  keepUnsupported = false;
  /** For looking up extents (each look moves the one position of the descriptor), read-ahead, and trimming and zeroing. */
  readonly lookups = new Gate(1);
  readonly advices = new Gate(1);
  readonly clearings = new Gate(4);
  /** What is known of the contents. */
  readonly map: ContentMap;
  /** Keeps changes of other threads apart from ours; undefined if there are no others, or nobody writes. */
  readonly locks: VolumeLocks | undefined;
  /** How many jobs at work will leave zeroes that the map is to know of. */
  holeMakers = 0;
  /** What writes through the page cache have left there; undefined where there are none. */
  readonly dirty: DirtyBytes | undefined;
  /** Of volumes that are read through the page cache. */
  readonly readAhead: ReadAhead | undefined;

  readonly #shared: SharedVolume | undefined;
  #syncErrno = 0;

  /** `shared` is what the threads have in common that use the same file, `threads` of them. */
  constructor(ring: Ring, backing: Backing, shared?: SharedVolume, threads = 1) {
    this.#ring = ring;
    this.#shared = shared;
    this.locks = shared?.locks;
    this.backing = backing;
    this.sizeBytes = backing.sizeBytes;
    this.unitBytes = backing.unitBytes;
    this.directEndBytes = backing.directEndBytes;
    this.map = shared?.map ?? new GranuleMap(backing.sizeBytes, tracksHoles(backing));
    this.#wholeUnits = backing.directEndBytes >= backing.sizeBytes;
    const { directFd, bufferedFd, blockDevice } = backing;
    this.directFile = directFd >= 0 ? ring.native.addFile(directFd, true, blockDevice) : -1;
    this.bufferedFile = bufferedFd >= 0 ? ring.native.addFile(bufferedFd, false, blockDevice) : -1;
    const { writeBackFd } = backing;
    this.readAhead = directFd < 0 ? new ReadAhead(backing.sizeBytes) : undefined;
    this.dirty =
      writeBackFd >= 0
        ? new DirtyBytes(ring.native.addFile(writeBackFd, false, blockDevice), DIRTY_LIMIT_BYTES / threads)
        : undefined;
    this.anyFile = this.directFile >= 0 ? this.directFile : this.bufferedFile;
    const { clearFd = -1 } = backing;
    this.clearFile = clearFd >= 0 ? ring.native.addFile(clearFd, directFd >= 0, blockDevice) : this.anyFile;
  }

  /** Unregisters the files; only when nothing is in flight. The descriptors stay open. */
  close(): void {
    if (this.directFile >= 0) this.#ring.native.removeFile(this.directFile);
    if (this.clearFile !== this.anyFile) this.#ring.native.removeFile(this.clearFile);
    if (this.bufferedFile >= 0) this.#ring.native.removeFile(this.bufferedFile);
    if (this.dirty) this.#ring.native.removeFile(this.dirty.file);
  }

  /**
   * Whether a range inside the volume is one aligned direct I/O, from the lower 32 bits of its offset and its length: cheaper
   * than {@link pieceBytes}, which says the same. Only for volumes that are direct to their end.
   */
  isOneIo(offsetLow: number, length: number): boolean {
    return (
      this.#wholeUnits && length <= LARGEST_BLOCK_BYTES && ((offsetLow | length) & (this.unitBytes - 1)) === 0
    );
  }

  /** The error of a sync that failed, for good: what it was to bring to stable storage may be lost. 0 if none has. */
  get syncErrno(): number {
    return this.#shared === undefined ? this.#syncErrno : this.#shared.syncErrno;
  }

  set syncErrno(errno: number) {
    if (this.#shared === undefined) this.#syncErrno = errno;
    else this.#shared.syncErrno = errno;
  }

  /** Whether I/O at this offset goes around the page cache. */
  isDirect(offset: number): boolean {
    return offset < this.directEndBytes;
  }

  /** Start of the unit that holds `offset`. */
  unitStart(offset: number): number {
    return Math.floor(offset / this.unitBytes) * this.unitBytes;
  }

  /** End of the unit that holds the byte before `end`. */
  unitEnd(end: number): number {
    return Math.ceil(end / this.unitBytes) * this.unitBytes;
  }

  isAligned(offset: number, length: number): boolean {
    return this.unitStart(offset) === offset && this.unitStart(length) === length;
  }

  /** Bytes in front of the data that a block needs because direct I/O starts at a unit. */
  leadBytes(offset: number): number {
    return this.isDirect(offset) ? offset - this.unitStart(offset) : 0;
  }

  /** How much of [offset, offset + length) one job can do: at most a block, and not both direct and buffered. */
  pieceBytes(offset: number, length: number, isWrite: boolean): number {
    // The next piece then begins at a whole page: what goes out piece by piece is not cut at odd places.
    if (!this.isDirect(offset)) return Math.min(length, LARGEST_BLOCK_BYTES - (offset % FRAME_BYTES));
    const most = Math.min(length, this.directEndBytes - offset);
    const start = this.unitStart(offset);
    const aligned = this.isAligned(offset, most);
    const budget = aligned || !isWrite ? LARGEST_BLOCK_BYTES : LARGEST_BLOCK_BYTES - 2 * this.unitBytes;
    return this.unitEnd(offset + most) - start <= budget ? most : start + budget - offset;
  }

  /** The block that a piece needs: whole units, and for an unaligned write room to read the outer two. */
  blockBytes(offset: number, length: number, isWrite: boolean): number {
    if (!this.isDirect(offset) || this.isAligned(offset, length)) return length;
    const covering = this.unitEnd(offset + length) - this.unitStart(offset);
    return isWrite ? covering + Math.min(covering, 2 * this.unitBytes) : covering;
  }
}
