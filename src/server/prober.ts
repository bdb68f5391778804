import { OP_READ, type Ring } from '../engine/ring.js';
import { FRAME_BYTES } from '../engine/slab.js';
import type { Volume } from '../engine/volume.js';
import type { ProbeRecord } from '../metrics/probe-record.js';
import { monotonicMs } from '../metrics/probe-record.js';

/** Tags of file operations from here on are those of probes; jobs and what they lead to have far smaller ones. */
export const PROBE_TAGS = 0x4000_0000;
/** Memory for what probes read, bytes: one unit of direct I/O, of whatever size. */
export const PROBE_BYTES = 64 * 1024;
/** Nobody has asked for so long: disks may sleep, ms. */
const WANTED_MS = 60_000;
/** A file is probed no more often, ms. */
const INTERVAL_MS = 2000;
/** No more begin between two ticks: requests of clients come first. */
const MOST_AT_ONCE = 128;
const EIO = 5;

/** A file to be probed, and where to say what came of it. */
export interface Probed {
  readonly volume: Volume;
  readonly record: ProbeRecord;
}

/**
 * Reads one unit of each export now and then, in the way in which clients' requests are carried out, as long as somebody wants
 * to know how exports are. What comes of it is judged elsewhere (metrics/health.ts): a file that hangs is one whose probe does
 * not come back. Nobody looks at what was read, so all probes share a piece of memory.
 */
export class Prober {
  readonly #ring: Ring;
  readonly #buffer: number;
  readonly #probed: readonly Probed[];
  readonly #wantedAtMs: () => number;
  #next = 0;
  #begun = 0;
  #count = 0;

  /** `buffer` is the offset of {@link PROBE_BYTES} in the ring's memory; `wantedAtMs` is of {@link monotonicMs}. */
  constructor(ring: Ring, buffer: number, probed: readonly Probed[], wantedAtMs: () => number) {
    this.#ring = ring;
    this.#buffer = buffer;
    this.#probed = probed.filter(({ volume }) => volume.sizeBytes > 0);
    this.#wantedAtMs = wantedAtMs;
  }

  /** Begins what is due. To be called about once a second; the ring has to be kicked afterwards. */
  tick(): void {
    const nowMs = monotonicMs();
    const wantedAtMs = this.#wantedAtMs();
    if (wantedAtMs === 0 || nowMs - wantedAtMs > WANTED_MS) return;
    this.#count = 0;
    this.#begun = 0;
    while (this.#count < this.#probed.length && this.#begun < MOST_AT_ONCE) {
      this.#count++;
      this.#beginNext(nowMs);
    }
  }

  /** Takes the completion of an operation whose tag is one of {@link PROBE_TAGS}. */
  complete(tag: number, result: number): void {
    const probed = this.#probed[tag - PROBE_TAGS]!;
    // Less than was asked for: the file has been cut short.
    const errno = result < 0 ? -result : result < probed.record.length ? EIO : 0;
    probed.record.done(monotonicMs(), errno);
  }

  #beginNext(nowMs: number): void {
    const index = this.#next;
    this.#next = (index + 1) % this.#probed.length;
    const { volume, record } = this.#probed[index]!;
    if (record.isOutstanding || nowMs - record.doneAtMs < INTERVAL_MS) return;
    this.#begun++;
    const { file, offset, length } = placeOf(volume, record.count);
    record.begin(nowMs, length);
    this.#ring.file(OP_READ, file, this.#buffer, length, offset, 0, PROBE_TAGS + index);
  }
}

/**
 * Where to read. Of a file that is read directly the beginning, which is hardly ever a hole, in turn with any other place; of
 * one that is read through the page cache any place, since the beginning is in memory.
 */
function placeOf(volume: Volume, turn: number): { file: number; offset: number; length: number } {
  const { directFile, bufferedFile, unitBytes, directEndBytes, sizeBytes } = volume;
  const directUnits = Math.floor(Math.min(directEndBytes, sizeBytes) / unitBytes);
  if (directFile >= 0 && directUnits > 0) {
    const unit = turn % 2 === 0 ? 0 : Math.floor(Math.random() * directUnits);
    return { file: directFile, offset: unit * unitBytes, length: unitBytes };
  }
  const offset = Math.floor(Math.random() * Math.ceil(sizeBytes / FRAME_BYTES)) * FRAME_BYTES;
  return { file: bufferedFile, offset, length: Math.min(FRAME_BYTES, sizeBytes - offset) };
}
