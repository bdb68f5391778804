import { NO_JOB } from './gate.js';
import type { JobEngine } from './jobs.js';
import { EXTENT_BYTES, EXTENT_HOLE, type Ring } from './ring.js';
import type { Slab } from './slab.js';
import type { Volume } from './volume.js';

const BLOCK_BYTES = 64 * 1024;
const BYTES_PER_DOUBLE = 8;
/** A scan takes memory only as long as more than 1/RESERVE of it is free. */
const RESERVE = 2;

/**
 * Looks through a file for holes in the background, a block full of extents at a time, and tells its map. One file at a
 * time; a file's own requests go on meanwhile, since a worker does it.
 */
export class HoleScan {
  readonly #ring: Ring;
  readonly #slab: Slab;
  readonly #jobs: JobEngine;
  readonly #queue: Volume[] = [];
  #volume: Volume | undefined;
  #position = 0;
  #working = false;

  /** The sink of `jobs` gives jobs whose owner is {@link NO_JOB} to {@link jobDone}. */
  constructor(ring: Ring, slab: Slab, jobs: JobEngine) {
    this.#ring = ring;
    this.#slab = slab;
    this.#jobs = jobs;
  }

  /** Has the file scanned, once. Cheap when it has been already. */
  want(volume: Volume): void {
    if (!volume.map.claimScan()) return;
    this.#queue.push(volume);
    this.proceed();
  }

  /** Goes on if it stopped for want of memory; call it now and then. */
  proceed(): void {
    if (this.#jobs.available <= this.#jobs.capacity / RESERVE) return;
    if (this.#volume === undefined) {
      this.#volume = this.#queue.shift();
      this.#position = 0;
    } else if (this.#working) {
      return;
    }
    if (this.#volume === undefined || this.#slab.freeBytes <= this.#slab.totalBytes / RESERVE) return;
    const block = this.#slab.take(BLOCK_BYTES);
    if (block < 0) return;
    const job = this.#jobs.take(this.#volume, NO_JOB);
    this.#jobs.block[job] = block;
    this.#working = true;
    this.#look(job);
  }

  /** Its job has ended: `errno` is Linux's, positive, or 0. */
  jobDone(job: number, errno: number): void {
    const volume = this.#volume!;
    if (errno === 0) this.#learn(job, volume);
    else this.#position = volume.sizeBytes;
    if (this.#position < volume.sizeBytes) {
      this.#look(job);
      return;
    }
    this.#slab.give(this.#jobs.block[job]!);
    this.#jobs.release(job);
    this.#working = false;
    this.#volume = undefined;
    this.proceed();
  }

  #look(job: number): void {
    this.#jobs.offset[job] = this.#position;
    this.#jobs.length[job] = this.#volume!.sizeBytes - this.#position;
    this.#jobs.extents(job, BLOCK_BYTES);
  }

  #learn(job: number, volume: Volume): void {
    const { doubles } = this.#ring;
    const first = this.#jobs.block[job]! / BYTES_PER_DOUBLE;
    const count = this.#jobs.extentCount[job]!;
    for (let i = 0; i < count; i++) {
      const at = first + (i * EXTENT_BYTES) / BYTES_PER_DOUBLE;
      const end = this.#position + doubles[at]!;
      if (doubles[at + 1] === EXTENT_HOLE) volume.map.foundHole(this.#position, end);
      this.#position = end;
    }
  }
}
