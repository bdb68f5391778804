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
const STATUS_BLOCK_BYTES = MAXIMUM_STATUS_EXTENTS * EXTENT_BYTES;
const BYTES_PER_DOUBLE = 8;

/**
 * BLOCK_STATUS: one chunk for each context. What is allocated, a worker finds out, a bounded number of extents at a time;
 * what has changed is in a map.
 */
export class BlockStatus {
  readonly #core: Core;
  readonly #replies: Replies;

  constructor(core: Core, replies: Replies) {
    this.#core = core;
    this.#replies = replies;
  }

  /** False when there are not enough jobs or memory now; nothing has happened then. */
  start(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests } = core;
    const contexts = requests.contexts[request]!;
    const one = (requests.flags[request]! & CMD_FLAG_REQ_ONE) !== 0;
    const bytes = one ? FRAME_BYTES : STATUS_BLOCK_BYTES;
    const wantsAllocation = (contexts & (1 << CONTEXT_ALLOCATION)) !== 0;
    const wantsChanged = (contexts & (1 << CONTEXT_CHANGED)) !== 0;

    const allocation = wantsAllocation ? core.takeBlockJob(client, request, bytes) : NONE;
    if (wantsAllocation && allocation === NONE) return false;
    const changed = wantsChanged ? core.takeBlockJob(client, request, bytes) : NONE;
    if (wantsChanged && changed === NONE) {
      if (allocation !== NONE) core.releaseJob(client, allocation);
      return false;
    }
    requests.cursor[request] = requests.end[request]!;
    if (allocation !== NONE) this.#findExtents(request, allocation, one);
    if (changed !== NONE) {
      this.#listChanged(client, request, changed, one);
      this.#replies.appendPiece(request, changed, true);
      this.#replies.ready(client, request);
    }
    return true;
  }

  /** A worker has found extents. */
  extentsFound(client: Client, request: number, job: number, failed: boolean): void {
    const core = this.#core;
    if (failed) {
      core.releaseJob(client, job);
    } else {
      this.#encodeAllocation(client, job);
      this.#replies.appendPiece(request, job, true);
    }
    this.#replies.ready(client, request);
  }

  #findExtents(request: number, job: number, one: boolean): void {
    const { requests, jobs } = this.#core;
    jobs.offset[job] = requests.offset[request]!;
    jobs.length[job] = requests.length[request]!;
    requests.running[request]!++;
    jobs.extents(job, one ? EXTENT_BYTES : STATUS_BLOCK_BYTES);
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
    this.#describe(job, CONTEXT_ALLOCATION, count, at);
  }

  #listChanged(client: Client, request: number, job: number, one: boolean): void {
    const { requests, jobs, ring } = this.#core;
    const { map } = client.target.volume;
    const extended = client.replies === REPLIES_EXTENDED;
    const end = requests.offset[request]! + requests.length[request]!;
    const most = one ? 1 : MAXIMUM_STATUS_EXTENTS;
    let offset = requests.offset[request]!;
    let at = jobs.block[job]!;
    let count = 0;
    while (offset < end && count < most) {
      const flags = map.isChanged(offset) ? STATE_CHANGED : 0;
      const runEnd = map.changedRunEnd(offset, end);
      at = writeStatusExtent(ring.view, at, extended, runEnd - offset, flags);
      offset = runEnd;
      count++;
    }
    this.#describe(job, CONTEXT_CHANGED, count, at);
  }

  /** The encoded extents are what the job's memory holds from now on. */
  #describe(job: number, context: number, count: number, end: number): void {
    const { jobs, pieceKind, pieceContext, pieceExtents } = this.#core;
    pieceKind[job] = PIECE_STATUS;
    pieceContext[job] = context;
    pieceExtents[job] = count;
    jobs.data[job] = jobs.block[job]!;
    jobs.length[job] = end - jobs.block[job]!;
  }
}
