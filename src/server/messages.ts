import type { Backing } from '../engine/backing.js';
import type { SharedVolumeMemory } from '../engine/shared-volume.js';
import type { ErrorCode } from '../errors.js';
import type { LineFields, LineName } from '../log/lines.js';
import type { ObservedThread } from '../metrics/observation.js';
import type { ConnectionInfo } from './api.js';
import type { Shares } from './connections.js';

/** A file as one thread uses it: descriptors of its own, and what all have in common. */
export interface VolumePlan {
  readonly backing: Omit<Backing, 'close'>;
  readonly shared: SharedVolumeMemory;
}

export interface ExportPlan {
  readonly name: string;
  readonly description: string;
  readonly readOnly: boolean;
  /** Index among the volumes. */
  readonly volume: number;
}

/** What a thread is started with. */
export interface ThreadPlan {
  readonly shares: Shares;
  /** Which one it is, from 0, and how many there are. */
  readonly thread: number;
  readonly threads: number;
  readonly volumes: readonly VolumePlan[];
  readonly exports: readonly ExportPlan[];
  /** Where it counts. */
  readonly record: ObservedThread;
  readonly defaultExport: string;
  /** Int32: descriptors of connections on their way to the thread, see {@link Handover}. */
  readonly handover: SharedArrayBuffer;
}

/** From the main thread. They arrive in their order. */
export type Order =
  /** A connection is in this slot of the handover. */
  | { readonly kind: 'connection'; readonly slot: number; readonly id: number; readonly peer: string }
  /** No connection comes after this. */
  | { readonly kind: 'drain'; readonly deadlineMs: number }
  /** No thread has connections any more. */
  | { readonly kind: 'shutdown' };

/** From a thread. */
export type Report =
  | { readonly kind: 'ready' }
  /** Instead of `ready`: a code if the failure was to be expected, else a stack. */
  | { readonly kind: 'failed'; readonly code: ErrorCode | undefined; readonly message: string }
  | { readonly kind: 'began'; readonly info: ConnectionInfo }
  | { readonly kind: 'ended'; readonly info: ConnectionInfo }
  | LineReport
  | { readonly kind: 'drained' };

/** A line of the log, for the thread that has it. */
export type LineReport = {
  readonly [Name in LineName]: {
    readonly kind: 'line';
    readonly name: Name;
    readonly fields: LineFields[Name];
  };
}[LineName];
