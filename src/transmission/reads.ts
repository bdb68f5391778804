import { CMD_FLAG_DF } from '../protocol/constants.js';
import { type Client, NONE, REPLIES_SIMPLE } from './client.js';
import { type Core, PIECE_DATA, PIECE_HOLE } from './core.js';
import type { Replies } from './replies.js';
import { REQUEST_STREAMING, WAY_MENDED, WAY_WHOLE } from './requests.js';

/** At most this much of a READ is in memory at once. One of at most this length is whole before its reply begins (X4). */
const READ_WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * READ: pieces of at most a block are read at once up to a window, then each block takes the next piece when it has been
 * sent. A reply in chunks says of what is known to be a hole only that it is one.
 */
export class Reads {
  readonly #core: Core;
  readonly #replies: Replies;

  constructor(core: Core, replies: Replies) {
    this.#core = core;
    this.#replies = replies;
  }

  /** False when there are not enough jobs or memory now; nothing has happened then. The length is not 0. */
  start(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests } = core;
    const inOnePiece = client.replies === REPLIES_SIMPLE || (requests.flags[request]! & CMD_FLAG_DF) !== 0;
    requests.inOnePiece[request] = inOnePiece ? 1 : 0;
    if (core.mayBeWhole(client, request) && (inOnePiece || !client.target.volume.map.hasHoles)) {
      return this.#startWhole(client, request);
    }
    return inOnePiece ? this.#startRun(client, request) : this.#startChunks(client, request);
  }

  /** A job of a READ has ended; an error has been noted. */
  pieceRead(client: Client, request: number, job: number, failed: boolean): void {
    if (this.#core.requests.way[request] === WAY_WHOLE) this.#wholeRead(client, request, job, failed);
    else if (this.#core.requests.inOnePiece[request] === 1) this.#runPieceRead(client, request, job, failed);
    else this.#chunkRead(client, request, job, failed);
  }

  #read(request: number, job: number): void {
    this.#core.requests.jobBegan(request);
    this.#core.jobs.read(job);
  }

  // ---- one piece ----

  #startWhole(client: Client, request: number): boolean {
    const job = this.#core.takeWhole(client, request);
    if (job === NONE) return false;
    const { requests, jobs } = this.#core;
    requests.way[request] = WAY_WHOLE;
    requests.running[request] = 1;
    jobs.readWhole(job);
    return true;
  }

  #wholeRead(client: Client, request: number, job: number, failed: boolean): void {
    if (!failed) {
      this.#replies.whole(client, request, job);
      return;
    }
    this.#core.requests.endWhole(request);
    this.#core.releaseJob(client, job);
    this.#replies.answer(client, request);
  }

  // ---- one run of bytes ----

  #startRun(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests } = core;
    const end = requests.end[request]!;
    let job = core.takePiece(client, request, end, false);
    if (job === NONE) return false;
    const begin = requests.offset[request]!;
    for (;;) {
      this.#replies.appendPiece(request, job, false);
      this.#read(request, job);
      const cursor = requests.cursor[request]!;
      if (cursor === end || cursor - begin >= READ_WINDOW_BYTES) return true;
      job = core.takePiece(client, request, end, false);
      // With less memory than it likes, the reply begins earlier and goes on piece by piece.
      if (job === NONE) return true;
    }
  }

  #runPieceRead(client: Client, request: number, job: number, failed: boolean): void {
    const core = this.#core;
    const { requests, jobs } = core;
    core.pieceDone[job] = 1;
    const error = requests.error[request]!;
    if (requests.state[request] === REQUEST_STREAMING) {
      if (error !== 0 && client.replies === REPLIES_SIMPLE) {
        // Its header has promised data that is not to be had (X4).
        core.drop(client, `a read failed (error ${error}) after its reply had begun`);
        return;
      }
      // The chunk has a length to be filled; the error comes behind it.
      if (failed) core.ring.bytes.fill(0, jobs.data[job]!, jobs.data[job]! + jobs.length[job]!);
      this.#replies.ready(client, request);
      return;
    }
    if (requests.running[request]! > 0) return;
    if (error === 0) {
      this.#replies.ready(client, request);
      return;
    }
    while (requests.firstPiece[request] !== NONE) {
      core.releaseJob(client, this.#replies.shiftPiece(request));
    }
    this.#replies.answer(client, request);
  }

  // ---- chunks ----

  /** Holes and data in their order, until the window is full. Only then is anything sent, since this can still fail. */
  #startChunks(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests } = core;
    const { map } = client.target.volume;
    const end = requests.end[request]!;
    let readBytes = 0;
    let goesOn = true;
    while (goesOn && readBytes < READ_WINDOW_BYTES && requests.cursor[request] !== end) {
      const cursor = requests.cursor[request]!;
      const isHole = map.isHole(cursor);
      const runEnd = map.holeRunEnd(cursor, end, isHole);
      const job = isHole
        ? this.#takeHole(client, request, runEnd)
        : core.takePiece(client, request, runEnd, false);
      goesOn = job !== NONE;
      if (!goesOn) break;
      if (isHole) {
        this.#replies.appendPiece(request, job, true);
      } else {
        readBytes += requests.cursor[request]! - cursor;
        this.#read(request, job);
      }
    }
    if (readBytes === 0 && requests.cursor[request] !== end) {
      // Holes alone were found room for. The rest needs a block, and who has begun must never wait for one.
      while (requests.firstPiece[request] !== NONE) {
        core.releaseJob(client, this.#replies.shiftPiece(request));
      }
      return false;
    }
    if (requests.firstPiece[request] !== NONE) this.#replies.ready(client, request);
    return true;
  }

  #takeHole(client: Client, request: number, end: number): number {
    const core = this.#core;
    if (!core.mayTakeJob(client)) return NONE;
    const cursor = core.requests.cursor[request]!;
    const job = core.takeJob(client, request, cursor, end - cursor);
    core.pieceKind[job] = PIECE_HOLE;
    core.requests.cursor[request] = end;
    return job;
  }

  #chunkRead(client: Client, request: number, job: number, failed: boolean): void {
    if (failed) this.#core.releaseJob(client, job);
    else this.#replies.appendPiece(request, job, true);
    this.#replies.ready(client, request);
  }

  // ---- the rest ----

  /**
   * The next piece takes the block of one that has been sent, so a READ never waits for memory once it has begun; it is
   * as long as the block allows, or a larger one if there is one.
   */
  readOn(client: Client, request: number, job: number): void {
    const core = this.#core;
    const { requests, jobs } = core;
    const { volume } = client.target;
    const offset = requests.cursor[request]!;
    const end = requests.end[request]!;
    const inOnePiece = requests.inOnePiece[request] === 1;
    const isHole = !inOnePiece && volume.map.isHole(offset);
    const runEnd = inOnePiece ? end : volume.map.holeRunEnd(offset, end, isHole);
    jobs.offset[job] = offset;
    if (isHole) {
      core.pieceKind[job] = PIECE_HOLE;
      jobs.length[job] = runEnd - offset;
      requests.cursor[request] = runEnd;
      this.#replies.appendPiece(request, job, true);
      this.#replies.ready(client, request);
      return;
    }
    const lead = volume.leadBytes(offset);
    const wanted = volume.pieceBytes(offset, runEnd - offset, false);
    const bytes = volume.blockBytes(offset, wanted, false);
    core.enlargeBlock(client, job, bytes);
    const length = Math.min(wanted, core.pieceBlockBytes[job]! - lead);
    if (bytes !== wanted) requests.way[request] = WAY_MENDED;
    core.pieceKind[job] = PIECE_DATA;
    jobs.data[job] = jobs.block[job]! + lead;
    jobs.length[job] = length;
    requests.cursor[request] = offset + length;
    if (inOnePiece) this.#replies.appendPiece(request, job, false);
    this.#read(request, job);
  }
}
