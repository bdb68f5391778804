import { FRAME_BYTES } from '../engine/slab.js';
import { CMD_BLOCK_STATUS, CMD_DISC, CMD_FLAG_PAYLOAD_LEN, CMD_WRITE } from '../protocol/constants.js';
import {
  extendedRequestLength,
  requestCookieHigh,
  requestCookieLow,
  requestFlags,
  requestLength,
  requestMagic,
  requestOffset,
  requestOffsetHigh,
  requestOffsetLow,
  requestType,
  STATUS_PAYLOAD_FIXED_BYTES,
  STATUS_PAYLOAD_ID_BYTES,
  statusPayloadId,
  statusPayloadLength,
} from '../protocol/request.js';
import {
  type Client,
  EXPECT_HEADER,
  EXPECT_PAYLOAD,
  EXPECT_REFUSED_PAYLOAD,
  NONE,
  REPLIES_EXTENDED,
  STATUS_LEAVING,
  STATUS_OPEN,
} from './client.js';
import type { Commands } from './commands.js';
import type { Core } from './core.js';
import type { Replies } from './replies.js';
import { errorOf, isInside, judge, VERDICT_CONTEXT_LIST, VERDICT_OK } from './verdict.js';

/** A longer payload of BLOCK_STATUS can't be a list of different contexts; it is read and thrown away. */
const LARGEST_STATUS_PAYLOAD_BYTES = 256;
/** Receive buffers grow in steps from 4 KiB to this, on connections that fill them. */
const LARGEST_RECEIVE_BUFFER_BYTES = 128 * 1024;
const RECEIVE_BUFFER_GROWTH = 4;
/** Payloads of at least this length are received into their blocks; shorter ones pay for themselves by being copied. */
const LARGE_PAYLOAD_BYTES = 32 * 1024;
/** With this much of a payload to come, only a little of what follows it is taken along. */
const LARGE_REST_BYTES = 16 * 1024;
const OVERFLOW_AFTER_LARGE_BYTES = 512;
const HEADERS_ONLY_BYTES = 4096;

/** Takes apart what a connection sends: headers, payloads, and the payloads of requests that were refused. */
export class Intake {
  readonly #core: Core;
  readonly #commands: Commands;
  readonly #replies: Replies;

  constructor(core: Core, commands: Commands, replies: Replies) {
    this.#core = core;
    this.#commands = commands;
    this.#replies = replies;
  }

  /** Uses the bytes that are there, as far as memory and requests allow, and then asks for more. */
  advance(client: Client): void {
    while (client.status === STATUS_OPEN) {
      let goesOn: boolean;
      if (client.expect === EXPECT_HEADER) goesOn = this.#header(client);
      else if (client.expect === EXPECT_PAYLOAD) goesOn = this.#payload(client);
      else goesOn = this.#refusedPayload(client);
      if (!goesOn) break;
    }
    if (client.status === STATUS_OPEN && !client.waiting && !client.receiving) this.#receive(client);
  }

  /** The armed receive has brought `count` bytes. */
  received(client: Client, count: number): void {
    client.receiving = false;
    client.progress++;
    if (client.receivingPayload) {
      client.receivingPayload = false;
      const room = this.#core.jobs.length[client.writeJob]! - client.pieceFilled;
      const used = Math.min(count, room);
      client.pieceFilled += used;
      client.start = client.buffer;
      client.end = client.buffer + count - used;
    } else {
      client.end += count;
      client.filled = count === client.armedBytes;
    }
    this.advance(client);
  }

  /** The armed receive was given up for the sake of its buffer; it has brought nothing. */
  disarmed(client: Client): void {
    client.receiving = false;
    this.#shrink(client);
    this.advance(client);
  }

  /** One request header. False when there is none, or the client has to wait. */
  #header(client: Client): boolean {
    const core = this.#core;
    if (client.leavesNext) return this.#leave(client);
    const headerBytes = client.requestHeaderBytes;
    if (client.end - client.start < headerBytes) return false;
    const view = core.ring.view;
    const at = client.start;
    if (requestMagic(view, at) !== client.requestMagic) {
      core.drop(client, `a request began with 0x${requestMagic(view, at).toString(16)} instead of its magic`);
      return false;
    }
    const command = requestType(view, at);
    if (command === CMD_DISC) return this.#leave(client);
    if (!core.mayTakeRequest(client)) {
      core.wait(client);
      return false;
    }
    const flags = requestFlags(view, at);
    const offset = requestOffset(view, at);
    const extended = client.replies === REPLIES_EXTENDED;
    const length = extended ? extendedRequestLength(view, at) : requestLength(view, at);
    // A WRITE has a payload even where its client forgot to say so.
    const hasPayload = command === CMD_WRITE || (extended && (flags & CMD_FLAG_PAYLOAD_LEN) !== 0);
    if (hasPayload && length > client.largestPayloadBytes) {
      core.drop(client, `a request announced a payload of ${length} bytes, more than will be read`);
      return false;
    }
    if (hasPayload && command === CMD_BLOCK_STATUS && length <= LARGEST_STATUS_PAYLOAD_BYTES) {
      if (client.end - client.start < headerBytes + length) return false;
      return this.#statusOfContexts(client, flags, offset, length);
    }

