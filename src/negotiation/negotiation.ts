/**
 * The handshake of one connection (fixed newstyle) as a state machine without I/O: bytes in, bytes out.
 *
 *     client-flags ──▶ option-header ──▶ option-data ──┬──▶ option-header …
 *                            └─────────▶ option-skip ──┴──▶ finished (transmission or close)
 *
 * Data of an option is kept only if the option is known, wants it and it is not too long; all other data is passed over
 * as it comes, so the machine stays in sync whatever a client sends (H6), in little memory.
 */
import { ByteWriter } from '../protocol/byte-writer.js';
import {
  CLIENT_FLAGS_BYTES,
  HANDSHAKE_FLAG_FIXED_NEWSTYLE,
  HANDSHAKE_FLAG_NO_ZEROES,
  OPTION_HEADER_BYTES,
  REP_ERR_INVALID,
  REP_ERR_SHUTDOWN,
  REP_ERR_TOO_BIG,
} from '../protocol/constants.js';
import { optionName } from '../protocol/names.js';
import { decodeClientFlags, decodeOptionHeader, type OptionHeader } from '../protocol/option.js';
import { writeError, writeGreeting } from '../protocol/option-reply.js';
import type { ExportDirectory } from './directory.js';
import { Gather } from './gather.js';
import type { OptionHandler, OptionOutcome, Refusal } from './handler.js';
import { DEFAULT_LIMITS, type NegotiationLimits } from './limits.js';
import { handlerOf } from './options.js';
import {
  CONTINUE,
  closeBecause,
  freshState,
  type NegotiatedState,
  type NegotiationNext,
  type NegotiationStep,
  withoutContexts,
} from './step.js';

/** Offered to every client; a client may set these and no others (H1, H2). */
const HANDSHAKE_FLAGS = HANDSHAKE_FLAG_FIXED_NEWSTYLE | HANDSHAKE_FLAG_NO_ZEROES;

const NO_DATA = new Uint8Array(0);

/** An option on its way to its answer; with a refusal its fate is settled. */
interface PendingOption {
  readonly option: number;
  readonly handler: OptionHandler;
  readonly refusal: Refusal | undefined;
}

type State =
  | { readonly at: 'client-flags' }
  | { readonly at: 'option-header' }
  | { readonly at: 'option-data'; readonly pending: PendingOption; readonly dataBytes: number }
  | { readonly at: 'option-skip'; readonly pending: PendingOption; readonly remainingBytes: number }
  | { readonly at: 'finished'; readonly next: NegotiationNext };

const AT_OPTION_HEADER: State = Object.freeze({ at: 'option-header' });

export class Negotiation {
  readonly #directory: ExportDirectory;
  readonly #limits: NegotiationLimits;
  readonly #input = new Gather();
  readonly #output = new ByteWriter();
  #state: State = { at: 'client-flags' };
  #negotiated: NegotiatedState = freshState(false, false);
  #options = 0;

  /** `limits` replaces single limits; the rest keep their defaults. */
  constructor(directory: ExportDirectory, limits: Partial<NegotiationLimits> = {}) {
    this.#directory = directory;
    this.#limits = Object.freeze({ ...DEFAULT_LIMITS, ...limits });
  }

  /** What to send before anything is read: 18 bytes (H1). */
  greeting(): Uint8Array {
    const output = new ByteWriter();
    writeGreeting(output, HANDSHAKE_FLAGS);
    return output.take();
  }

  /** Memory kept for an option that has not arrived whole, bytes; at most twice the limit on an option's data. */
  get heldBytes(): number {
    return this.#input.capacityBytes;
  }

