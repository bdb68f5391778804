import type { Logger } from '../server/api.js';
import type { MainFacts } from './main-facts.js';
import type { ObservedConnection, ServerObservation } from './observation.js';

/** What the watching thread is started with. */
export interface WatchPlan {
  /** Listening sockets, which are the thread's from now on. */
  readonly fds: readonly number[];
  readonly observation: ServerObservation;
  /** Exports that have metrics of their own; the others are summed. */
  readonly mostExports: number;
  /** For a probe of an export, and a turn of an event loop, ms; see {@link HealthWatch}. */
  readonly healthDeadlineMs: number;
}

/** To the watching thread. They arrive in their order. */
export type WatchOrder =
  | { readonly kind: 'began'; readonly session: ObservedConnection }
  | { readonly kind: 'ended'; readonly id: number }
  /** No new clients; those that there are, are answered. */
  | { readonly kind: 'draining' }
  /** The answer to `ask`. */
  | { readonly kind: 'facts'; readonly question: number; readonly facts: MainFacts }
  /** Close what is open and end. */
  | { readonly kind: 'close' };

/** From the watching thread. */
export type WatchReport =
  | { readonly kind: 'ready' }
  /** Somebody wants to know what only the main thread can tell. */
  | { readonly kind: 'ask'; readonly question: number }
  | {
      readonly kind: 'log';
      readonly level: keyof Logger;
      readonly fields: object;
      readonly message: string;
    };
