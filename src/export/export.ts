import type { Volume } from '../engine/volume.js';
import type { ExportCounters } from '../metrics/counters.js';

/** One name under which a volume is served, with what the data path has to know of it. */
export interface Export {
  readonly name: string;
  readonly description: string;
  readonly readOnly: boolean;
  readonly sizeBytes: number;
  /** Several exports may share one: unaligned writes and flushes are the volume's business. */
  readonly volume: Volume;
  readonly counters: ExportCounters;
}
