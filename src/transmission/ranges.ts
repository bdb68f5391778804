import { IO_DURABLE, IO_FAST, IO_MAY_PUNCH } from '../engine/ring.js';
import { FRAME_BYTES, LARGEST_BLOCK_BYTES } from '../engine/slab.js';
import {
  CMD_CACHE,
  CMD_FLAG_FAST_ZERO,
  CMD_FLAG_FUA,
  CMD_FLAG_NO_HOLE,
  CMD_TRIM,
} from '../protocol/constants.js';
import { type Client, NONE, STATUS_DEAD } from './client.js';
import type { Core } from './core.js';
import type { Failures } from './failures.js';
import type { Replies } from './replies.js';

/** What one call to the filesystem trims or zeroes: it locks the file meanwhile, and others want to write to it. */
const CHANGE_PIECE_BYTES = 128 * 1024 * 1024;
/** What one worker reads ahead before others get a turn. */
const CACHE_PIECE_BYTES = 16 * 1024 * 1024;
/** Most that one CACHE reads; more would push out what it has just read. */
export const LARGEST_CACHE_BYTES = 1024 * 1024 * 1024;
/** Writes at work for one WRITE_ZEROES where the filesystem can't zero a range itself. */
const ZERO_WINDOW = 4;
const EOPNOTSUPP = 95;

/**
 * TRIM, CACHE and WRITE_ZEROES: ranges of any length without data, carried out piece by piece so that others get
 * their turn. What is left to do is from the request's cursor to its end.
 */
export class Ranges {
  readonly #core: Core;
  readonly #replies: Replies;
  readonly #failures: Failures;
  /** A block of zeroes that aligned writes of zeroes share. */
  readonly #zeroes: number;

