/** What the state machine knows of an option: the row of the table in options.ts. */
import type { ByteWriter } from '../protocol/byte-writer.js';
import type { ExportDirectory } from './directory.js';
import type { NegotiationLimits } from './limits.js';
import type { NegotiatedState, NegotiationNext } from './step.js';

/** Why an option is not granted. */
export interface Refusal {
  /** REP_ERR_* */
  readonly error: number;
  /** For a human at the client's end. */
  readonly message: string;
}

/** What an option's answer may look at and write to. */
export interface OptionContext {
  readonly directory: ExportDirectory;
  readonly output: ByteWriter;
  readonly limits: NegotiationLimits;
  /** What has been agreed so far. */
  readonly negotiated: NegotiatedState;
}

/** What comes of an option: what follows, or what is agreed from now on, and then the next option. */
export type OptionOutcome =
  | NegotiationNext
  | { readonly kind: 'agreed'; readonly negotiated: NegotiatedState };

export interface OptionHandler {
  /**
   * What becomes of the option's data: `taken` hands it to `answer`, `ignored` passes over it, `refused` passes over it
   * and answers ERR_INVALID if there was any.
   */
  readonly data: 'taken' | 'ignored' | 'refused';
  /** False for EXPORT_NAME alone: where another option is refused by an error reply, it ends the connection (H5). */
  readonly canBeRefused: boolean;
  /** True for ABORT alone: it works while the server shuts down (H17). */
  readonly worksDuringShutdown: boolean;
  /**
   * True for SET_META_CONTEXT alone: whatever becomes of it, the contexts that were selected before are not any more
   * (H15).
   */
  readonly dropsContexts: boolean;
  /** Answers the option; `data` is valid during the call only, and empty unless it is `taken`. */
  readonly answer: (context: OptionContext, option: number, data: Uint8Array) => OptionOutcome;
}
