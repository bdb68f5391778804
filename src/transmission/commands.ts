import type { JobSink } from '../engine/jobs.js';
import { IO_DURABLE, IO_MAY_PUNCH } from '../engine/ring.js';
import { FRAME_BYTES, LARGEST_BLOCK_BYTES } from '../engine/slab.js';
import {
  CMD_CACHE,
  CMD_FLAG_FUA,
  CMD_FLAG_NO_HOLE,
  CMD_FLUSH,
  CMD_READ,
  CMD_TRIM,
  CMD_WRITE_ZEROES,
} from '../protocol/constants.js';
import { wireError } from '../protocol/errno.js';
import { type Client, NONE, STATUS_DEAD } from './client.js';
import type { Core } from './core.js';
import type { ErrorLog } from './error-log.js';
import type { Replies } from './replies.js';
import { REQUEST_STREAMING } from './requests.js';

/** A READ up to this length is complete before its reply begins, so an error can still be told (X4). */
const READ_WINDOW_BYTES = 4 * 1024 * 1024;
/** Writes at work for one WRITE_ZEROES where the filesystem can't zero a range itself. */
const ZERO_WINDOW = 4;
/** Jobs that must be free before a request without data starts. */
const SPARE_JOBS = 4;
const EOPNOTSUPP = 95;

/** Carries out requests that are valid: splits them into jobs, and sees them through to their reply. */
export class Commands implements JobSink {
  readonly #core: Core;
  readonly #replies: Replies;
  readonly #errors: ErrorLog;
  /** A block of zeroes that aligned writes of zeroes share. */
  readonly #zeroes: number;

  constructor(core: Core, replies: Replies, errors: ErrorLog) {
    this.#core = core;
    this.#replies = replies;
    this.#errors = errors;
    this.#zeroes = core.slab.take(LARGEST_BLOCK_BYTES);
    core.ring.bytes.fill(0, this.#zeroes, this.#zeroes + LARGEST_BLOCK_BYTES);
  }

  /**
   * Starts a request other than WRITE. False when there are not enough jobs or memory now: nothing has happened then,
   * and the request is the caller's to release.
   */
  start(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests } = core;
    const command = requests.command[request]!;
    if (requests.length[request] === 0 && command !== CMD_FLUSH) {
      this.#replies.answer(client, request, 0);
      return true;
    }
    if (command === CMD_READ) return this.#startRead(client, request);
    if (core.jobs.available < SPARE_JOBS) return false;
    switch (command) {
      case CMD_FLUSH:
        requests.running[request] = 1;
        core.jobs.sync(core.takeJob(client, request, 0, 0));
        return true;
      case CMD_TRIM:
        this.#startTrim(client, request);
        return true;
      case CMD_CACHE:
        this.#startCache(client, request);
        return true;
      case CMD_WRITE_ZEROES:
        return this.#startZero(client, request);
      default:
        throw new Error(`command ${command} was validated and is not known`);
    }
  }

  /** A piece of a WRITE's payload is complete in its job's block. */
  startWrite(request: number, job: number): void {
    const { requests, jobs } = this.#core;
    requests.running[request]!++;
    jobs.write(job, durable(requests.flags[request]!));
  }

