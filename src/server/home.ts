import type { HandshakeFailure } from '../metrics/snapshot.js';
import type { ConnectionInfo } from './api.js';

/** Where accepted connections live: one reactor on the main thread, or several on threads of their own. */
export interface Home {
  /** Connections now, until they are closed. */
  readonly count: number;
  /** An accepted connection, by the number that the accepting ring has for it. `id` is the server's. */
  begin(number: number, id: number, peer: string): void;
  /** One that there is no room for. */
  refuse(number: number, id: number, peer: string, reason: string, failure: HandshakeFailure): void;
  /** Looks for connections that stand still; to be called now and then. */
  tick(): void;
  /**
   * Requests in flight are finished, new ones are answered ESHUTDOWN or not read, see `OnStop`. Resolves when no connection is left; those that
   * are not done after `deadlineMs` are cut.
   */
  drain(deadlineMs: number): Promise<void>;
  /** After {@link drain}: resolves when nothing is in flight any more. */
  shutdown(): Promise<void>;
}

export interface HomeEvents {
  /** The client has chosen its export. */
  began(info: ConnectionInfo): void;
  ended(info: ConnectionInfo): void;
}
