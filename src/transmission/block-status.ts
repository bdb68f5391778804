import { EXTENT_BYTES, EXTENT_HOLE } from '../engine/ring.js';
import { FRAME_BYTES } from '../engine/slab.js';
import { CONTEXT_ALLOCATION, CONTEXT_CHANGED, STATE_CHANGED } from '../export/contexts.js';
import { writeStatusExtent } from '../protocol/chunk.js';
import { CMD_FLAG_REQ_ONE, STATE_HOLE, STATE_ZERO } from '../protocol/constants.js';
import { type Client, NONE, REPLIES_EXTENDED } from './client.js';
import { type Core, PIECE_STATUS } from './core.js';
import type { Replies } from './replies.js';

/** Most extents of one context in one reply; a client asks on from where they end. */
export const MAXIMUM_STATUS_EXTENTS = 4096;
/** Most granules of the map that one request looks at, since others wait meanwhile. */
export const MAXIMUM_STATUS_GRANULES = 1 << 16;
const STATUS_BLOCK_BYTES = MAXIMUM_STATUS_EXTENTS * EXTENT_BYTES;
const BYTES_PER_DOUBLE = 8;

/**
 * BLOCK_STATUS: one chunk for each context, one after the other in the same block. What is allocated, a worker finds
 * out, a bounded number of extents at a time; what has changed is in a map.
 */
export class BlockStatus {
  readonly #core: Core;
  readonly #replies: Replies;

  constructor(core: Core, replies: Replies) {
    this.#core = core;
    this.#replies = replies;
  }

  /** False when there is no job or memory now; nothing has happened then. */
  start(client: Client, request: number): boolean {
    const bytes = this.#asksForOne(request) ? FRAME_BYTES : STATUS_BLOCK_BYTES;
    const job = this.#core.takeBlockJob(client, request, bytes);
    if (job === NONE) return false;
    this.next(client, request, job);
    return true;
  }

  /** Answers for the next context that is left, in the job's block. */
  next(client: Client, request: number, job: number): void {
    const { requests, jobs } = this.#core;
    const left = requests.contexts[request]!;
    const context = (left & (1 << CONTEXT_ALLOCATION)) !== 0 ? CONTEXT_ALLOCATION : CONTEXT_CHANGED;
    requests.contexts[request] = left & ~(1 << context);
    // The cursor says whether more is to come, as it does for a READ.
    if (requests.contexts[request] === 0) requests.cursor[request] = requests.end[request]!;
    this.#core.pieceContext[job] = context;
    jobs.offset[job] = requests.offset[request]!;
    jobs.length[job] = requests.length[request]!;
    if (context === CONTEXT_ALLOCATION) {
      requests.jobBegan(request);
      jobs.extents(job, this.#asksForOne(request) ? EXTENT_BYTES : STATUS_BLOCK_BYTES);
    } else {
      this.#listChanged(client, request, job);
      this.#send(client, request, job);
    }
  }

  /** A worker has found extents. */
  extentsFound(client: Client, request: number, job: number, failed: boolean): void {
    if (failed) {
      this.#core.releaseJob(client, job);
      this.#replies.ready(client, request);
      return;
    }
    this.#encodeAllocation(client, job);
    this.#send(client, request, job);
  }

  #asksForOne(request: number): boolean {
    return (this.#core.requests.flags[request]! & CMD_FLAG_REQ_ONE) !== 0;
  }

  #send(client: Client, request: number, job: number): void {
    this.#replies.appendPiece(request, job, true);
    this.#replies.ready(client, request);
  }

  /** From the addon's form to the wire's in the same place: no extent gets longer by it. */
  #encodeAllocation(client: Client, job: number): void {
    const { jobs, ring } = this.#core;
    const extended = client.replies === REPLIES_EXTENDED;
    const block = jobs.block[job]!;
    const count = jobs.extentCount[job]!;
    let from = block / BYTES_PER_DOUBLE;
    let at = block;
    for (let i = 0; i < count; i++) {
      const length = ring.doubles[from]!;
      const flags = ring.doubles[from + 1] === EXTENT_HOLE ? STATE_HOLE | STATE_ZERO : 0;
      at = writeStatusExtent(ring.view, at, extended, length, flags);
      from += 2;
    }
    this.#describe(job, count, at);
  }

  #listChanged(client: Client, request: number, job: number): void {
    const { requests, jobs, ring } = this.#core;
    const { map } = client.target.volume;
    const extended = client.replies === REPLIES_EXTENDED;
    const most = this.#asksForOne(request) ? 1 : MAXIMUM_STATUS_EXTENTS;
    let offset = requests.offset[request]!;
    const end = Math.min(
      offset + requests.length[request]!,
      offset + MAXIMUM_STATUS_GRANULES * map.granuleBytes,
    );
    let at = jobs.block[job]!;
    let count = 0;
    while (offset < end && count < most) {
      const isChanged = map.isChanged(offset);
      const flags = isChanged ? STATE_CHANGED : 0;
      const runEnd = map.changedRunEnd(offset, end, isChanged);
      at = writeStatusExtent(ring.view, at, extended, runEnd - offset, flags);
      offset = runEnd;
      count++;
    }
    this.#describe(job, count, at);
  }

  /** The encoded extents are what the job's memory holds from now on. */
  #describe(job: number, count: number, end: number): void {
    const { jobs, pieceKind, pieceExtents } = this.#core;
    pieceKind[job] = PIECE_STATUS;
    pieceExtents[job] = count;
    jobs.data[job] = jobs.block[job]!;
    jobs.length[job] = end - jobs.block[job]!;
  }
}