  jobDone(job: number, errno: number): void {
    const core = this.#core;
    const { requests } = core;
    const request = core.jobs.owner[job]!;
    const client = requests.client[request]!;
    requests.running[request]!--;
    const command = requests.command[request]!;
    if (client.status === STATUS_DEAD) {
      // A piece that lies in the list of its READ leaves it here as well: nobody will send it.
      core.releaseJob(client, job);
      this.#replies.releaseIfDone(request);
      return;
    }
    let failure = errno;
    if (errno === EOPNOTSUPP && command === CMD_TRIM) failure = 0; // only a hint (X12)
    if (command === CMD_CACHE) failure = 0; // likewise
    if (errno === EOPNOTSUPP && core.jobs.isZero(job)) {
      client.target.volume.zeroUnsupported = true;
      // Unless an edge of the same range has failed already.
      if (requests.error[request] === 0) {
        this.#startZeroWrites(client, request, job);
        return;
      }
      failure = 0;
    }
    if (failure !== 0) this.#fail(client, request, job, failure);
    if (command === CMD_READ) this.#readDone(client, request, job);
    else if (command === CMD_WRITE_ZEROES && this.#nextZeroWrite(request, job)) return;
    else this.#changeDone(client, request, job);
  }

  #fail(client: Client, request: number, job: number, errno: number): void {
    const { requests, jobs } = this.#core;
    const flags = requests.flags[request]!;
    if (requests.error[request] === 0) requests.error[request] = wireError(errno, flags);
    this.#errors.report(client, requests.command[request]!, jobs.offset[job]!, jobs.length[job]!, errno);
  }

  // ---- READ ----

