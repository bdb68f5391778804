import type { JobEngine } from '../engine/jobs.js';
import type { Ring } from '../engine/ring.js';
import { LARGEST_BLOCK_BYTES, Slab } from '../engine/slab.js';
import type { ThreadRecord } from '../metrics/record.js';
import { type Client, NONE } from './client.js';
import { REQUEST_SENDING, type RequestTable, WAY_MENDED } from './requests.js';

/** 1/RESERVE of everything is for connections that hold nothing; 1/LARGEST_SHARE is the most that one may hold. */
const RESERVE = 4;
const LARGEST_SHARE = 2;

/** Room for a request's reply header, and for an error's message behind it, bytes. */
export const REQUEST_SLOT_BYTES = 256;
/** Room for the header of one chunk, bytes. */
const PIECE_SLOT_BYTES = 64;
/** Jobs beyond one for each request: the further pieces of large requests. */
const EXTRA_JOBS = 256;

/** What a piece of a reply is. */
export const PIECE_DATA = 0;
/** No memory, no data: a range that reads as zeroes. */
export const PIECE_HOLE = 1;
/** Extents of one meta context, encoded. */
export const PIECE_STATUS = 2;

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
  readonly record: ThreadRecord;
  /** Set once by {@link Transmission}, since the engine reports to it. */
  jobs!: JobEngine;
  /** Ends a connection. Set once by {@link Transmission}. */
  drop!: (client: Client, reason: string) => void;
  readonly #headers: number;
  readonly #pieceHeaders: number;

  /** The next piece of the same reply, by job; whether it can be sent; and the size of its block, bytes, 0 for none. */
  readonly nextPiece: Int32Array;
  readonly pieceDone: Uint8Array;
  readonly pieceBlockBytes: Int32Array;
  /** PIECE_*. */
  readonly pieceKind: Uint8Array;
  /** Of block status: the context, and the number of extents. */
  readonly pieceContext: Uint8Array;
  readonly pieceExtents: Int32Array;

  /** Something was given back since the flag was cleared: those who wait may try again. */
  gaveBack = false;
  /** One block of the largest size for a client that has nothing, for when memory is free in small pieces only. */
  readonly #spareBlock: number;
  #spareIsTaken = false;
  #firstWaiting: Client | undefined;
  #lastWaiting: Client | undefined;

  /** Jobs for that many requests. */
  static jobCapacity(requests: number): number {
    return requests * 2 + EXTRA_JOBS;
  }

  /** Memory for the reply headers of that many requests and their jobs, bytes. */
  static headerBytes(requests: number): number {
    return requests * REQUEST_SLOT_BYTES + Core.jobCapacity(requests) * PIECE_SLOT_BYTES;
  }

  /** `headers` is the offset in memory of {@link headerBytes} bytes. */
  constructor(ring: Ring, slab: Slab, requests: RequestTable, headers: number, record: ThreadRecord) {
    const jobCapacity = Core.jobCapacity(requests.capacity);
    this.ring = ring;
    this.slab = slab;
    this.requests = requests;
    this.record = record;
    this.#headers = headers;
    this.#pieceHeaders = headers + requests.capacity * REQUEST_SLOT_BYTES;
    this.nextPiece = new Int32Array(jobCapacity).fill(NONE);
    this.pieceDone = new Uint8Array(jobCapacity);
    this.pieceBlockBytes = new Int32Array(jobCapacity);
    this.pieceKind = new Uint8Array(jobCapacity);
    this.pieceContext = new Uint8Array(jobCapacity);
    this.pieceExtents = new Int32Array(jobCapacity);
    this.#spareBlock = slab.take(LARGEST_BLOCK_BYTES);
  }

  /** Where the reply header of a request lies in memory. */
  headerOf(request: number): number {
    return this.#headers + request * REQUEST_SLOT_BYTES;
  }

  /** Where the header of a piece of a reply lies in memory. */
  pieceHeaderOf(job: number): number {
    return this.#pieceHeaders + job * PIECE_SLOT_BYTES;
  }

  mayTakeRequest(client: Client): boolean {
    const { available, capacity } = this.requests;
    if (client.inFlight === 0) return available > 0;
    return available > capacity / RESERVE && client.inFlight < capacity / LARGEST_SHARE;
  }

  /**
   * A job for the next piece of a request, from its cursor on and not beyond `end`, with a block for the data. Moves the
   * cursor. NONE when there is no job or no memory for this client now. A request that `insists` gets what the reserve
   * has: it is its second piece, and it can't begin with the first alone.
   */
  takePiece(client: Client, request: number, end: number, isWrite: boolean, insists = false): number {
    const { requests, jobs } = this;
    const volume = client.target.volume;
    const offset = requests.cursor[request]!;
    const length = volume.pieceBytes(offset, end - offset, isWrite);
    const bytes = volume.blockBytes(offset, length, isWrite);
    const job = this.takeBlockJob(client, request, bytes, insists);
    if (job === NONE) return NONE;
    requests.cursor[request] = offset + length;
    if (bytes !== length) requests.way[request] = WAY_MENDED;
    jobs.data[job] = jobs.block[job]! + volume.leadBytes(offset);
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    return job;
  }

  /** Whether {@link takeWhole} fits: the request is one aligned direct I/O. Nearly all requests are. */
  mayBeWhole(client: Client, request: number): boolean {
    const { requests } = this;
    return client.target.volume.isOneIo(requests.offsetLow[request]!, requests.length[request]!);
  }

  /**
   * {@link takePiece} for a request that is one piece. File offsets beyond 2^31 are numbers that V8 has to allocate wherever a
   * function gets or returns them; here they go from table to table.
   */
  takeWhole(client: Client, request: number): number {
    const { requests, jobs } = this;
    const job = this.takeBlockJob(client, request, requests.length[request]!);
    if (job === NONE) return NONE;
    requests.cursor[request] = requests.end[request]!;
    jobs.data[job] = jobs.block[job]!;
    jobs.offset[job] = requests.offset[request]!;
    jobs.length[job] = requests.length[request]!;
    return job;
  }

  /** A job with a block of at least `bytes`. NONE when there is no job or no memory for this client now. */
  takeBlockJob(client: Client, request: number, bytes: number, insists = false): number {
    const { requests, jobs } = this;
    if (!this.mayTakeJob(client, insists)) return NONE;
    let blockBytes = Slab.blockBytes(bytes);
    if (client.heldBytes > 0 && !insists && !this.#mayHold(client, blockBytes)) return NONE;
    let block = this.slab.take(blockBytes);
    if (block < 0) {
      if (client.heldBytes > 0 || this.#spareIsTaken) return NONE;
      this.#spareIsTaken = true;
      block = this.#spareBlock;
      blockBytes = LARGEST_BLOCK_BYTES;
    }
    const job = jobs.take(client.target.volume, request);
    client.heldBytes += blockBytes;
    requests.jobs[request]!++;
    this.pieceBlockBytes[job] = blockBytes;
    this.pieceKind[job] = PIECE_DATA;
    jobs.block[job] = block;
    return job;
  }

  /** Whether there is a job for this client now. */
  mayTakeJob(client: Client, insists = false): boolean {
    const { jobs } = this;
    const holds = !insists && (client.heldBytes > 0 || client.inFlight > 1);
    return jobs.available > (holds ? jobs.capacity / RESERVE : 0);
  }

  #mayHold(client: Client, moreBytes: number): boolean {
    const { freeBytes, totalBytes } = this.slab;
    return (
      freeBytes - moreBytes >= totalBytes / RESERVE &&
      client.heldBytes + moreBytes <= totalBytes / LARGEST_SHARE
    );
  }

  /** Gives a job that is not running a larger block instead of its own, if there is one for this client now. */
  enlargeBlock(client: Client, job: number, bytes: number): void {
    const own = this.pieceBlockBytes[job]!;
    if (bytes <= own) return;
    const blockBytes = Slab.blockBytes(bytes);
    if (!this.#mayHold(client, blockBytes)) return;
    const block = this.slab.take(blockBytes);
    if (block < 0) return;
    this.#giveBlock(this.jobs.block[job]!);
    this.jobs.block[job] = block;
    this.pieceBlockBytes[job] = blockBytes;
    client.heldBytes += blockBytes - own;
    this.gaveBack = true;
  }

  /** A job without memory of its own. Call only when one is available. */
  takeJob(client: Client, request: number, offset: number, length: number): number {
    const { jobs, requests } = this;
    const job = jobs.take(client.target.volume, request);
    requests.jobs[request]!++;
    this.pieceBlockBytes[job] = 0;
    this.pieceKind[job] = PIECE_DATA;
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

  /** One that has not been answered never will be. */
  releaseRequest(request: number): void {
    const { requests } = this;
    if (requests.state[request] !== REQUEST_SENDING) {
      const client = requests.client[request]!;
      client.target.record.gaveUp(client.record);
    }
    requests.release(request);
    this.gaveBack = true;
  }

  /** Puts the client at the end of the queue for memory and requests. Nothing is read from it meanwhile. */
  wait(client: Client): void {
    if (client.waiting) return;
    client.waiting = true;
    this.record.stopped();
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
