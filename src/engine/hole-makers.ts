import type { Changes, Ranges } from './changes.js';
import { NO_JOB } from './gate.js';
import { OP_WRITE } from './ring.js';
import type { Volume } from './volume.js';

/**
 * Jobs that leave zeroes behind, which the volume's map is to know of as a hole: only if no write has met them on their way, since
 * nobody knows then which of the two will be there in the end.
 */
export class HoleMakers {
  readonly #changes: Changes;
  readonly #ranges: Ranges;
  /** OP_*, by job. */
  readonly #op: Uint8Array;
  /** 1 while a job leaves zeroes that no write has met. */
  readonly #makesHole: Uint8Array;

  constructor(jobs: number, changes: Changes, ranges: Ranges, op: Uint8Array) {
    this.#changes = changes;
    this.#ranges = ranges;
    this.#op = op;
    this.#makesHole = new Uint8Array(jobs);
  }

  /** Zeroes are about to be made; they stay zeroes if no write that has started meets them. */
  begin(job: number, volume: Volume): void {
    if (!volume.map.remembersZeroes) return;
    for (let other = volume.firstMutator; other !== NO_JOB; other = this.#changes.after(other)) {
      if (this.#op[other] === OP_WRITE && this.#changes.overlap(job, other)) return;
    }
    this.#makesHole[job] = 1;
    volume.holeMakers++;
  }

  /** A write starts where zeroes may be on their way. */
  meet(write: number, volume: Volume): void {
    for (let job = volume.firstMutator; job !== NO_JOB; job = this.#changes.after(job)) {
      if (this.#makesHole[job] !== 1 || !this.#changes.overlap(job, write)) continue;
      this.#makesHole[job] = 0;
      volume.holeMakers--;
    }
  }

  /** A change has ended; below 0 is a negative errno. */
  end(job: number, volume: Volume, result: number): void {
    if (this.#makesHole[job] === 0) return;
    this.#makesHole[job] = 0;
    volume.holeMakers--;
    const { offset, length } = this.#ranges;
    if (result >= 0) volume.map.zeroed(offset[job]!, offset[job]! + length[job]!);
  }
}