  #startRead(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests, jobs } = core;
    let job = core.takePiece(client, request, false);
    if (job === NONE) return false;
    const begin = requests.offset[request]!;
    for (;;) {
      this.#replies.appendPiece(request, job);
      requests.running[request]!++;
      jobs.read(job);
      const cursor = requests.cursor[request]!;
      if (cursor === requests.end[request] || cursor - begin >= READ_WINDOW_BYTES) return true;
      job = core.takePiece(client, request, false);
      // With less memory than it likes, the reply begins earlier and goes on piece by piece.
      if (job === NONE) return true;
    }
  }

  #readDone(client: Client, request: number, job: number): void {
    const core = this.#core;
    const { requests } = core;
    core.pieceDone[job] = 1;
    const error = requests.error[request]!;
    if (requests.state[request] === REQUEST_STREAMING) {
      // Its header has promised data that is not to be had (X4).
      if (error !== 0) core.drop(client, `a read failed (error ${error}) after its reply had begun`);
      else this.#replies.dataReady(client, request);
      return;
    }
    if (requests.running[request]! > 0) return;
    if (error === 0) {
      this.#replies.dataReady(client, request);
      return;
    }
    while (requests.firstPiece[request] !== NONE) {
      core.releaseJob(client, this.#replies.shiftPiece(request));
    }
    this.#answer(client, request);
  }

  // ---- changes, flush, cache ----

  #changeDone(client: Client, request: number, job: number): void {
    const { requests } = this.#core;
    this.#core.releaseJob(client, job);
    if (requests.running[request]! > 0 || client.writeRequest === request) return;
    this.#answer(client, request);
  }

  #answer(client: Client, request: number): void {
    this.#replies.answer(client, request, this.#core.requests.error[request]!);
  }

  #startCache(client: Client, request: number): void {
    const core = this.#core;
    const { requests } = core;
    const offset = requests.offset[request]!;
    if (client.target.volume.isDirect(offset)) {
      // Nothing is read from the page cache, so nothing is gained by filling it (X18).
      this.#replies.answer(client, request, 0);
      return;
    }
    requests.running[request] = 1;
    core.jobs.advise(core.takeJob(client, request, offset, requests.length[request]!));
  }

  #startTrim(client: Client, request: number): void {
    const core = this.#core;
    const { requests } = core;
    // Inwards to whole granules (X12): a filesystem would zero the rest of a page through the page cache.
    const granule = granuleOf(client);
    const start = Math.ceil(requests.offset[request]! / granule) * granule;
    const end = Math.floor(requests.end[request]! / granule) * granule;
    if (end <= start) {
      this.#replies.answer(client, request, 0);
      return;
    }
    requests.running[request] = 1;
    core.jobs.trim(core.takeJob(client, request, start, end - start), durable(requests.flags[request]!));
  }

  // ---- WRITE_ZEROES: the outer parts of granules are written, the middle is the filesystem's business ----

  #startZero(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests } = core;
    const granule = granuleOf(client);
    const offset = requests.offset[request]!;
    const end = requests.end[request]!;
    const middle = Math.min(Math.ceil(offset / granule) * granule, end);
    const middleEnd = Math.max(Math.floor(end / granule) * granule, middle);

    const head = offset < middle ? this.#zeroEdge(client, request, offset, middle) : NONE;
    const tail = middleEnd < end ? this.#zeroEdge(client, request, middleEnd, end) : NONE;
    if ((offset < middle && head === NONE) || (middleEnd < end && tail === NONE)) {
      if (head !== NONE) core.releaseJob(client, head);
      if (tail !== NONE) core.releaseJob(client, tail);
      return false;
    }
    requests.cursor[request] = middleEnd;
    requests.end[request] = middleEnd;
    if (head !== NONE) this.startWrite(request, head);
    if (tail !== NONE) this.startWrite(request, tail);
    if (middle === middleEnd) return true;
    const job = core.takeJob(client, request, middle, middleEnd - middle);
    if (client.target.volume.zeroUnsupported) {
      this.#startZeroWrites(client, request, job);
    } else {
      requests.running[request]!++;
      const punch = (requests.flags[request]! & CMD_FLAG_NO_HOLE) === 0 ? IO_MAY_PUNCH : 0;
      core.jobs.zero(job, durable(requests.flags[request]!) | punch);
    }
    return true;
  }

  /** A write of zeroes to less than a granule. It has a block of its own only if it must be merged with its unit. */
  #zeroEdge(client: Client, request: number, start: number, end: number): number {
    const core = this.#core;
    const { requests, jobs } = core;
    const volume = client.target.volume;
    if (!volume.isDirect(start) || volume.isAligned(start, end - start)) {
      const job = core.takeJob(client, request, start, end - start);
      jobs.data[job] = this.#zeroes;
      return job;
    }
    const wholeEnd = requests.end[request]!;
    requests.cursor[request] = start;
    requests.end[request] = end;
    const job = core.takePiece(client, request, true);
    requests.end[request] = wholeEnd;
    if (job !== NONE) {
      const data = jobs.data[job]!;
      core.ring.bytes.fill(0, data, data + end - start);
    }
    return job;
  }

  /** Where the filesystem can't: several writes at a time from the shared block of zeroes; the job becomes the first. */
  #startZeroWrites(client: Client, request: number, first: number): void {
    const core = this.#core;
    const { requests, jobs } = core;
    requests.cursor[request] = jobs.offset[first]!;
    requests.end[request] = jobs.offset[first]! + jobs.length[first]!;
    if (!this.#nextZeroWrite(request, first)) throw new Error('nothing to zero');
    for (let i = 1; i < ZERO_WINDOW && jobs.available > 0; i++) {
      if (requests.cursor[request] === requests.end[request]) return;
      this.#nextZeroWrite(request, core.takeJob(client, request, 0, 0));
    }
  }

  /** Uses the job for the next part of the range. False when none is left, or the request has failed. */
  #nextZeroWrite(request: number, job: number): boolean {
    const { requests, jobs } = this.#core;
    const offset = requests.cursor[request]!;
    const left = requests.end[request]! - offset;
    const hasOwnBlock = this.#core.pieceBlockBytes[job] !== 0;
    if (hasOwnBlock || left <= 0 || requests.error[request] !== 0) return false;
    const length = Math.min(left, LARGEST_BLOCK_BYTES);
    requests.cursor[request] = offset + length;
    jobs.data[job] = this.#zeroes;
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    this.startWrite(request, job);
    return true;
  }
}

function durable(commandFlags: number): number {
  return (commandFlags & CMD_FLAG_FUA) !== 0 ? IO_DURABLE : 0;
}

/**
 * What trimming and zeroing work in: whole pages where I/O is direct, since the rest would go through the cache, and
 * on a block device, which refuses parts of its sectors.
 */
function granuleOf(client: Client): number {
  const volume = client.target.volume;
  const inPages = volume.directFile >= 0 || volume.backing.blockDevice;
  return inPages ? Math.max(volume.unitBytes, FRAME_BYTES) : 1;
}
