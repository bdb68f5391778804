import { RequestTimes } from '../metrics/request-times.js';
import { type Client, NONE } from './client.js';

/** Jobs are at work, or a payload is arriving. */
export const REQUEST_RUNNING = 1;
/** Can be answered, and waits for another reply of its connection to end. */
export const REQUEST_READY = 2;
/** Pieces of its reply have been sent, and more will follow. */
export const REQUEST_STREAMING = 3;
/** The last of its reply is on its way. */
export const REQUEST_SENDING = 4;
const REQUEST_FREE = 0;

const WAY_NONE = 0;
/**
 * A READ of one piece: its I/O begins when it has been parsed, and when that ends it is sent with its reply's header, without a
 * list of pieces.
 */
export const WAY_WHOLE = 1;
/** It did not fit the alignment of direct I/O. */
export const WAY_MENDED = 2;

/** Requests in flight as a structure of arrays: taking one allocates nothing. */
export class RequestTable {
  readonly capacity: number;
  readonly #free: Int32Array;
  #freeCount: number;

  readonly client: (Client | undefined)[];
  readonly state: Uint8Array;
  readonly command: Uint16Array;
  readonly flags: Uint16Array;
  readonly cookieHigh: Int32Array;
  readonly cookieLow: Int32Array;
  /** The offset as it came: extended replies repeat it, and the lower word tells whether it is aligned. */
  readonly offsetHigh: Int32Array;
  readonly offsetLow: Int32Array;
  readonly offset: Float64Array;
  readonly length: Float64Array;
  /** Where the next piece starts, and where the last one ends, bytes in the export. */
  readonly cursor: Float64Array;
  readonly end: Float64Array;
  /** The first error, as it goes on the wire; and what led to it: VERDICT_*, or Linux's errno of the job at an offset. */
  readonly error: Int32Array;
  readonly verdict: Uint8Array;
  readonly errno: Int32Array;
  readonly errorOffset: Float64Array;
  /** Its data has to be one run of bytes on the wire: a READ with a simple reply, or with DF. */
  readonly inOnePiece: Uint8Array;
  /** WAY_*. */
  readonly way: Uint8Array;
  /** After that run comes one more chunk, which says whether all of it could be read. */
  readonly endsApart: Uint8Array;
  /** WRITE_ZEROES: the filesystem can't, so zeroes are written. */
  readonly writesZeroes: Uint8Array;
  /** BLOCK_STATUS: the contexts to answer for, a bit for each. */
  readonly contexts: Uint8Array;
  /** Jobs running, jobs taken (running, or with data not yet sent), and sends not yet complete. */
  readonly running: Int32Array;
  readonly jobs: Int32Array;
  readonly sends: Int32Array;
  /** See {@link RequestTimes}. */
  readonly startedAt: Float64Array;
  readonly diskTime: Float64Array;
  /** Pieces of its reply in their order, not yet sent. */
  readonly firstPiece: Int32Array;
  readonly lastPiece: Int32Array;
  /** The piece that goes out with the end of the reply. */
  readonly finalPiece: Int32Array;
  /** The next in its connection's queue of replies. */
  readonly nextReady: Int32Array;
  readonly #times: RequestTimes;

  /** `clock` has the time in its cell RING_CLOCK. */
  constructor(capacity: number, clock: Float64Array) {
    this.capacity = capacity;
    this.#free = new Int32Array(capacity);
    for (let i = 0; i < capacity; i++) this.#free[i] = capacity - 1 - i;
    this.#freeCount = capacity;
    this.client = new Array<Client | undefined>(capacity).fill(undefined);
    this.state = new Uint8Array(capacity);
    this.command = new Uint16Array(capacity);
    this.flags = new Uint16Array(capacity);
    this.cookieHigh = new Int32Array(capacity);
    this.cookieLow = new Int32Array(capacity);
    this.offsetHigh = new Int32Array(capacity);
    this.offsetLow = new Int32Array(capacity);
    this.offset = new Float64Array(capacity);
    this.length = new Float64Array(capacity);
    this.cursor = new Float64Array(capacity);
    this.end = new Float64Array(capacity);
    this.error = new Int32Array(capacity);
    this.verdict = new Uint8Array(capacity);
    this.errno = new Int32Array(capacity);
    this.errorOffset = new Float64Array(capacity);
    this.inOnePiece = new Uint8Array(capacity);
    this.way = new Uint8Array(capacity);
    this.endsApart = new Uint8Array(capacity);
    this.writesZeroes = new Uint8Array(capacity);
    this.contexts = new Uint8Array(capacity);
    this.running = new Int32Array(capacity);
    this.jobs = new Int32Array(capacity);
    this.sends = new Int32Array(capacity);
    this.#times = new RequestTimes(capacity, clock);
    this.startedAt = this.#times.startedAt;
    this.diskTime = this.#times.diskTime;
    this.firstPiece = new Int32Array(capacity);
    this.lastPiece = new Int32Array(capacity);
    this.finalPiece = new Int32Array(capacity);
    this.nextReady = new Int32Array(capacity);
  }

  get available(): number {
    return this.#freeCount;
  }

  /** A request of `client`; call only when one is available, and {@link place} it then. */
  take(client: Client, command: number, flags: number): number {
    const request = this.#free[--this.#freeCount]!;
    this.client[request] = client;
    this.state[request] = REQUEST_RUNNING;
    this.command[request] = command;
    this.flags[request] = flags;
    this.error[request] = 0;
    this.verdict[request] = 0;
    this.errno[request] = 0;
    this.inOnePiece[request] = 0;
    this.way[request] = WAY_NONE;
    this.#times.parsed(request);
    this.writesZeroes[request] = 0;
    this.running[request] = 0;
    this.jobs[request] = 0;
    this.sends[request] = 0;
    this.firstPiece[request] = NONE;
    this.lastPiece[request] = NONE;
    this.finalPiece[request] = NONE;
    this.nextReady[request] = NONE;
    client.inFlight++;
    return request;
  }

  /** The range of the export that it is about. */
  place(request: number, offset: number, length: number): void {
    this.offset[request] = offset;
    this.length[request] = length;
    this.cursor[request] = offset;
    this.end[request] = offset + length;
  }

  /** A job of it begins to run. */
  jobBegan(request: number): void {
    if (this.running[request]!++ === 0) this.#times.workBegan(request);
  }

  /** A job of it has ended. */
  jobEnded(request: number): void {
    if (--this.running[request]! === 0 && this.way[request] !== WAY_WHOLE) this.#times.workEnded(request);
  }

  /** A READ of one piece has been read, and may have to wait for its turn: that is not the disk's time any more. */
  endWhole(request: number): void {
    this.way[request] = WAY_NONE;
    this.#times.endWhole(request);
  }

  release(request: number): void {
    if (this.state[request] === REQUEST_FREE) throw new Error(`request ${request} is released twice`);
    this.client[request]!.inFlight--;
    this.client[request] = undefined;
    this.state[request] = REQUEST_FREE;
    this.#free[this.#freeCount++] = request;
  }

  isTaken(request: number): boolean {
    return this.state[request] !== REQUEST_FREE;
  }
}
