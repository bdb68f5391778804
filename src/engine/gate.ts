/** No job; ends lists. */
export const NO_JOB = -1;

/**
 * Lets a few jobs of a kind that keeps a worker busy be at work at once; the others wait in their order. The kernel does most
 * of them one after the other anyway, and workers that stand in line there are not there for other volumes.
 *
 * `next` links the jobs that wait, by job; it may serve any number of gates, since a job waits at one of them only.
 */
export class Gate {
  readonly #limit: number;
  #running = 0;
  #first = NO_JOB;
  #last = NO_JOB;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** True if the job may go to work at once; else it waits. */
  enter(job: number, next: Int32Array): boolean {
    if (this.#running < this.#limit) {
      this.#running++;
      return true;
    }
    next[job] = NO_JOB;
    if (this.#first === NO_JOB) this.#first = job;
    else next[this.#last] = job;
    this.#last = job;
    return false;
  }

  /** A job is done. Returns the one that goes to work in its place, or NO_JOB. */
  pass(next: Int32Array): number {
    const job = this.#first;
    if (job === NO_JOB) {
      this.#running--;
      return NO_JOB;
    }
    this.#first = next[job]!;
    if (this.#first === NO_JOB) this.#last = NO_JOB;
    return job;
  }

  /** Gives up a job that waits. */
  leave(job: number, next: Int32Array): void {
    let before = NO_JOB;
    for (let other = this.#first; other !== job; other = next[other]!) before = other;
    if (before === NO_JOB) this.#first = next[job]!;
    else next[before] = next[job]!;
    if (this.#last === job) this.#last = before;
  }
}
