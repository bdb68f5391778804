import { CMD_BLOCK_STATUS, CMD_READ, SIMPLE_REPLY_BYTES } from '../protocol/constants.js';
import { writeSimpleReply } from '../protocol/reply.js';
import { ChunkWriter } from './chunk-writer.js';
import {
  type Client,
  NONE,
  REPLIES_SIMPLE,
  REPLIES_STRUCTURED,
  STATUS_DEAD,
  STATUS_LEAVING,
} from './client.js';
import { type Core, PIECE_HOLE, TAG_KIND_SHIFT, TAG_PIECE, TAG_REPLY } from './core.js';
import {
  REQUEST_READY,
  REQUEST_RUNNING,
  REQUEST_SENDING,
  REQUEST_STREAMING,
  WAY_MENDED,
  WAY_WHOLE,
} from './requests.js';
import type { SlowRequests } from './slow-requests.js';

/**
 * Replies on their way out, in one of three forms:
 *
 * - an answer: a header, perhaps with an error's message. All there is for requests that bring no data.
 * - one run of bytes: the data of a READ with a simple reply, or with DF, behind one header. A large one is sent while
 *   the rest is still being read; until its end, whatever else is ready on the connection queues behind it.
 * - chunks: the pieces of a READ or BLOCK_STATUS as they become ready, each with a header of its own; those of several
 *   requests may mix.
 */
export class Replies {
  readonly #core: Core;
  readonly #chunks: ChunkWriter;
  readonly #slow: SlowRequests;
  /** Puts the next piece of a reply into the block of one that has been sent. Set once, by the commands. */
  goOn!: (client: Client, request: number, job: number) => void;

  constructor(core: Core, slow: SlowRequests) {
    this.#core = core;
    this.#slow = slow;
    this.#chunks = new ChunkWriter(core);
  }

  /** Everything about a request is known: its error, if there is one, and otherwise its success without data. */
  answer(client: Client, request: number): void {
    if (client.streaming === NONE) this.#sendAnswer(client, request);
    else this.#queue(client, request);
  }

  /** All data of a READ is there, in one piece. */
  whole(client: Client, request: number, job: number): void {
    if (client.streaming !== NONE) {
      this.#core.requests.endWhole(request);
      this.appendPiece(request, job, true);
      this.#queue(client, request);
      return;
    }
    const header = this.#core.headerOf(request);
    const end =
      client.replies === REPLIES_SIMPLE
        ? this.#writeSimpleHeader(request, header)
        : this.#chunks.writePiece(client, request, job, header, true);
    this.#sendLast(client, request, header, end - header, job);
  }

  /** The first pieces of a request's reply can be sent, or it has failed after some of them were. */
  ready(client: Client, request: number): void {
    if (client.streaming !== request && client.streaming !== NONE) {
      this.#queue(client, request);
      return;
    }
    this.#send(client, request);
    this.#flushReady(client);
  }

  /** A SEND with TAG_REPLY has completed; `result` below 0 is a negative errno. */
  replySent(request: number, result: number): void {
    const core = this.#core;
    const client = core.requests.client[request]!;
    core.requests.sends[request]!--;
    client.progress++;
    const piece = core.requests.finalPiece[request]!;
    if (piece !== NONE) core.releaseJob(client, piece);
    if (client.status === STATUS_DEAD) {
      this.releaseIfDone(request);
      return;
    }
    core.releaseRequest(request);
    if (result < 0) core.drop(client, `sending failed (errno ${-result})`);
    else if (client.status === STATUS_LEAVING && client.inFlight === 0)
      core.drop(client, client.leavingBecause);
  }

  /** A SEND with TAG_PIECE has completed. */
  pieceSent(job: number, result: number): void {
    const core = this.#core;
    const { requests, jobs } = core;
    const request = jobs.owner[job]!;
    const client = requests.client[request]!;
    requests.sends[request]!--;
    client.progress++;
    if (client.status === STATUS_DEAD || result < 0) {
      core.releaseJob(client, job);
      if (client.status === STATUS_DEAD) this.releaseIfDone(request);
      else core.drop(client, `sending failed (errno ${-result})`);
      return;
    }
    const hasMore = requests.cursor[request] !== requests.end[request];
    const goesOn =
      hasMore && (requests.error[request] === 0 || requests.state[request] === REQUEST_STREAMING);
    // A hole's job has no block to read into; jobs that have one see to the rest.
    if (goesOn && core.pieceBlockBytes[job] !== 0) this.goOn(client, request, job);
    else core.releaseJob(client, job);
  }

