import type { Place } from './perf-script.js';
import type { Machine } from './results.js';

/** What `npm run bench:profile` writes as JSON. */
export interface ProfileResults {
  readonly kind: 'profile';
  readonly machine: Machine;
  readonly secondsPerCase: number;
  readonly profiles: readonly Profile[];
}

/** One server under one load: who used the processors, and what for. */
export interface Profile {
  readonly case: string;
  readonly server: string;
  readonly iops: number;
  /** Processor time of a request, µs: the server's, and that of fio with libnbd. */
  readonly serverMicroseconds: number;
  readonly clientMicroseconds: number;
  /** Of the server's processor time, each 0 to 1. */
  readonly shares: Readonly<Partial<Record<Place, number>>>;
}