    let verdict = judge(client, command, flags, length, isInside(client, offset, length));
    // Only a WRITE's length is that of its payload and of the range at once.
    if (hasPayload && command !== CMD_WRITE && verdict === VERDICT_OK) verdict = VERDICT_CONTEXT_LIST;
    const request = core.requests.take(client, command, flags);
    core.requests.place(request, offset, length);
    core.requests.contexts[request] = client.contexts;
    this.#copyWords(request, at);
    if (verdict !== VERDICT_OK) {
      client.start += headerBytes;
      this.#refuse(client, request, verdict, hasPayload ? length : 0);
    } else if (command === CMD_WRITE && length > 0) {
      // The header is used up only with the first piece's memory at hand, so a client that waits holds nothing.
      const job = core.mayBeWhole(client, request)
        ? core.takeWhole(client, request)
        : core.takePiece(client, request, offset + length, true);
      if (job === NONE) return this.#putBack(client, request);
      client.start += headerBytes;
      client.expect = EXPECT_PAYLOAD;
      client.writeRequest = request;
      client.writeJob = job;
      client.pieceFilled = 0;
      client.payloadLeft = length;
      client.largePayloads = length >= LARGE_PAYLOAD_BYTES;
    } else if (this.#commands.start(client, request)) {
      client.start += headerBytes;
    } else {
      return this.#putBack(client, request);
    }
    client.target.record.began(command, client.record);
    return true;
  }

  /** BLOCK_STATUS with a payload that names the range's length and the contexts to answer for; all of it is here. */
  #statusOfContexts(client: Client, flags: number, offset: number, payloadBytes: number): boolean {
    const core = this.#core;
    const at = client.start + client.requestHeaderBytes;
    const isWhole =
      payloadBytes > STATUS_PAYLOAD_FIXED_BYTES &&
      (payloadBytes - STATUS_PAYLOAD_FIXED_BYTES) % STATUS_PAYLOAD_ID_BYTES === 0;
    const length = isWhole ? statusPayloadLength(core.ring.view, at) : payloadBytes;
    const contexts = isWhole ? this.#listedContexts(client, at, payloadBytes) : 0;
    let verdict = judge(client, CMD_BLOCK_STATUS, flags, length, isInside(client, offset, length));
    if (verdict === VERDICT_OK && contexts === 0) verdict = VERDICT_CONTEXT_LIST;
    const request = core.requests.take(client, CMD_BLOCK_STATUS, flags);
    core.requests.place(request, offset, length);
    core.requests.contexts[request] = contexts;
    this.#copyWords(request, client.start);
    if (verdict !== VERDICT_OK) this.#refuse(client, request, verdict, 0);
    else if (!this.#commands.start(client, request)) return this.#putBack(client, request);
    client.start = at + payloadBytes;
    client.target.record.began(CMD_BLOCK_STATUS, client.record);
    return true;
  }

  /** A bit for each context listed, or 0 if one is not selected, or listed twice. */
  #listedContexts(client: Client, at: number, payloadBytes: number): number {
    const count = (payloadBytes - STATUS_PAYLOAD_FIXED_BYTES) / STATUS_PAYLOAD_ID_BYTES;
    let contexts = 0;
    for (let i = 0; i < count; i++) {
      const id = statusPayloadId(this.#core.ring.view, at, i);
      const bit = id < 32 ? 1 << id : 0;
      if ((client.contexts & bit) === 0 || (contexts & bit) !== 0) return 0;
      contexts |= bit;
    }
    return contexts;
  }

  /** What the reply repeats of the header at `at`. */
  #copyWords(request: number, at: number): void {
    const { requests, ring } = this.#core;
    requests.cookieHigh[request] = requestCookieHigh(ring.view, at);
    requests.cookieLow[request] = requestCookieLow(ring.view, at);
    requests.offsetHigh[request] = requestOffsetHigh(ring.view, at);
    requests.offsetLow[request] = requestOffsetLow(ring.view, at);
  }

  #leave(client: Client): false {
    client.status = STATUS_LEAVING;
    if (client.inFlight === 0) this.#core.drop(client, client.leavingBecause);
    return false;
  }

  /** There is no room for the request now: it stays where it is, and the client waits. */
  #putBack(client: Client, request: number): false {
    this.#core.requests.release(request);
    this.#core.wait(client);
    return false;
  }

  /** A payload is read to its end before the answer, so that the next header is found (X7). */
  #refuse(client: Client, request: number, verdict: number, payloadBytes: number): void {
    const { requests } = this.#core;
    requests.verdict[request] = verdict;
    requests.error[request] = errorOf(verdict);
    if (payloadBytes === 0) {
      this.#replies.answer(client, request);
      return;
    }
    client.writeRequest = request;
    client.payloadLeft = payloadBytes;
    client.expect = EXPECT_REFUSED_PAYLOAD;
  }

  /** Fills pieces of a WRITE and starts them. False when bytes are missing, or memory for the next piece. */
  #payload(client: Client): boolean {
    const core = this.#core;
    const { jobs } = core;
    const request = client.writeRequest;
    if (client.writeJob === NONE) {
      client.writeJob = core.takePiece(client, request, core.requests.end[request]!, true);
      client.pieceFilled = 0;
      if (client.writeJob === NONE) {
        core.wait(client);
        return false;
      }
    }
    const job = client.writeJob;
    const length = jobs.length[job]!;
    const here = Math.min(client.end - client.start, length - client.pieceFilled);
    if (here > 0) {
      const into = jobs.data[job]! + client.pieceFilled;
      core.ring.bytes.copyWithin(into, client.start, client.start + here);
      client.start += here;
      client.pieceFilled += here;
    }
    if (client.pieceFilled < length) return false;
    client.payloadLeft -= length;
    client.writeJob = NONE;
    if (client.payloadLeft === 0) {
      client.writeRequest = NONE;
      client.expect = EXPECT_HEADER;
    }
    this.#commands.startWrite(request, job);
    return true;
  }

  #refusedPayload(client: Client): boolean {
    const here = Math.min(client.end - client.start, client.payloadLeft);
    client.start += here;
    client.payloadLeft -= here;
    if (client.payloadLeft > 0) return false;
    const request = client.writeRequest;
    client.writeRequest = NONE;
    client.expect = EXPECT_HEADER;
    this.#replies.answer(client, request);
    return true;
  }

  // ---- receiving ----

  #receive(client: Client): void {
    client.receiving = true;
    if (client.expect === EXPECT_PAYLOAD) this.#receivePayload(client);
    else this.#receiveHeaders(client);
  }

  /** Straight into the block; what the socket holds beyond the piece goes to the receive buffer in the same call. */
  #receivePayload(client: Client): void {
    const { jobs, ring } = this.#core;
    const job = client.writeJob;
    const length = jobs.length[job]!;
    const rest = length - client.pieceFilled;
    let overflow = client.bufferBytes;
    if (client.payloadLeft > length) overflow = 0;
    else if (rest >= LARGE_REST_BYTES) overflow = OVERFLOW_AFTER_LARGE_BYTES;
    client.start = client.buffer;
    client.end = client.buffer;
    client.receivingPayload = true;
    const into = jobs.data[job]! + client.pieceFilled;
    ring.receive(client.connection, into, rest, client.buffer, overflow, client.connection);
  }

  #receiveHeaders(client: Client): void {
    const { ring } = this.#core;
    const left = client.end - client.start;
    if (client.filled && client.bufferBytes < LARGEST_RECEIVE_BUFFER_BYTES) this.#grow(client);
    if (client.start !== client.buffer) {
      if (left > 0) ring.bytes.copyWithin(client.buffer, client.start, client.end);
      client.start = client.buffer;
      client.end = client.buffer + left;
    }
    const room = client.bufferBytes - left;
    const headersOnly = client.largePayloads && client.expect !== EXPECT_REFUSED_PAYLOAD;
    client.armedBytes = headersOnly ? Math.min(room, HEADERS_ONLY_BYTES) : room;
    ring.receive(client.connection, client.end, client.armedBytes, 0, 0, client.connection);
  }

  /** Changes a large buffer for the smallest. Whoever waits for memory may have what that gives back. */
  #shrink(client: Client): void {
    const left = client.end - client.start;
    if (client.bufferBytes === FRAME_BYTES || left > FRAME_BYTES) return;
    this.#useBuffer(client, FRAME_BYTES);
    this.#core.gaveBack = true;
  }

  #grow(client: Client): void {
    const { slab } = this.#core;
    client.filled = false;
    if (client.largePayloads || slab.freeBytes < slab.totalBytes / 2) return;
    const bytes = Math.min(client.bufferBytes * RECEIVE_BUFFER_GROWTH, LARGEST_RECEIVE_BUFFER_BYTES);
    this.#useBuffer(client, bytes);
  }

  /** Moves what the buffer holds to another one of `bytes`, if there is one. */
  #useBuffer(client: Client, bytes: number): void {
    const { slab, ring } = this.#core;
    const buffer = slab.take(bytes);
    if (buffer < 0) return;
    const left = client.end - client.start;
    if (left > 0) ring.bytes.copyWithin(buffer, client.start, client.end);
    slab.give(client.buffer);
    client.buffer = buffer;
    client.bufferBytes = bytes;
    client.start = buffer;
    client.end = buffer + left;
  }
}