  /**
   * Takes the next bytes the client sent, split anywhere; they are read during the call only. Send the output before
   * pushing more, so that a client which does not read its answers is not read from either.
   *
   * Never throws for what a client sends. Once the handshake is over, consumes nothing and repeats how it ended.
   */
  push(bytes: Uint8Array): NegotiationStep {
    this.#input.feed(bytes);
    while (this.#advance()) {}
    const consumed = this.#input.release();
    const next = this.#state.at === 'finished' ? this.#state.next : CONTINUE;
    return { output: this.#output.take(), consumed, next };
  }

  /** One transition; false if the handshake is over or needs more input. */
  #advance(): boolean {
    const state = this.#state;
    switch (state.at) {
      case 'client-flags':
        return this.#readClientFlags();
      case 'option-header':
        return this.#readOptionHeader();
      case 'option-data':
        return this.#readOptionData(state.pending, state.dataBytes);
      case 'option-skip':
        return this.#skipOptionData(state.pending, state.remainingBytes);
      case 'finished':
        return false;
    }
  }

  #readClientFlags(): boolean {
    const bytes = this.#input.take(CLIENT_FLAGS_BYTES);
    if (bytes === undefined) return false;
    const flags = decodeClientFlags(bytes);
    if ((flags & ~HANDSHAKE_FLAGS) !== 0) {
      return this.#finish(closeBecause(`client flags ${hexadecimal(flags)} were not offered`));
    }
    this.#negotiated = freshState(
      (flags & HANDSHAKE_FLAG_FIXED_NEWSTYLE) !== 0,
      (flags & HANDSHAKE_FLAG_NO_ZEROES) !== 0,
    );
    this.#state = AT_OPTION_HEADER;
    return true;
  }

  #readOptionHeader(): boolean {
    const bytes = this.#input.take(OPTION_HEADER_BYTES);
    if (bytes === undefined) return false;
    const header = decodeOptionHeader(bytes);
    if (header === undefined) return this.#finish(closeBecause('an option does not begin with IHAVEOPT'));
    this.#options += 1;
    const handler = handlerOf(header.option);
    const offence = this.#findOffence(header, handler);
    if (offence !== undefined) return this.#finish(closeBecause(offence));
    this.#beginOption(header, handler);
    return true;
  }

  /** What about an option ends the connection before its data is looked at. */
  #findOffence({ option, dataBytes }: OptionHeader, handler: OptionHandler): string | undefined {
    const { maximumOptions, maximumOptionDataBytes, maximumSkippedBytes, maximumPipelinedAnswerBytes } =
      this.#limits;
    if (this.#options > maximumOptions) return `more than ${maximumOptions} options in one handshake`;
    if (this.#output.length > maximumPipelinedAnswerBytes) {
      return `options sent ahead of more than ${maximumPipelinedAnswerBytes} bytes of answers`;
    }
    // Only fixed newstyle has error replies, so elsewhere an option must be the one that does without (H4).
    if (!this.#negotiated.fixedNewstyle && handler.canBeRefused) {
      return `${optionName(option)} from a client that does not speak fixed newstyle`;
    }
    const limit = handler.canBeRefused ? maximumSkippedBytes : maximumOptionDataBytes;
    return dataBytes > limit ? describeExcess(option, dataBytes, limit) : undefined;
  }

  #beginOption({ option, dataBytes }: OptionHeader, handler: OptionHandler): void {
    const pending = { option, handler, refusal: this.#findRefusal(option, handler, dataBytes) };
    this.#state =
      handler.data === 'taken' && pending.refusal === undefined
        ? { at: 'option-data', pending, dataBytes }
        : { at: 'option-skip', pending, remainingBytes: dataBytes };
  }

  /** Why an option will be refused whatever its data says. */
  #findRefusal(option: number, handler: OptionHandler, dataBytes: number): Refusal | undefined {
    if (handler.data === 'refused' && dataBytes > 0) {
      return {
        error: REP_ERR_INVALID,
        message: `${optionName(option)} takes no data, ${dataBytes} bytes came`,
      };
    }
    const { maximumOptionDataBytes } = this.#limits;
    if (handler.data === 'taken' && dataBytes > maximumOptionDataBytes) {
      return { error: REP_ERR_TOO_BIG, message: describeExcess(option, dataBytes, maximumOptionDataBytes) };
    }
    return undefined;
  }

  #readOptionData(pending: PendingOption, dataBytes: number): boolean {
    const data = this.#input.take(dataBytes);
    if (data === undefined) return false;
    return this.#answer(pending, data);
  }

  #skipOptionData(pending: PendingOption, remainingBytes: number): boolean {
    const stillRemaining = remainingBytes - this.#input.skip(remainingBytes);
    if (stillRemaining === 0) return this.#answer(pending, NO_DATA);
    this.#state = { at: 'option-skip', pending, remainingBytes: stillRemaining };
    return false;
  }

  /** The option has arrived whole. */
  #answer(pending: PendingOption, data: Uint8Array): boolean {
    const { option, handler } = pending;
    if (handler.dropsContexts) this.#negotiated = withoutContexts(this.#negotiated);
    const refusal = this.#refuseInShutdown(handler) ?? pending.refusal;
    if (refusal !== undefined) return this.#refuse(option, handler, refusal);
    const context = {
      directory: this.#directory,
      output: this.#output,
      limits: this.#limits,
      negotiated: this.#negotiated,
    };
    return this.#finish(handler.answer(context, option, data));
  }

  #refuseInShutdown(handler: OptionHandler): Refusal | undefined {
    if (!this.#directory.shuttingDown || handler.worksDuringShutdown) return undefined;
    return { error: REP_ERR_SHUTDOWN, message: 'the server is shutting down' };
  }

  #refuse(option: number, handler: OptionHandler, { error, message }: Refusal): boolean {
    if (!handler.canBeRefused) return this.#finish(closeBecause(`${optionName(option)}: ${message}`));
    writeError(this.#output, option, error, message);
    return this.#finish(CONTINUE);
  }

  /** An option is done: on to the next one, or the handshake is over. Returns whether there is more to do. */
  #finish(outcome: OptionOutcome): boolean {
    switch (outcome.kind) {
      case 'agreed':
        this.#negotiated = Object.freeze(outcome.negotiated);
        this.#state = AT_OPTION_HEADER;
        return true;
      case 'continue':
        this.#state = AT_OPTION_HEADER;
        return true;
      case 'transmission':
      case 'close':
        this.#state = { at: 'finished', next: outcome };
        return false;
    }
  }
}

function hexadecimal(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

function describeExcess(option: number, dataBytes: number, limit: number): string {
  return `${optionName(option)} with ${dataBytes} bytes of data, more than ${limit}`;
}
