import { NO_JOB } from './gate.js';
import { OP_SYNC, type Ring } from './ring.js';
import type { Volume } from './volume.js';

/**
 * Brings what was written to stable storage. Concurrent syncs of a volume share one. Once one has failed, all later ones
 * do, on whatever thread: the kernel tells of lost data only once, and then calls its pages clean.
 */
export class Syncs {
  readonly #ring: Ring;
  /** The next sync of the same volume, by job. */
  readonly #next: Int32Array;
  readonly #end: (job: number, errno: number) => void;

  constructor(ring: Ring, jobs: number, end: (job: number, errno: number) => void) {
    this.#ring = ring;
    this.#next = new Int32Array(jobs).fill(NO_JOB);
    this.#end = end;
  }

  start(job: number, volume: Volume): void {
    if (volume.syncErrno !== 0) {
      this.#end(job, volume.syncErrno);
    } else if (volume.runningSyncs === NO_JOB) {
      this.#next[job] = NO_JOB;
      volume.runningSyncs = job;
      this.#submit(volume, job);
    } else {
      // The running one may already have passed over what this one is to cover.
      this.#next[job] = volume.laterSyncs;
      volume.laterSyncs = job;
    }
  }

  /** The running sync of a volume is complete. */
  done(volume: Volume, result: number): void {
    const first = volume.runningSyncs;
    const later = volume.laterSyncs;
    volume.runningSyncs = NO_JOB;
    volume.laterSyncs = NO_JOB;
    if (result < 0) volume.syncErrno = -result;
    const errno = volume.syncErrno;
    if (errno === 0 && later !== NO_JOB) {
      volume.runningSyncs = later;
      this.#submit(volume, later);
    }
    this.#endAll(first, errno);
    if (errno !== 0) this.#endAll(later, errno);
  }

  #submit(volume: Volume, tag: number): void {
    this.#ring.file(OP_SYNC, volume.anyFile, 0, 0, 0, 0, tag);
  }

  #endAll(first: number, errno: number): void {
    for (let job = first; job !== NO_JOB; ) {
      const next = this.#next[job]!;
      this.#end(job, errno);
      job = next;
    }
  }
}
