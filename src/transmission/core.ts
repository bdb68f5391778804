import type { JobEngine } from '../engine/jobs.js';
import type { Ring } from '../engine/ring.js';
import { LARGEST_BLOCK_BYTES, Slab } from '../engine/slab.js';
import { type Client, NONE } from './client.js';
import type { RequestTable } from './requests.js';

/** 1/RESERVE of everything is for connections that hold nothing; 1/LARGEST_SHARE is the most that one may hold. */
const RESERVE = 4;
const LARGEST_SHARE = 2;

/** Room for one reply header of any kind, bytes. */
export const HEADER_SLOT_BYTES = 32;

// What a SEND's tag means: the kind in the upper bits, a number of that kind below.
export const TAG_KIND_SHIFT = 28;
export const TAG_NUMBER_MASK = (1 << TAG_KIND_SHIFT) - 1;
/** The end of a request's reply. */
export const TAG_REPLY = 0;
/** A piece of a reply that more will follow. */
export const TAG_PIECE = 1;
/** Not of the transmission phase. */
export const TAG_OTHER = 2;

/**
 * What the parts of the transmission phase share: the tables, the memory, and who may have how much of it.
 *
 * Of memory, requests and jobs a connection may have up to a half, and the last quarter of each is kept for
 * connections that have nothing yet. So one that takes all it can get and never reads its replies takes nothing from the
 * others; several of them slow the others down to one piece at a time, until {@link Transmission.endStalled} ends them.
 */
export class Core {
  readonly ring: Ring;
  readonly slab: Slab;
  readonly requests: RequestTable;
  /** Set once by {@link Transmission}, since the engine reports to it. */
  jobs!: JobEngine;
  /** Ends a connection. Set once by {@link Transmission}. */
  drop!: (client: Client, reason: string) => void;
  readonly #headers: number;

  /** The next piece of the same READ, by job; whether its data is there; and the size of its block, bytes. */
  readonly nextPiece: Int32Array;
  readonly pieceDone: Uint8Array;
  readonly pieceBlockBytes: Int32Array;

  /** Something was given back since the flag was cleared: those who wait may try again. */
  gaveBack = false;
  /** One block of the largest size for a client that has nothing, for when memory is free in small pieces only. */
  readonly #spareBlock: number;
  #spareIsTaken = false;
  #firstWaiting: Client | undefined;
  #lastWaiting: Client | undefined;

  /** `headers` is the offset in memory of one header slot for each request. */
  constructor(ring: Ring, slab: Slab, requests: RequestTable, headers: number, jobCapacity: number) {
    this.ring = ring;
    this.slab = slab;
    this.requests = requests;
    this.#headers = headers;
    this.nextPiece = new Int32Array(jobCapacity).fill(NONE);
    this.pieceDone = new Uint8Array(jobCapacity);
    this.pieceBlockBytes = new Int32Array(jobCapacity);
    this.#spareBlock = slab.take(LARGEST_BLOCK_BYTES);
  }

  /** Where the reply header of a request lies in memory. */
  headerOf(request: number): number {
    return this.#headers + request * HEADER_SLOT_BYTES;
  }

  mayTakeRequest(client: Client): boolean {
    const { available, capacity } = this.requests;
    if (client.inFlight === 0) return available > 0;
    return available > capacity / RESERVE && client.inFlight < capacity / LARGEST_SHARE;
  }

  /**
   * A job for the next piece of a request, from its cursor on, with a block for the data. Moves the cursor.
   * NONE when there is no job or no memory for this client now.
   */
  takePiece(client: Client, request: number, isWrite: boolean): number {
    const { requests, jobs } = this;
    if (jobs.available <= (client.heldBytes > 0 ? jobs.capacity / RESERVE : 0)) return NONE;
    const volume = client.target.volume;
    const offset = requests.cursor[request]!;
    const length = volume.pieceBytes(offset, requests.end[request]! - offset, isWrite);
    let bytes = Slab.blockBytes(volume.blockBytes(offset, length, isWrite));
    if (client.heldBytes > 0 && !this.#mayHold(client, bytes)) return NONE;
    let block = this.slab.take(bytes);
    if (block < 0) {
      if (client.heldBytes > 0 || this.#spareIsTaken) return NONE;
      this.#spareIsTaken = true;
      block = this.#spareBlock;
      bytes = LARGEST_BLOCK_BYTES;
    }
    const job = jobs.take(volume, request);
    client.heldBytes += bytes;
    requests.jobs[request]!++;
    requests.cursor[request] = offset + length;
    this.pieceBlockBytes[job] = bytes;
    jobs.block[job] = block;
    jobs.data[job] = block + volume.leadBytes(offset);
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    return job;
  }

  #mayHold(client: Client, moreBytes: number): boolean {
    const { freeBytes, totalBytes } = this.slab;
    return (
      freeBytes - moreBytes >= totalBytes / RESERVE &&
      client.heldBytes + moreBytes <= totalBytes / LARGEST_SHARE
    );
  }

  /** Gives a job that is not running a larger block instead of its own. False, and no block, when there is none. */
  exchangeBlock(client: Client, job: number, bytes: number): boolean {
    const { jobs, slab } = this;
    this.#giveBlock(jobs.block[job]!);
    client.heldBytes -= this.pieceBlockBytes[job]!;
    const blockBytes = Slab.blockBytes(bytes);
    const block = slab.take(blockBytes);
    this.pieceBlockBytes[job] = block < 0 ? 0 : blockBytes;
    if (block < 0) return false;
    jobs.block[job] = block;
    client.heldBytes += blockBytes;
    return true;
  }

  /** A job without memory of its own. Call only when one is available. */
  takeJob(client: Client, request: number, offset: number, length: number): number {
    const { jobs, requests } = this;
    const job = jobs.take(client.target.volume, request);
    requests.jobs[request]!++;
    this.pieceBlockBytes[job] = 0;
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    return job;
  }

  /** Gives back a job that is not running, with its block. */
  releaseJob(client: Client, job: number): void {
    const { jobs, requests } = this;
    const bytes = this.pieceBlockBytes[job]!;
    if (bytes > 0) {
      this.#giveBlock(jobs.block[job]!);
      client.heldBytes -= bytes;
    }
    requests.jobs[jobs.owner[job]!]!--;
    jobs.release(job);
    this.gaveBack = true;
  }

  #giveBlock(block: number): void {
    if (block === this.#spareBlock) this.#spareIsTaken = false;
    else this.slab.give(block);
  }

  releaseRequest(request: number): void {
    this.requests.release(request);
    this.gaveBack = true;
  }

  /** Puts the client at the end of the queue for memory and requests. Nothing is read from it meanwhile. */
  wait(client: Client): void {
    if (client.waiting) return;
    client.waiting = true;
    client.nextWaiting = undefined;
    if (this.#lastWaiting) this.#lastWaiting.nextWaiting = client;
    else this.#firstWaiting = client;
    this.#lastWaiting = client;
  }

  /** Takes the whole queue; walk it by `nextWaiting` (which each client's next wait overwrites). */
  takeWaiting(): Client | undefined {
    const first = this.#firstWaiting;
    this.#firstWaiting = undefined;
    this.#lastWaiting = undefined;
    return first;
  }
}
