import type { ConnectionInfo, Logger, ServedExport } from '../server/api.js';

/** What the watching thread is started with. */
export interface WatchPlan {
  readonly version: string;
  /** Listening sockets, which are the thread's from now on. */
  readonly fds: readonly number[];
  readonly exports: readonly Omit<ServedExport, 'counters'>[];
}

/** To the watching thread. They arrive in their order. */
export type WatchOrder =
  /** A client has begun, or has chosen its export: `info` replaces what was known of it. */
  | { readonly kind: 'began'; readonly info: ConnectionInfo }
  | { readonly kind: 'ended'; readonly id: number }
  /** No new clients; those that there are, are answered. */
  | { readonly kind: 'draining' }
  /** Close what is open and end. */
  | { readonly kind: 'close' };

/** From the watching thread. */
export type WatchReport =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'log';
      readonly level: keyof Logger;
      readonly fields: object;
      readonly message: string;
    };