  constructor(core: Core, replies: Replies, failures: Failures) {
    this.#core = core;
    this.#replies = replies;
    this.#failures = failures;
    this.#zeroes = core.slab.take(LARGEST_BLOCK_BYTES);
    core.ring.bytes.fill(0, this.#zeroes, this.#zeroes + LARGEST_BLOCK_BYTES);
  }

  /** Reads ahead where that fills a cache that reads use (X18). */
  startCache(client: Client, request: number): void {
    const { requests } = this.#core;
    const offset = requests.offset[request]!;
    if (client.target.volume.isDirect(offset)) {
      this.#replies.answer(client, request);
      return;
    }
    requests.end[request] = Math.min(requests.end[request]!, offset + LARGEST_CACHE_BYTES);
    this.#next(request, this.#core.takeJob(client, request, 0, 0));
  }

  /** Inwards to whole granules (X12): a filesystem would zero the rest of a page through the page cache. */
  startTrim(client: Client, request: number): void {
    const { requests } = this.#core;
    const granule = granuleOf(client);
    const start = Math.ceil(requests.offset[request]! / granule) * granule;
    const end = Math.floor(requests.end[request]! / granule) * granule;
    if (end <= start) {
      this.#replies.answer(client, request);
      return;
    }
    requests.cursor[request] = start;
    requests.end[request] = end;
    this.#next(request, this.#core.takeJob(client, request, 0, 0));
  }

  /**
   * The outer parts of granules are written, the middle is the filesystem's business. False when there are not enough
   * jobs or memory now; nothing has happened then.
   */
  startZero(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests } = core;
    const granule = granuleOf(client);
    const offset = requests.offset[request]!;
    const end = requests.end[request]!;
    const isFast = (requests.flags[request]! & CMD_FLAG_FAST_ZERO) !== 0;
    const middle = Math.min(Math.ceil(offset / granule) * granule, end);
    const middleEnd = Math.max(Math.floor(end / granule) * granule, middle);
    if (isFast && middle < middleEnd && this.#isUnsupported(client, request)) {
      this.#failures.refuse(request, offset, EOPNOTSUPP);
      this.#replies.answer(client, request);
      return true;
    }

    const head = offset < middle ? this.#takeEdge(client, request, offset, middle, false) : NONE;
    const insists = client.inFlight === 1;
    const tail = middleEnd < end ? this.#takeEdge(client, request, middleEnd, end, insists) : NONE;
    if ((offset < middle && head === NONE) || (middleEnd < end && tail === NONE)) {
      if (head !== NONE) core.releaseJob(client, head);
      if (tail !== NONE) core.releaseJob(client, tail);
      return false;
    }
    requests.cursor[request] = middle;
    requests.end[request] = middleEnd;
    if (head !== NONE) this.#replies.appendPiece(request, head, true);
    if (tail !== NONE) this.#replies.appendPiece(request, tail, true);
    // A fast one that can't be fast has to leave everything as it was (X14): its edges wait for the middle.
    if (!isFast || middle === middleEnd) this.#writeEdges(request);
    if (middle === middleEnd) return true;
    const job = core.takeJob(client, request, middle, middleEnd - middle);
    if (this.#isUnsupported(client, request)) this.#startZeroWrites(client, request, job);
    else this.#next(request, job);
    return true;
  }

  /** A job of a TRIM, CACHE or WRITE_ZEROES has ended. True if the job is at work on the next piece. */
  pieceDone(client: Client, request: number, job: number, errno: number): boolean {
    const { requests, jobs } = this.#core;
    const command = requests.command[request];
    if (command === CMD_TRIM || command === CMD_CACHE) {
      if (errno === 0 && this.#next(request, job)) return true;
      // Both are only hints: what the file can't do is no error, and what the cache can't either (X12, X18).
      if (errno !== 0 && command === CMD_TRIM && errno !== EOPNOTSUPP) {
        this.#failures.jobFailed(client, request, job, errno);
      }
      return false;
    }
    const isFast = (requests.flags[request]! & CMD_FLAG_FAST_ZERO) !== 0;
    if (errno === EOPNOTSUPP && jobs.isZero(job) && !isFast) {
      if (this.#mayPunch(request)) client.target.volume.punchUnsupported = true;
      else client.target.volume.keepUnsupported = true;
      // Unless an edge of the same range has failed already.
      if (requests.error[request] !== 0) return false;
      this.#startZeroWrites(client, request, job);
      return true;
    }
    if (errno === EOPNOTSUPP && isFast) this.#failures.refuse(request, jobs.offset[job]!, errno);
    else if (errno !== 0) this.#failures.jobFailed(client, request, job, errno);
    if (requests.firstPiece[request] !== NONE) {
      if (errno === 0) this.#writeEdges(request);
      else this.#forgetEdges(client, request);
    }
    if (requests.error[request] !== 0) return false;
    if (jobs.isZero(job)) return this.#next(request, job);
    return requests.writesZeroes[request] === 1 && this.#nextZeroWrite(request, job);
  }

  /** Uses the job for the next piece. False when none is left. */
  #next(request: number, job: number): boolean {
    const { requests, jobs } = this.#core;
    const offset = requests.cursor[request]!;
    const end = requests.end[request]!;
    if (offset === end) return false;
    const command = requests.command[request];
    const most = command === CMD_CACHE ? CACHE_PIECE_BYTES : CHANGE_PIECE_BYTES;
    const length = Math.min(end - offset, most);
    requests.cursor[request] = offset + length;
    requests.jobBegan(request);
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    const flags = requests.flags[request]!;
    // What makes the last piece durable makes the ones before it so, too.
    const durable = offset + length === end ? durableFlag(flags) : 0;
    if (command === CMD_CACHE) jobs.advise(job);
    else if (command === CMD_TRIM) jobs.trim(job, durable);
    else jobs.zero(job, durable | zeroFlags(flags));
    this.#outlive(request, job);
    return true;
  }

  #mayPunch(request: number): boolean {
    return (this.#core.requests.flags[request]! & CMD_FLAG_NO_HOLE) === 0;
  }

  /** Whether the filesystem is known not to zero ranges as this request wants it. */
  #isUnsupported(client: Client, request: number): boolean {
    const { volume } = client.target;
    return this.#mayPunch(request) ? volume.punchUnsupported : volume.keepUnsupported;
  }

  // ---- the edges of WRITE_ZEROES ----

  /** A write of zeroes to less than a granule. It has a block of its own only if it must be merged with its unit. */
  #takeEdge(client: Client, request: number, start: number, end: number, insists: boolean): number {
    const core = this.#core;
    const { requests, jobs } = core;
    const { volume } = client.target;
    if (!volume.isDirect(start) || volume.isAligned(start, end - start)) {
      if (!core.mayTakeJob(client, insists)) return NONE;
      const job = core.takeJob(client, request, start, end - start);
      jobs.data[job] = this.#zeroes;
      return job;
    }
    requests.cursor[request] = start;
    const job = core.takePiece(client, request, end, true, insists);
    if (job !== NONE) {
      const data = jobs.data[job]!;
      core.ring.bytes.fill(0, data, data + end - start);
    }
    return job;
  }

