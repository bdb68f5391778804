// One request in flight, and what its reply may still be: every rule of the specification that a chunk can break, in
// the words of "Structured reply types" and "Request types". Breaking one throws a BrokenRule.

import { isUtf8 } from 'node:buffer';
import { broken } from './broken-rule.js';
import { type Range, ReadContent } from './read-content.js';
import { type Extent, StatusReport } from './status-report.js';
import {
  BLOCK_STATUS,
  CACHE,
  DF,
  EINVAL,
  EIO,
  ENOMEM,
  ENOSPC,
  ENOTSUP,
  EOVERFLOW,
  EPERM,
  ESHUTDOWN,
  FAST_ZERO,
  flagsSent,
  MAX_PAYLOAD,
  type Mode,
  PAYLOAD_LEN,
  READ,
  type Request,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

/** What the two ends agreed on. */
export interface Terms {
  readonly mode: Mode;
  /** The contexts that were selected: names by their ids. */
  readonly contexts: ReadonlyMap<number, string>;
  /** Of the export, if it is known: no data and no extent may lie behind it. */
  readonly sizeBytes?: number;
  /** Whether what a server only SHOULD do is let pass; otherwise it is a fault, with a text that says so. */
  readonly lenient?: boolean;
}

/** All that was said about one request. */
export interface Reply {
  readonly cookie: bigint;
  /** 0 for success. */
  readonly error: number;
  /** What came with the error for a human; '' if nothing did. */
  readonly message: string;
  /** Empty unless a READ succeeded. */
  readonly data: Buffer;
  /** Parts of a READ that were told to be holes, by their offsets. */
  readonly holes: readonly Range[];
  /** Content chunks of a READ. */
  readonly pieces: number;
  /** What BLOCK_STATUS told, by context. */
  readonly contexts: ReadonlyMap<number, readonly Extent[]>;
  /** Messages that the reply consisted of. */
  readonly chunks: number;
}

const WIRE_ERRORS = new Set([EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN]);
const HAVE_OFFSETS = new Set([READ, WRITE, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS]);
const LONGEST_MESSAGE = 4096;
const LONG_MESSAGE = 256;
/** Reads that DF must not make too large. */
const ALWAYS_UNFRAGMENTED = 65_536n;

export class Outstanding {
  readonly cookie: bigint;
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  /** How much of the export it is about; of a payload's length there is nothing to be said. */
  readonly length: bigint;
  readonly terms: Terms;
  readonly #content: ReadContent;
  readonly #status: StatusReport;
  readonly #errorOffsets: bigint[] = [];
  #error = 0;
  #message = '';
  #hasPlainError = false;
  #chunks = 0;

  constructor(request: Request, terms: Terms) {
    this.cookie = request.cookie;
    this.type = request.type;
    this.flags = flagsSent(request, terms.mode);
    this.offset = BigInt(request.offset ?? 0);
    this.terms = terms;
    const inHeader = BigInt(request.length ?? request.payload?.length ?? 0);
    const byPayload =
      terms.mode === 'extended' && (this.flags & PAYLOAD_LEN) !== 0 && this.type === BLOCK_STATUS;
    const picked = byPayload ? pickedContexts(request.payload) : undefined;
    this.length = picked?.length ?? inHeader;
    this.#content = new ReadContent(this);
    this.#status = new StatusReport(this, picked?.contexts ?? [...terms.contexts.keys()]);
  }

  get chunks(): number {
    return this.#chunks;
  }

  get hasError(): boolean {
    return this.#error !== 0;
  }

  /** Complains of what a server SHOULD NOT do, unless that is let pass. */
  should(rule: string): void {
    if (!this.terms.lenient) broken(`SHOULD: ${rule}`);
  }

  toString(): string {
    return `command ${this.type} [${this.offset}, +${this.length})`;
  }

  // ---- a simple reply ----

  /** Its header has come. Returns where its data goes. */
  simple(error: number): Buffer {
    if (error !== 0) this.#checkError(error);
    if (this.terms.mode === 'structured') {
      if (this.type === READ) broken('a simple reply to READ, with structured replies');
      if (this.#chunks > 0) broken('a simple reply to a request that has chunks already');
      if (this.type === BLOCK_STATUS && error === 0)
        broken('a simple reply tells of a successful BLOCK_STATUS');
      if (error !== 0) this.should('an error in a simple reply, without words, although it could have some');
    }
    this.#chunks++;
    if (error !== 0) {
      this.#error = error;
      return Buffer.alloc(0);
    }
    return this.type === READ ? this.#content.whole() : Buffer.alloc(0);
  }

  // ---- chunks ----

  /** An OFFSET_DATA of `length` bytes has begun. Returns where its data goes. */
  dataChunk(offset: bigint, length: bigint): Buffer {
    return this.#content.data(offset, length, this.#errorOffsets);
  }

  holeChunk(offset: bigint, length: number): void {
    this.#content.hole(offset, BigInt(length), this.#errorOffsets);
  }

  statusChunk(context: number, extents: readonly Extent[]): void {
    this.#status.add(context, extents);
  }

  errorChunk(error: number, message: Buffer, offset: bigint | undefined): void {
    this.#checkError(error);
    if (message.length > LONGEST_MESSAGE) broken(`a message of ${message.length} bytes`);
    if (!isUtf8(message)) broken('a message that is not UTF-8');
    if (message.includes(0)) broken('a message with a NUL in it');
    if (message.length > LONG_MESSAGE)
      this.should(`be no longer than 256 bytes: a message of ${message.length}`);
    if (offset === undefined) {
      if (this.hasError) this.should('ERROR is the only error of its reply');
      this.#hasPlainError = true;
    } else {
      this.#errorAt(offset);
    }
    if (!this.hasError) {
      this.#error = error;
      this.#message = message.toString();
    }
  }

  /** A chunk of any kind has ended. */
  chunkEnds(): void {
    this.#chunks++;
  }

  /** The last chunk has ended, or the simple reply. */
  finish(): Reply {
    const succeeded = this.#error === 0;
    if (succeeded && this.type === READ) this.#content.checkComplete();
    if (succeeded && this.type === BLOCK_STATUS) this.#status.checkComplete();
    return {
      cookie: this.cookie,
      error: this.#error,
      message: this.#message,
      data: succeeded ? this.#content.assembled : Buffer.alloc(0),
      holes: this.#content.holes,
      pieces: this.#content.pieces,
      contexts: this.#status.contexts,
      chunks: this.#chunks,
    };
  }

  #errorAt(offset: bigint): void {
    if (!HAVE_OFFSETS.has(this.type)) broken(`ERROR_OFFSET as a reply to command ${this.type}`);
    if (offset < this.offset || offset >= this.offset + this.length)
      broken(`an error at ${offset}, outside of the request`);
    if (this.#hasPlainError) this.should('an error with an offset is not mixed with one that has none');
    if (this.#errorOffsets.includes(offset)) this.should(`the offset of an error is not repeated: ${offset}`);
    if (this.#errorOffsets.some((other) => this.#content.areInOnePiece(other, offset)))
      this.should('not more than one error lies within one content chunk');
    this.#errorOffsets.push(offset);
  }

  /** "Error values": which there are, and when two of them may be used. */
  #checkError(error: number): void {
    if (error === 0) broken('an error chunk with the error 0');
    if (!WIRE_ERRORS.has(error)) broken(`the error ${error}, which the wire does not know`);
    const isZeroes = this.type === WRITE_ZEROES;
    const isFast = isZeroes && (this.flags & FAST_ZERO) !== 0;
    if (error === ENOTSUP && isZeroes && !isFast) broken('ENOTSUP for a WRITE_ZEROES without FAST_ZERO');
    if (error === ENOTSUP && !isZeroes) this.should(`ENOTSUP is not for command ${this.type}`);
    if (error !== EOVERFLOW) return;
    if (isFast) this.should('FAST_ZERO does not fail with EOVERFLOW');
    if (this.type === READ && (this.flags & DF) !== 0 && this.length <= ALWAYS_UNFRAGMENTED)
      broken(`EOVERFLOW for a READ with DF of ${this.length} bytes`);
    const mayBeTooLarge =
      this.type === READ
        ? this.terms.mode !== 'simple' && this.length > ALWAYS_UNFRAGMENTED
        : this.type !== WRITE && this.length > BigInt(MAX_PAYLOAD);
    if (!mayBeTooLarge) this.should(`EOVERFLOW is not for ${this}`);
  }
}

// u64 effect length · u32 context × n
function pickedContexts(payload: Uint8Array | undefined): { length: bigint; contexts: number[] } {
  if (!payload || payload.length < 8) return { length: 0n, contexts: [] };
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const contexts: number[] = [];
  for (let at = 8; at + 4 <= payload.length; at += 4) contexts.push(view.getUint32(at));
  return { length: view.getBigUint64(0), contexts };
}
