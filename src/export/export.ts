import type { Volume } from '../engine/volume.js';
import type { ExportRecord } from '../metrics/record.js';

/** One name under which a volume is served, with what the data path has to know of it. */
export interface Export {
  readonly name: string;
  readonly description: string;
  readonly readOnly: boolean;
  readonly sizeBytes: number;
  /** Several exports may share one: unaligned writes and flushes are the volume's business. */
  readonly volume: Volume;
  /** What this thread counts of it. */
  readonly record: ExportRecord;
}