  #writeEdges(request: number): void {
    while (this.#core.requests.firstPiece[request] !== NONE) {
      this.#write(request, this.#replies.shiftPiece(request));
    }
  }

  #forgetEdges(client: Client, request: number): void {
    while (this.#core.requests.firstPiece[request] !== NONE) {
      this.#core.releaseJob(client, this.#replies.shiftPiece(request));
    }
  }

  // ---- WRITE_ZEROES where the filesystem can't: several writes at a time from the shared block of zeroes ----

  /** The job becomes the first of the writes, from where it was to zero. */
  #startZeroWrites(client: Client, request: number, first: number): void {
    const core = this.#core;
    const { requests, jobs } = core;
    requests.cursor[request] = jobs.offset[first]!;
    requests.writesZeroes[request] = 1;
    if (!this.#nextZeroWrite(request, first)) throw new Error('nothing to zero');
    for (let i = 1; i < ZERO_WINDOW && core.mayTakeJob(client); i++) {
      if (requests.cursor[request] === requests.end[request]) return;
      this.#nextZeroWrite(request, core.takeJob(client, request, 0, 0));
    }
  }

  /** Uses the job for the next part of the range. False when none is left, or for an edge, whose block is its own. */
  #nextZeroWrite(request: number, job: number): boolean {
    const { requests, jobs } = this.#core;
    const offset = requests.cursor[request]!;
    const left = requests.end[request]! - offset;
    if (this.#core.pieceBlockBytes[job] !== 0 || left <= 0) return false;
    const length = Math.min(left, LARGEST_BLOCK_BYTES);
    requests.cursor[request] = offset + length;
    jobs.data[job] = this.#zeroes;
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    this.#write(request, job);
    return true;
  }

  #write(request: number, job: number): void {
    const { requests, jobs } = this.#core;
    requests.jobBegan(request);
    jobs.write(job, durableFlag(requests.flags[request]!));
    this.#outlive(request, job);
  }

  /** What goes on for a client that has taken its leave and is gone keeps younger writes to its place waiting (X19). */
  #outlive(request: number, job: number): void {
    const { requests, jobs } = this.#core;
    if (requests.client[request]!.status === STATUS_DEAD) jobs.outlive(job);
  }
}

/** The flag of a job for the flags of a command. */
export function durableFlag(commandFlags: number): number {
  return (commandFlags & CMD_FLAG_FUA) !== 0 ? IO_DURABLE : 0;
}

function zeroFlags(commandFlags: number): number {
  const punch = (commandFlags & CMD_FLAG_NO_HOLE) === 0 ? IO_MAY_PUNCH : 0;
  return punch | ((commandFlags & CMD_FLAG_FAST_ZERO) !== 0 ? IO_FAST : 0);
}

/**
 * What trimming and zeroing work in: whole pages where I/O is direct, since the rest would go through the cache, and
 * on a block device, which refuses parts of its sectors.
 */
function granuleOf(client: Client): number {
  const { volume } = client.target;
  const inPages = volume.directFile >= 0 || volume.backing.blockDevice;
  return inPages ? Math.max(volume.unitBytes, FRAME_BYTES) : 1;
}
