import { UNKNOWN_COMMAND_INDEX } from '../metrics/counters.js';
import { CMD_READ, CMD_WRITE, SIMPLE_REPLY_BYTES } from '../protocol/constants.js';
import { writeSimpleReply } from '../protocol/reply.js';
import { type Client, NONE, STATUS_DEAD, STATUS_LEAVING } from './client.js';
import { type Core, TAG_KIND_SHIFT, TAG_PIECE, TAG_REPLY } from './core.js';
import { REQUEST_READY, REQUEST_SENDING, REQUEST_STREAMING } from './requests.js';

/**
 * Replies on their way out. A simple reply is one uninterrupted run of bytes, so while a large READ is sent piece by
 * piece, whatever else is ready on the connection queues behind it. (Structured replies, whose chunks may interleave,
 * get their encoder here.)
 */
export class Replies {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Answers without data: success of anything but a READ, or an error. */
  answer(client: Client, request: number, error: number): void {
    const { requests } = this.#core;
    requests.error[request] = error;
    const command = requests.command[request]!;
    const { counters } = client.target;
    if (error !== 0) counters.errors[Math.min(command, UNKNOWN_COMMAND_INDEX)]!++;
    else if (command === CMD_WRITE) counters.bytes[1]! += requests.length[request]!;
    if (client.streaming === NONE) this.#sendHeader(client, request);
    else this.#queue(client, request);
  }

  /** A READ has all that it needs to begin: its first pieces, or its next one. */
  dataReady(client: Client, request: number): void {
    if (client.streaming !== request && client.streaming !== NONE) {
      this.#queue(client, request);
      return;
    }
    this.#sendPieces(client, request);
    this.#flushReady(client);
  }

  /** A SEND with TAG_PIECE or TAG_REPLY has completed; `result` below 0 is a negative errno. */
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
    if (requests.cursor[request] === requests.end[request]) core.releaseJob(client, job);
    else this.#readNextPiece(client, request, job);
  }

  /** For a request of a dead connection: gone as soon as nothing of it is at work. */
  releaseIfDone(request: number): void {
    const { requests } = this.#core;
    if (requests.jobs[request] === 0 && requests.sends[request] === 0) this.#core.releaseRequest(request);
  }

  /**
   * The piece's block is used again, so a READ never waits for memory once it has begun. (Only where a short piece
   * ended at the last whole unit of the file can the next one be larger.)
   */
  #readNextPiece(client: Client, request: number, job: number): void {
    const { requests, jobs } = this.#core;
    const volume = client.target.volume;
    const offset = requests.cursor[request]!;
    const length = volume.pieceBytes(offset, requests.end[request]! - offset, false);
    const bytes = volume.blockBytes(offset, length, false);
    if (bytes > this.#core.pieceBlockBytes[job]! && !this.#core.exchangeBlock(client, job, bytes)) {
      this.#core.releaseJob(client, job);
      this.#core.drop(client, 'there was no memory for the rest of a READ whose reply had begun');
      return;
    }
    requests.cursor[request] = offset + length;
    jobs.data[job] = jobs.block[job]! + volume.leadBytes(offset);
    jobs.offset[job] = offset;
    jobs.length[job] = length;
    this.appendPiece(request, job);
    requests.running[request]!++;
    jobs.read(job);
  }

  /** Puts a piece at the end of its READ; pieces leave in this order. */
  appendPiece(request: number, job: number): void {
    const { requests, nextPiece, pieceDone } = this.#core;
    pieceDone[job] = 0;
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

  #sendPieces(client: Client, request: number): void {
    const core = this.#core;
    const { requests, jobs, ring } = core;
    let headerBytes = 0;
    const header = core.headerOf(request);
    if (client.streaming === NONE) {
      headerBytes = SIMPLE_REPLY_BYTES;
      this.#writeHeader(request, header);
      client.streaming = request;
      requests.state[request] = REQUEST_STREAMING;
    }
    for (;;) {
      const job = requests.firstPiece[request]!;
      if (job === NONE || core.pieceDone[job] === 0) return;
      this.shiftPiece(request);
      const length = jobs.length[job]!;
      const isLast = jobs.offset[job]! + length === requests.end[request];
      const tag = isLast ? (TAG_REPLY << TAG_KIND_SHIFT) | request : (TAG_PIECE << TAG_KIND_SHIFT) | job;
      ring.send(client.connection, header, headerBytes, jobs.data[job]!, length, tag);
      requests.sends[request]!++;
      headerBytes = 0;
      if (isLast) {
        client.target.counters.bytes[0]! += requests.length[request]!;
        requests.finalPiece[request] = job;
        requests.state[request] = REQUEST_SENDING;
        client.streaming = NONE;
        return;
      }
    }
  }

  #sendHeader(client: Client, request: number): void {
    const core = this.#core;
    const header = core.headerOf(request);
    this.#writeHeader(request, header);
    core.requests.state[request] = REQUEST_SENDING;
    core.requests.sends[request]!++;
    core.ring.send(
      client.connection,
      header,
      SIMPLE_REPLY_BYTES,
      0,
      0,
      (TAG_REPLY << TAG_KIND_SHIFT) | request,
    );
  }

  #writeHeader(request: number, at: number): void {
    const { requests, ring } = this.#core;
    writeSimpleReply(
      ring.view,
      at,
      requests.error[request]!,
      requests.cookieHigh[request]!,
      requests.cookieLow[request]!,
    );
  }

  #queue(client: Client, request: number): void {
    const { requests } = this.#core;
    requests.state[request] = REQUEST_READY;
    requests.nextReady[request] = NONE;
    if (client.lastReady === NONE) client.firstReady = request;
    else requests.nextReady[client.lastReady] = request;
    client.lastReady = request;
  }

  /** Sends what queued behind a READ that has now been sent whole, up to the next one that has not. */
  #flushReady(client: Client): void {
    const { requests } = this.#core;
    while (client.firstReady !== NONE && client.streaming === NONE) {
      const request = client.firstReady;
      client.firstReady = requests.nextReady[request]!;
      if (client.firstReady === NONE) client.lastReady = NONE;
      const hasData = requests.command[request] === CMD_READ && requests.firstPiece[request] !== NONE;
      if (hasData) this.#sendPieces(client, request);
      else this.#sendHeader(client, request);
    }
  }
}
