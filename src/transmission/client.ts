import type { Export } from '../export/export.js';
import type { ConnectionRecord } from '../metrics/record.js';
import {
  EXTENDED_REQUEST_HEADER_BYTES,
  EXTENDED_REQUEST_MAGIC,
  MAXIMUM_PAYLOAD_BYTES,
  REQUEST_HEADER_BYTES,
  REQUEST_MAGIC,
} from '../protocol/constants.js';
import type { ReplyMode } from '../protocol/reply-mode.js';

/** Nothing of its kind: a request, a job, a connection. */
export const NONE = -1;

/** What the bytes that come next are. */
export const EXPECT_HEADER = 0;
/** The data of a WRITE that is being carried out. */
export const EXPECT_PAYLOAD = 1;
/** The data of a WRITE that was refused: read and thrown away, so that the next header is found (X7). */
export const EXPECT_REFUSED_PAYLOAD = 2;

/** How far a connection is in its life; compare with `<`. */
export const STATUS_OPEN = 0;
/** DISC was received: what is in flight is finished, nothing more is read. */
export const STATUS_LEAVING = 1;
/** The socket is closed or about to be; requests in flight end without a reply. */
export const STATUS_DEAD = 2;

/** {@link ReplyMode} as a number; compare with `<`. */
export const REPLIES_SIMPLE = 0;
export const REPLIES_STRUCTURED = 1;
export const REPLIES_EXTENDED = 2;

/** The payload of a refused request is read to its end up to this length; a longer one ends the connection (X7). */
export const MAXIMUM_REFUSED_PAYLOAD_BYTES = 64 * 1024 * 1024;

/** What the handshake has agreed on, as far as requests and replies depend on it. */
export interface Terms {
  readonly replies: ReplyMode;
  /** Ids of the meta contexts that BLOCK_STATUS answers for. */
  readonly metaContexts: readonly number[];
}

const SIMPLE_TERMS: Terms = Object.freeze({ replies: 'simple', metaContexts: Object.freeze([]) });

/** A connection in the transmission phase. Made once per connection; requests live in {@link RequestTable}. */
export class Client {
  /** The reactor's number of the connection. */
  readonly connection: number;
  readonly target: Export;
  /** For logs. */
  readonly peer: string;
  readonly record: ConnectionRecord;
  /** REPLIES_*. */
  readonly replies: number;
  /** The selected meta contexts, a bit for each: 1 << id. */
  readonly contexts: number;
  /** What requests begin with, and the length of their headers. */
  readonly requestMagic: number;
  readonly requestHeaderBytes: number;
  /** A longer payload ends the connection. */
  readonly largestPayloadBytes: number;

  status = STATUS_OPEN;
  expect = EXPECT_HEADER;
  /** A receive is armed. */
  receiving = false;
  /** The receive goes into the block of `writeJob`, and what is left over into the receive buffer. */
  receivingPayload = false;

  /** The receive buffer: a block, and the part of it that holds bytes not yet looked at. Offsets into memory. */
  buffer: number;
  bufferBytes: number;
  start: number;
  end: number;
  /** Bytes the armed receive may bring. */
  armedBytes = 0;
  /** The last receive brought all that there was room for: a larger buffer would save calls. */
  filled = false;
  /** Large payloads are coming: a receive for a header should not take in much of what follows it. */
  largePayloads = false;

  /** The WRITE whose payload is arriving, the job it fills now, and how far. */
  writeRequest = NONE;
  writeJob = NONE;
  pieceFilled = 0;
  payloadLeft = 0;

  /** Requests taken and not yet answered, and the memory that their data occupies. */
  inFlight = 0;
  heldBytes = 0;
  /** Counts what moves: bytes received, replies sent. With `seenProgress` it tells who has stood still since when. */
  progress = 0;
  seenProgress = 0;
  stillSinceMs = 0;
  /** In the queue of those who wait for memory or a request slot. */
  waiting = false;
  nextWaiting: Client | undefined = undefined;

  /** Its stream has ended, and the last that is in it is DISC; only those who have waited are looked at. */
  endsWithDisc = false;

  /** The READ whose reply is under way in pieces; other replies wait behind it. */
  streaming = NONE;
  firstReady = NONE;
  lastReady = NONE;

  /** Answer everything new with ESHUTDOWN. */
  refusing = false;
  /** Leaves when the payload that is arriving has come to its end. */
  leavesNext = false;
  /** It is gone after it said DISC: what it asked for is still carried out (X19). */
  tookLeave = false;
  /** The reason to give when the last request of a leaving connection has been answered. */
  leavingBecause = 'disconnected';
  /** Why the connection ended; empty while it has not. */
  reason = '';

  constructor(
    connection: number,
    target: Export,
    peer: string,
    record: ConnectionRecord,
    buffer: number,
    bufferBytes: number,
    start: number,
    end: number,
    terms: Terms = SIMPLE_TERMS,
  ) {
    this.connection = connection;
    this.target = target;
    this.peer = peer;
    this.record = record;
    this.buffer = buffer;
    this.bufferBytes = bufferBytes;
    this.start = start;
    this.end = end;
    const extended = terms.replies === 'extended';
    this.replies = extended
      ? REPLIES_EXTENDED
      : terms.replies === 'structured'
        ? REPLIES_STRUCTURED
        : REPLIES_SIMPLE;
    this.contexts = terms.metaContexts.reduce((bits, id) => bits | (1 << id), 0);
    this.requestMagic = extended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC;
    this.requestHeaderBytes = extended ? EXTENDED_REQUEST_HEADER_BYTES : REQUEST_HEADER_BYTES;
    // Extended headers have a flag that says "payload", and the extension wants a limit held to (section 6).
    this.largestPayloadBytes = extended ? MAXIMUM_PAYLOAD_BYTES : MAXIMUM_REFUSED_PAYLOAD_BYTES;
  }
}
