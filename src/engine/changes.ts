import { NO_JOB } from './gate.js';
import type { Volume } from './volume.js';

/** Where jobs lie on their volume, bytes, by number of the job. */
export interface Ranges {
  readonly offset: Float64Array;
  readonly length: Float64Array;
}

/**
 * The order of jobs that change a volume: one list for each, oldest first. Jobs that overlap in units keep it if one of them is
 * *exclusive*; everything else runs at once.
 */
export class Changes {
  readonly #ranges: Ranges;
  /** Neighbours in the list of a volume. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** 1 for a job that must be alone on its units. */
  readonly exclusive: Uint8Array;

  constructor(jobs: number, ranges: Ranges) {
    this.#ranges = ranges;
    this.#next = new Int32Array(jobs).fill(NO_JOB);
    this.#previous = new Int32Array(jobs).fill(NO_JOB);
    this.exclusive = new Uint8Array(jobs);
  }

  /** The next younger one, or NO_JOB. */
  after(job: number): number {
    return this.#next[job]!;
  }

  /** The youngest of its volume. */
  add(job: number, volume: Volume): void {
    const last = volume.lastMutator;
    this.#previous[job] = last;
    this.#next[job] = NO_JOB;
    if (last === NO_JOB) volume.firstMutator = job;
    else this.#next[last] = job;
    volume.lastMutator = job;
    volume.exclusiveMutators += this.exclusive[job]!;
  }

  /** It is over. Returns the one that came after it, or NO_JOB. */
  remove(job: number, volume: Volume): number {
    const previous = this.#previous[job]!;
    const next = this.#next[job]!;
    if (previous === NO_JOB) volume.firstMutator = next;
    else this.#next[previous] = next;
    if (next === NO_JOB) volume.lastMutator = previous;
    else this.#previous[next] = previous;
    volume.exclusiveMutators -= this.exclusive[job]!;
    return next;
  }

  /** From now on younger ones that overlap wait for it. */
  makeExclusive(job: number, volume: Volume): void {
    volume.exclusiveMutators += 1 - this.exclusive[job]!;
    this.exclusive[job] = 1;
  }

  /** Whether an older job overlaps in units, and one of the two is exclusive. */
  mustWait(job: number, volume: Volume): boolean {
    const { offset, length } = this.#ranges;
    const start = volume.unitStart(offset[job]!);
    const end = volume.unitEnd(offset[job]! + length[job]!);
    const exclusive = this.exclusive[job] === 1;
    for (let other = this.#previous[job]!; other !== NO_JOB; other = this.#previous[other]!) {
      if (!exclusive && this.exclusive[other] === 0) continue;
      const otherStart = volume.unitStart(offset[other]!);
      const otherEnd = volume.unitEnd(offset[other]! + length[other]!);
      if (otherStart < end && start < otherEnd) return true;
    }
    return false;
  }

  /** Whether the two overlap in units: if not, neither waits for the other. */
  meet(one: number, other: number, volume: Volume): boolean {
    const { offset, length } = this.#ranges;
    return (
      volume.unitStart(offset[one]!) < volume.unitEnd(offset[other]! + length[other]!) &&
      volume.unitStart(offset[other]!) < volume.unitEnd(offset[one]! + length[one]!)
    );
  }

  /** Whether the two have a byte in common. */
  overlap(one: number, other: number): boolean {
    const { offset, length } = this.#ranges;
    const start = offset[one]!;
    const otherStart = offset[other]!;
    return start < otherStart + length[other]! && otherStart < start + length[one]!;
  }
}
