// What the content chunks of a READ have told so far: OFFSET_DATA and OFFSET_HOLE in any order, together the range that
// was asked for, nothing twice and nothing else.

import { broken } from './broken-rule.js';
import type { Outstanding } from './outstanding.js';
import { DF, MAX_PAYLOAD, READ } from './wire.js';

/** "the server SHOULD use chunks with lengths and offsets as an integer multiple of 512 bytes, where possible" */
const GRAIN = 512n;

export interface Range {
  readonly start: number;
  readonly end: number;
}

export class ReadContent {
  readonly holes: Range[] = [];
  readonly #request: Outstanding;
  /** Parts that are known, in the request's own offsets: apart from each other, in ascending order. */
  readonly #known: Range[] = [];
  #data: Buffer | undefined;

  constructor(request: Outstanding) {
    this.#request = request;
  }

  /** Content chunks so far. */
  get pieces(): number {
    return this.#known.length;
  }

  /** All of it; what is not data is zeroes. */
  get assembled(): Buffer {
    return this.#data ?? Buffer.alloc(0);
  }

  /** The data of a simple reply. */
  whole(): Buffer {
    this.#inExport();
    const length = Number(this.#request.length);
    if (length > 0) this.#known.push({ start: 0, end: length });
    this.#data = Buffer.allocUnsafe(length);
    return this.#data;
  }

  /** Where the bytes of an OFFSET_DATA go. */
  data(offset: bigint, length: bigint, errors: readonly bigint[]): Buffer {
    if (length > BigInt(MAX_PAYLOAD)) broken(`a chunk with ${length} bytes of data`);
    const { start, end } = this.#claim(offset, length, errors);
    return this.#data!.subarray(start, end);
  }

  hole(offset: bigint, length: bigint, errors: readonly bigint[]): void {
    const { start, end } = this.#claim(offset, length, errors);
    const base = Number(this.#request.offset);
    this.holes.push({ start: base + start, end: base + end });
  }

  /** Whether one content chunk holds both. */
  areInOnePiece(one: bigint, other: bigint): boolean {
    const a = Number(one - this.#request.offset);
    const b = Number(other - this.#request.offset);
    return this.#known.some(({ start, end }) => start <= a && a < end && start <= b && b < end);
  }

  /** A READ that succeeds has told everything. */
  checkComplete(): void {
    let at = 0;
    for (const { start, end } of this.#known) {
      if (start !== at) break;
      at = end;
    }
    if (at !== Number(this.#request.length))
      broken(`a READ succeeds, but nothing was said of byte ${at} of it`);
  }

  #claim(offset: bigint, length: bigint, errors: readonly bigint[]): Range {
    const request = this.#request;
    if (request.type !== READ) broken(`a content chunk as a reply to command ${request.type}`);
    if (length === 0n) broken('a content chunk of nothing');
    if (offset < request.offset || offset + length > request.offset + request.length)
      broken(`a content chunk [${offset}, +${length}) outside of the request`);
    this.#inExport();
    if ((request.flags & DF) !== 0 && this.#known.length > 0) broken('a second content chunk under DF');
    if (errors.some((error) => offset <= error && error < offset + length))
      broken('a content chunk covers the offset of an earlier error');
    const start = Number(offset - request.offset);
    const range = { start, end: start + Number(length) };
    const behindAll = start >= (this.#known.at(-1)?.end ?? 0);
    const at = behindAll ? this.#known.length : this.#known.findIndex((other) => start < other.end);
    const next = this.#known[at];
    if (next && next.start < range.end)
      broken(`a content chunk [${offset}, +${length}) overlaps with an earlier one`);
    const isRound = (edge: bigint) =>
      edge % GRAIN === 0n || edge === request.offset || edge === request.offset + request.length;
    if (!isRound(offset) || !isRound(offset + length))
      request.should(`content chunks are multiples of 512 bytes: [${offset}, +${length})`);
    this.#known.splice(at, 0, range);
    this.#data ??= Buffer.alloc(Number(request.length));
    return range;
  }

  /** Before memory is set aside for what cannot be. */
  #inExport(): void {
    const { sizeBytes } = this.#request.terms;
    if (sizeBytes !== undefined && this.#request.offset + this.#request.length > BigInt(sizeBytes))
      broken('content for a READ that goes beyond the end of the export');
  }
}