  /** For a request of a dead connection: gone as soon as nothing of it is at work. */
  releaseIfDone(request: number): void {
    const { requests } = this.#core;
    if (requests.jobs[request] === 0 && requests.sends[request] === 0) this.#core.releaseRequest(request);
  }

  /** Puts a piece at the end of its reply; pieces leave in this order. */
  appendPiece(request: number, job: number, isDone: boolean): void {
    const { requests, nextPiece, pieceDone } = this.#core;
    pieceDone[job] = isDone ? 1 : 0;
    nextPiece[job] = NONE;
    const last = requests.lastPiece[request]!;
    if (last === NONE) requests.firstPiece[request] = job;
    else nextPiece[last] = job;
    requests.lastPiece[request] = job;
  }

  /** Takes the first piece off the list. */
  shiftPiece(request: number): number {
    const { requests, nextPiece } = this.#core;
    const job = requests.firstPiece[request]!;
    const next = nextPiece[job]!;
    requests.firstPiece[request] = next;
    if (next === NONE) requests.lastPiece[request] = NONE;
    return job;
  }

  #send(client: Client, request: number): void {
    const { requests } = this.#core;
    if (requests.inOnePiece[request] === 1 && requests.firstPiece[request] !== NONE) {
      this.#sendRun(client, request);
    } else if (this.#comesInChunks(client, request)) {
      this.#sendChunks(client, request);
    } else {
      this.#sendAnswer(client, request);
    }
  }

  #comesInChunks(client: Client, request: number): boolean {
    const { requests } = this.#core;
    if (client.replies === REPLIES_SIMPLE || requests.inOnePiece[request] === 1) return false;
    // A READ of nothing has no piece to be sent.
    const command = requests.command[request];
    return (command === CMD_READ && requests.length[request] !== 0) || command === CMD_BLOCK_STATUS;
  }

  // ---- an answer ----

  #sendAnswer(client: Client, request: number): void {
    const core = this.#core;
    const { requests } = core;
    const at = core.headerOf(request);
    const error = requests.error[request]!;
    let end: number;
    if (client.replies === REPLIES_SIMPLE) end = this.#writeSimpleHeader(request, at);
    else if (error !== 0) end = this.#chunks.writeError(client, request, at);
    // A simple reply is shorter, and right for whatever has no data (X2).
    else if (client.replies === REPLIES_STRUCTURED && requests.command[request] !== CMD_READ)
      end = this.#writeSimpleHeader(request, at);
    else end = this.#chunks.writeNone(client, request, at);
    this.#sendLast(client, request, at, end - at, NONE);
  }

  #writeSimpleHeader(request: number, at: number): number {
    const { requests, ring } = this.#core;
    writeSimpleReply(
      ring.view,
      at,
      requests.error[request]!,
      requests.cookieHigh[request]!,
      requests.cookieLow[request]!,
    );
    return at + SIMPLE_REPLY_BYTES;
  }

  // ---- one run of bytes ----

  #sendRun(client: Client, request: number): void {
    const core = this.#core;
    const { requests, jobs } = core;
    let header = 0;
    let headerBytes = 0;
    if (client.streaming === NONE) {
      client.streaming = request;
      requests.state[request] = REQUEST_STREAMING;
      // An error that comes after the header has no room in a simple reply (X4); in chunks it gets one of its own,
      // and the chunk of the data can't be the last (X3).
      const isComplete = this.#isComplete(request);
      requests.endsApart[request] = client.replies !== REPLIES_SIMPLE && !isComplete ? 1 : 0;
      if (client.replies === REPLIES_SIMPLE) {
        header = core.headerOf(request);
        headerBytes = this.#writeSimpleHeader(request, header) - header;
      } else {
        header = core.pieceHeaderOf(requests.firstPiece[request]!);
        headerBytes = this.#chunks.writeRun(client, request, header, isComplete) - header;
      }
    }
    for (;;) {
      const job = requests.firstPiece[request]!;
      if (job === NONE || core.pieceDone[job] === 0) return;
      this.shiftPiece(request);
      if (jobs.offset[job]! + jobs.length[job]! === requests.end[request]) {
        client.streaming = NONE;
        if (requests.endsApart[request] === 0) {
          this.#sendLast(client, request, header, headerBytes, job);
        } else {
          this.#sendPiece(client, request, header, headerBytes, job);
          this.#sendAnswer(client, request);
        }
        return;
      }
      this.#sendPiece(client, request, header, headerBytes, job);
      headerBytes = 0;
    }
  }

  // ---- chunks ----

  #sendChunks(client: Client, request: number): void {
    const core = this.#core;
    const { requests } = core;
    const hasFailed = requests.error[request] !== 0;
    for (;;) {
      const job = requests.firstPiece[request]!;
      if (job === NONE) break;
      this.shiftPiece(request);
      const isLast = requests.firstPiece[request] === NONE && !hasFailed && this.#isComplete(request);
      const header = core.pieceHeaderOf(job);
      const headerBytes = this.#chunks.writePiece(client, request, job, header, isLast) - header;
      if (isLast) {
        this.#sendLast(client, request, header, headerBytes, job);
        return;
      }
      this.#sendPiece(client, request, header, headerBytes, job);
    }
    // What was still being read when it failed has come to its end, and nothing more is begun.
    if (hasFailed && requests.running[request] === 0) this.#sendAnswer(client, request);
  }

  /** Whether all of its data is there. */
  #isComplete(request: number): boolean {
    const { requests } = this.#core;
    return requests.running[request] === 0 && requests.cursor[request] === requests.end[request];
  }

  // ---- to the reactor ----

  #sendPiece(client: Client, request: number, header: number, headerBytes: number, job: number): void {
    const { requests, jobs, ring } = this.#core;
    requests.sends[request]!++;
    const tag = (TAG_PIECE << TAG_KIND_SHIFT) | job;
    const bytes = this.#dataBytes(job);
    client.record.sent(headerBytes + bytes);
    ring.send(client.connection, header, headerBytes, jobs.data[job]!, bytes, tag);
  }

  /** The end of a reply, with a piece or without. */
  #sendLast(client: Client, request: number, header: number, headerBytes: number, job: number): void {
    const { requests, jobs, ring } = this.#core;
    const bytes = job === NONE ? 0 : this.#dataBytes(job);
    this.#count(client, request, headerBytes + bytes);
    requests.state[request] = REQUEST_SENDING;
    requests.finalPiece[request] = job;
    requests.sends[request]!++;
    const tag = (TAG_REPLY << TAG_KIND_SHIFT) | request;
    ring.send(client.connection, header, headerBytes, job === NONE ? 0 : jobs.data[job]!, bytes, tag);
  }

  /** What of a piece is data on the wire: nothing of a hole. */
  #dataBytes(job: number): number {
    const { jobs, pieceKind } = this.#core;
    return pieceKind[job] === PIECE_HOLE ? 0 : jobs.length[job]!;
  }

  /** The end of the reply has so many bytes. */
  #count(client: Client, request: number, sentBytes: number): void {
    const { requests } = this.#core;
    const { record } = client.target;
    const way = requests.way[request]!;
    if (way === WAY_MENDED) record.mended();
    record.answered(
      requests.command[request]!,
      requests.error[request]!,
      requests,
      request,
      client.record,
      sentBytes,
      way === WAY_WHOLE,
    );
    this.#slow.answered(client, request);
  }

  // ---- the queue behind a run of bytes ----

  #queue(client: Client, request: number): void {
    const { requests } = this.#core;
    if (requests.state[request] === REQUEST_READY) return;
    requests.state[request] = REQUEST_READY;
    requests.nextReady[request] = NONE;
    if (client.lastReady === NONE) client.firstReady = request;
    else requests.nextReady[client.lastReady] = request;
    client.lastReady = request;
  }

  /** Sends what queued behind a run that has now been sent whole, up to the next one that has not. */
  #flushReady(client: Client): void {
    const { requests } = this.#core;
    while (client.firstReady !== NONE && client.streaming === NONE) {
      const request = client.firstReady;
      client.firstReady = requests.nextReady[request]!;
      if (client.firstReady === NONE) client.lastReady = NONE;
      requests.state[request] = REQUEST_RUNNING;
      this.#send(client, request);
    }
  }
}
