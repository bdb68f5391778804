import { UNKNOWN_COMMAND_INDEX } from '../metrics/counters.js';
import {
  CMD_DISC,
  CMD_WRITE,
  NBD_ESHUTDOWN,
  REQUEST_HEADER_BYTES,
  REQUEST_MAGIC,
} from '../protocol/constants.js';
import {
  requestCookieHigh,
  requestCookieLow,
  requestFlags,
  requestLength,
  requestMagic,
  requestOffset,
  requestType,
} from '../protocol/request.js';
import {
  type Client,
  EXPECT_HEADER,
  EXPECT_PAYLOAD,
  EXPECT_REFUSED_PAYLOAD,
  NONE,
  STATUS_LEAVING,
  STATUS_OPEN,
} from './client.js';
import type { Commands } from './commands.js';
import type { Core } from './core.js';
import type { Replies } from './replies.js';
import { validate } from './validate.js';

/** The payload of a refused WRITE is read to its end up to this length; a longer one ends the connection (X7). */
export const MAXIMUM_REFUSED_PAYLOAD_BYTES = 64 * 1024 * 1024;
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

  /** One request header. False when there is none, or the client has to wait. */
  #header(client: Client): boolean {
    const core = this.#core;
    if (client.leavesNext) return this.#leave(client);
    if (client.end - client.start < REQUEST_HEADER_BYTES) return false;
    const view = core.ring.view;
    const at = client.start;
    if (requestMagic(view, at) !== REQUEST_MAGIC) {
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
    const length = requestLength(view, at);
    const { target } = client;
    const error = client.refusing
      ? NBD_ESHUTDOWN
      : validate(command, flags, offset, length, target.sizeBytes, target.readOnly);

    const request = core.requests.take(client, command, flags, offset, length);
    core.requests.cookieHigh[request] = requestCookieHigh(view, at);
    core.requests.cookieLow[request] = requestCookieLow(view, at);
    if (error !== 0) {
      client.start += REQUEST_HEADER_BYTES;
      this.#refuse(client, request, error);
    } else if (command === CMD_WRITE && length > 0) {
      // The header is used up only with the first piece's memory at hand, so a client that waits holds nothing.
      const job = core.takePiece(client, request, true);
      if (job === NONE) return this.#putBack(client, request);
      client.start += REQUEST_HEADER_BYTES;
      client.expect = EXPECT_PAYLOAD;
      client.writeRequest = request;
      client.writeJob = job;
      client.pieceFilled = 0;
      client.payloadLeft = length;
      client.largePayloads = length >= LARGE_PAYLOAD_BYTES;
    } else if (this.#commands.start(client, request)) {
      client.start += REQUEST_HEADER_BYTES;
    } else {
      return this.#putBack(client, request);
    }
    target.counters.requests[Math.min(command, UNKNOWN_COMMAND_INDEX)]!++;
    return true;
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

  #refuse(client: Client, request: number, error: number): void {
    const { requests } = this.#core;
    const length = requests.length[request]!;
    if (requests.command[request] !== CMD_WRITE || length === 0) {
      this.#replies.answer(client, request, error);
      return;
    }
    requests.error[request] = error;
    client.writeRequest = request;
    client.payloadLeft = length;
    client.expect = EXPECT_REFUSED_PAYLOAD;
    if (length > MAXIMUM_REFUSED_PAYLOAD_BYTES) {
      this.#core.drop(client, `a WRITE announced ${length} bytes, more than will be read to refuse it`);
    }
  }

  /** Fills pieces of a WRITE and starts them. False when bytes are missing, or memory for the next piece. */
  #payload(client: Client): boolean {
    const core = this.#core;
    const { jobs } = core;
    const request = client.writeRequest;
    if (client.writeJob === NONE) {
      client.writeJob = core.takePiece(client, request, true);
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
    this.#replies.answer(client, request, this.#core.requests.error[request]!);
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

  #grow(client: Client): void {
    const { slab, ring } = this.#core;
    client.filled = false;
    if (client.largePayloads || slab.freeBytes < slab.totalBytes / 2) return;
    const bytes = Math.min(client.bufferBytes * RECEIVE_BUFFER_GROWTH, LARGEST_RECEIVE_BUFFER_BYTES);
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
