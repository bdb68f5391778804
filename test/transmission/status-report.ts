// What the status chunks of a BLOCK_STATUS have told so far: one for each context that was asked for, each a list of
// extents that follow one another from the request's offset.

import { broken } from './broken-rule.js';
import type { Outstanding } from './outstanding.js';
import { BLOCK_STATUS, CHANGED, HOLE, REQ_ONE, ZERO } from './wire.js';

export interface Extent {
  readonly length: bigint;
  readonly status: bigint;
}

/** "Servers SHOULD NOT send more than 2^20 extents in a single reply chunk" */
export const MOST_EXTENTS = 2 ** 20;
const GRAIN = 512n;

/** The status flags that there are, by context. Both contexts have 32 bits of them. */
const FLAGS = new Map<string | undefined, bigint>([
  ['base:allocation', BigInt(HOLE | ZERO)],
  ['aionbd:changed', BigInt(CHANGED)],
]);

export class StatusReport {
  readonly contexts = new Map<number, readonly Extent[]>();
  readonly #request: Outstanding;
  readonly #wanted: readonly number[];

  constructor(request: Outstanding, wanted: readonly number[]) {
    this.#request = request;
    this.#wanted = wanted;
  }

  add(context: number, extents: readonly Extent[]): void {
    const request = this.#request;
    if (request.type !== BLOCK_STATUS) broken(`a status chunk as a reply to command ${request.type}`);
    if (!this.#wanted.includes(context))
      broken(`a status chunk for context ${context}, which was not asked for`);
    if (this.contexts.has(context)) broken(`a second status chunk for context ${context}`);
    this.#checkLengths(extents);
    this.#checkFlags(context, extents);
    this.contexts.set(context, extents);
  }

  /** A BLOCK_STATUS that succeeds has told of every context. */
  checkComplete(): void {
    for (const context of this.#wanted) {
      if (!this.contexts.has(context)) broken(`BLOCK_STATUS succeeds without a chunk for context ${context}`);
    }
    if (this.#wanted.length === 0) this.#request.should('BLOCK_STATUS does not succeed without a context');
  }

  #checkLengths(extents: readonly Extent[]): void {
    const { offset, length, flags, terms } = this.#request;
    if (extents.length > MOST_EXTENTS) this.#request.should(`not more than 2^20 extents: ${extents.length}`);
    if ((flags & REQ_ONE) !== 0 && extents.length > 1) broken(`${extents.length} extents under REQ_ONE`);
    let sum = 0n;
    for (const [at, extent] of extents.entries()) {
      if (extent.length === 0n) broken('an extent of nothing');
      if (at > 0 && sum >= length) broken('an extent that begins behind the request');
      sum += extent.length;
      const end = offset + sum;
      const isEnd = end === offset + length || end === BigInt(terms.sizeBytes ?? -1);
      if (end % GRAIN !== 0n && !(isEnd && at === extents.length - 1))
        this.#request.should(`extents are multiples of 512 bytes: one ends at ${end}`);
    }
    if ((flags & REQ_ONE) !== 0 && sum > length) broken('an extent longer than the request, under REQ_ONE');
    if (terms.sizeBytes !== undefined && offset + sum > BigInt(terms.sizeBytes))
      broken('an extent beyond the end of the export');
  }

  #checkFlags(context: number, extents: readonly Extent[]): void {
    const known = FLAGS.get(this.#request.terms.contexts.get(context));
    for (const [at, { status }] of extents.entries()) {
      if (known !== undefined && status >> 32n !== 0n)
        broken(`a status of more than 32 bits in context ${context}: 0x${status.toString(16)}`);
      if (known !== undefined && (status & ~known) !== 0n)
        this.#request.should(`no unknown status flags in context ${context}: 0x${status.toString(16)}`);
      if (at > 0 && extents[at - 1]!.status === status)
        this.#request.should('neighbouring extents differ in their status');
    }
  }
}
