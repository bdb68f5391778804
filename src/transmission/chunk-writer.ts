import {
  CONTENT_HOLE_BYTES,
  CONTENT_OFFSET_BYTES,
  ERROR_FIXED_BYTES,
  ERROR_OFFSET_BYTES,
  LARGEST_CHUNK_HEAD_BYTES,
  writeChunkHeader,
  writeContentOffset,
  writeErrorHead,
  writeHole,
  writeStatusHead,
} from '../protocol/chunk.js';
import {
  CMD_READ,
  REPLY_FLAG_DONE,
  REPLY_TYPE_BLOCK_STATUS,
  REPLY_TYPE_BLOCK_STATUS_EXT,
  REPLY_TYPE_ERROR,
  REPLY_TYPE_ERROR_OFFSET,
  REPLY_TYPE_NONE,
  REPLY_TYPE_OFFSET_DATA,
  REPLY_TYPE_OFFSET_HOLE,
} from '../protocol/constants.js';
import { errnoName } from '../protocol/errno.js';
import { commandName } from '../protocol/names.js';
import { type Client, REPLIES_EXTENDED } from './client.js';
import { type Core, PIECE_DATA, PIECE_HOLE, REQUEST_SLOT_BYTES } from './core.js';
import { explain } from './verdict.js';

/** What of a slot is left for an error's message, bytes. */
const LARGEST_MESSAGE_BYTES = REQUEST_SLOT_BYTES - LARGEST_CHUNK_HEAD_BYTES;

/**
 * Writes the heads of chunks for requests and pieces as they are in the tables: everything but the data, which follows
 * from where it lies. Each function returns where the head ends.
 */
export class ChunkWriter {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The success of a request that has no data. */
  writeNone(client: Client, request: number, at: number): number {
    return this.#header(client, request, at, REPLY_FLAG_DONE, REPLY_TYPE_NONE, 0);
  }

  /** The error of a request with what led to it in words, as its last chunk. */
  writeError(client: Client, request: number, at: number): number {
    const { requests, ring } = this.#core;
    const { view } = ring;
    // An offset says how much of a READ may be believed (X5); elsewhere the message names it.
    const hasOffset = requests.command[request] === CMD_READ && requests.errno[request] !== 0;
    const text = this.#describe(client, request);
    const messageBytes = Math.min(text.length, LARGEST_MESSAGE_BYTES);
    const payloadBytes = ERROR_FIXED_BYTES + messageBytes + (hasOffset ? ERROR_OFFSET_BYTES : 0);
    const type = hasOffset ? REPLY_TYPE_ERROR_OFFSET : REPLY_TYPE_ERROR;
    let end = this.#header(client, request, at, REPLY_FLAG_DONE, type, payloadBytes);
    end = writeErrorHead(view, end, requests.error[request]!, messageBytes);
    for (let i = 0; i < messageBytes; i++) view.setUint8(end + i, text.charCodeAt(i) & 0x7f);
    end += messageBytes;
    return hasOffset ? writeContentOffset(view, end, requests.errorOffset[request]!) : end;
  }

  /** The data of a whole READ as one chunk, of which the pieces are sent one after the other. */
  writeRun(client: Client, request: number, at: number, isLast: boolean): number {
    const { requests, ring } = this.#core;
    const bytes = CONTENT_OFFSET_BYTES + requests.length[request]!;
    const flags = isLast ? REPLY_FLAG_DONE : 0;
    const end = this.#header(client, request, at, flags, REPLY_TYPE_OFFSET_DATA, bytes);
    return writeContentOffset(ring.view, end, requests.offset[request]!);
  }

  /** A piece of a READ or of BLOCK_STATUS as a chunk of its own. */
  writePiece(client: Client, request: number, job: number, at: number, isLast: boolean): number {
    const core = this.#core;
    const { view } = core.ring;
    const flags = isLast ? REPLY_FLAG_DONE : 0;
    const offset = core.jobs.offset[job]!;
    const length = core.jobs.length[job]!;
    const kind = core.pieceKind[job];
    if (kind === PIECE_DATA) {
      const bytes = CONTENT_OFFSET_BYTES + length;
      const end = this.#header(client, request, at, flags, REPLY_TYPE_OFFSET_DATA, bytes);
      return writeContentOffset(view, end, offset);
    }
    if (kind === PIECE_HOLE) {
      const end = this.#header(client, request, at, flags, REPLY_TYPE_OFFSET_HOLE, CONTENT_HOLE_BYTES);
      return writeHole(view, end, offset, length);
    }
    const extended = client.replies === REPLIES_EXTENDED;
    const type = extended ? REPLY_TYPE_BLOCK_STATUS_EXT : REPLY_TYPE_BLOCK_STATUS;
    const headBytes = extended ? 8 : 4;
    const end = this.#header(client, request, at, flags, type, headBytes + length);
    return writeStatusHead(view, end, extended, core.pieceContext[job]!, core.pieceExtents[job]!);
  }

  #header(
    client: Client,
    request: number,
    at: number,
    flags: number,
    type: number,
    payloadBytes: number,
  ): number {
    const { requests, ring } = this.#core;
    return writeChunkHeader(
      ring.view,
      at,
      client.replies === REPLIES_EXTENDED,
      flags,
      type,
      requests.cookieHigh[request]!,
      requests.cookieLow[request]!,
      requests.offsetHigh[request]!,
      requests.offsetLow[request]!,
      payloadBytes,
    );
  }

  #describe(client: Client, request: number): string {
    const { requests } = this.#core;
    const command = requests.command[request]!;
    const errno = requests.errno[request]!;
    if (errno !== 0) {
      return `${commandName(command)}: ${errnoName(errno)} at offset ${requests.errorOffset[request]}`;
    }
    const { flags, offset, length, verdict } = requests;
    return explain(verdict[request]!, client, command, flags[request]!, offset[request]!, length[request]!);
  }
}
