import type { Export } from '../export/export.js';

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

/** A connection in the transmission phase. Made once per connection; requests live in {@link RequestTable}. */
export class Client {
  /** The reactor's number of the connection. */
  readonly connection: number;
  readonly target: Export;
  /** For logs. */
  readonly peer: string;

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

  /** The READ whose reply is under way in pieces; other replies wait behind it. */
  streaming = NONE;
  firstReady = NONE;
  lastReady = NONE;

  /** Answer everything new with ESHUTDOWN. */
  refusing = false;
  /** Leaves when the payload that is arriving has come to its end. */
  leavesNext = false;
  /** The reason to give when the last request of a leaving connection has been answered. */
  leavingBecause = 'disconnected';
  /** Why the connection ended; empty while it has not. */
  reason = '';

  constructor(
    connection: number,
    target: Export,
    peer: string,
    buffer: number,
    bufferBytes: number,
    start: number,
    end: number,
  ) {
    this.connection = connection;
    this.target = target;
    this.peer = peer;
    this.buffer = buffer;
    this.bufferBytes = bufferBytes;
    this.start = start;
    this.end = end;
  }
}
