import type { ReplyMode } from '../protocol/reply-mode.js';
import type { ExportOffer } from './directory.js';

/**
 * Everything the handshake has agreed on besides the export: plain data, so that it can be copied, logged and handed on
 * with the connection. It is never changed but replaced.
 */
export interface NegotiatedState {
  /** The client speaks fixed newstyle, so it may send other options than EXPORT_NAME (H4). */
  readonly fixedNewstyle: boolean;
  /** The answer to EXPORT_NAME is not padded (H3). */
  readonly noZeroes: boolean;
  /** GO asked for block sizes: this client must keep to those of the offer. Others know only the defaults (X17). */
  readonly blockSizesAgreed: boolean;
  /** How requests and replies look in the transmission phase. */
  readonly replies: ReplyMode;
  /**
   * Ids of the meta contexts that SET_META_CONTEXT has selected, in ascending order. In the transmission phase: those
   * of the export that was chosen, none if they were selected for another name.
   */
  readonly metaContexts: readonly number[];
  /** The export's name as SET_META_CONTEXT gave it; undefined if it never did, or failed the last time. */
  readonly metaContextsOf: string | undefined;
}

const NO_CONTEXTS: readonly number[] = Object.freeze([]);

/** What holds after the client's flags, before any option; and again after STARTTLS, which keeps only the flags (T4). */
export function freshState(fixedNewstyle: boolean, noZeroes: boolean): NegotiatedState {
  return Object.freeze({
    fixedNewstyle,
    noZeroes,
    blockSizesAgreed: false,
    replies: 'simple',
    metaContexts: NO_CONTEXTS,
    metaContextsOf: undefined,
  });
}

/** The same with no meta context selected. */
export function withoutContexts(negotiated: NegotiatedState): NegotiatedState {
  return Object.freeze({ ...negotiated, metaContexts: NO_CONTEXTS, metaContextsOf: undefined });
}

/** What follows once the output has been sent. */
export type NegotiationNext =
  /** Feed what the client sends next. */
  | { readonly kind: 'continue' }
  /** The handshake is over: the bytes after `consumed` are requests. */
  | { readonly kind: 'transmission'; readonly offer: ExportOffer; readonly negotiated: NegotiatedState }
  /** Close the connection. `orderly` if the client asked for it (ABORT), else the client did something wrong. */
  | { readonly kind: 'close'; readonly reason: string; readonly orderly: boolean };

/** The answer to one piece of input. */
export interface NegotiationStep {
  /** To be sent in any case, also before closing; may be empty. It is the caller's. */
  readonly output: Uint8Array;
  /** How much of the input has been used, bytes: all of it as long as `next` is `continue`. */
  readonly consumed: number;
  readonly next: NegotiationNext;
}

export const CONTINUE: NegotiationNext = Object.freeze({ kind: 'continue' });

/** Ends the connection for a reason that goes to the log. */
export function closeBecause(reason: string): NegotiationNext {
  return { kind: 'close', reason, orderly: false };
}
