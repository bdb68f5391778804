import { HoleScan } from '../engine/hole-scan.js';
import { JobEngine } from '../engine/jobs.js';
import {
  OP_ADVISE,
  OP_EXTENTS,
  OP_READ,
  OP_SYNC,
  OP_TRIM,
  OP_WRITE,
  OP_WRITE_BACK,
  OP_ZERO,
  type Ring,
} from '../engine/ring.js';
import { FRAME_BYTES, type Slab } from '../engine/slab.js';
import type { Say } from '../log/lines.js';
import type { ThreadRecord } from '../metrics/record.js';
import { CMD_WRITE_ZEROES } from '../protocol/constants.js';
import { type Client, NONE, REPLIES_SIMPLE, STATUS_DEAD, STATUS_LEAVING, STATUS_OPEN } from './client.js';
import { Commands } from './commands.js';
import { Core, TAG_KIND_SHIFT, TAG_NUMBER_MASK, TAG_PIECE, TAG_REPLY } from './core.js';
import { Departures, STREAM_DIED, STREAM_OPEN } from './departures.js';
import { Failures } from './failures.js';
import { Intake } from './intake.js';
import { Replies } from './replies.js';
import { REQUEST_SENDING, RequestTable } from './requests.js';
import { SlowRequests } from './slow-requests.js';

/** How long a client may stand still with what others wait for, ms. */
export const STALL_MS = 10_000;

const ECANCELED = 125;
const CLOSED_BY_CLIENT = 'the client closed the connection';

export interface TransmissionLog {
  readonly say: Say;
  /** Requests that take longer are told of, ms; may be infinite. */
  readonly slowRequestMs: number;
}

/**
 * The transmission phase of all connections of one reactor. The server feeds it completions and connections; it ends a
 * connection by closing it in the reactor, and is told when that is done by {@link closed}.
 */
export class Transmission {
  readonly #core: Core;
  readonly #jobs: JobEngine;
  readonly #requests: RequestTable;
  readonly #replies: Replies;
  readonly #intake: Intake;
  readonly #departures: Departures;
  readonly #scan: HoleScan;
  readonly #failures: Failures;
  readonly #slow: SlowRequests;
  readonly #jobCapacity: number;
  #turnedAway = false;

  /** Memory for the reply headers of that many requests, bytes. */
  static headerBytes(requests: number): number {
    return Core.headerBytes(requests);
  }

  /**
   * `headers` is the offset in memory of {@link headerBytes} bytes that are nobody else's. `record` is this thread's, and has the
   * ring's clock.
   */
  constructor(
    ring: Ring,
    slab: Slab,
    requests: number,
    headers: number,
    log: TransmissionLog,
    record: ThreadRecord,
  ) {
    this.#jobCapacity = Core.jobCapacity(requests);
    this.#requests = new RequestTable(requests, record.ring);
    this.#core = new Core(ring, slab, this.#requests, headers, record);
    record.bufferMemory(slab.totalBytes);
    this.#core.drop = (client, reason) => this.drop(client, reason);
    this.#failures = new Failures(this.#core, log.say);
    this.#slow = new SlowRequests(this.#core, log.say, log.slowRequestMs);
    this.#replies = new Replies(this.#core, this.#slow);
    const commands = new Commands(this.#core, this.#replies, this.#failures);
    this.#jobs = new JobEngine(ring, commands, this.#jobCapacity);
    this.#core.jobs = this.#jobs;
    this.#scan = new HoleScan(ring, slab, this.#jobs);
    commands.scan = this.#scan;
    this.#intake = new Intake(this.#core, commands, this.#replies);
    this.#departures = new Departures(ring);
  }

  /**
   * Begins with the bytes that the client's buffer already holds. `others` are the clients that are already there: one of them
   * may have been this one, whose end nobody has noticed yet.
   */
  open(client: Client, others: readonly Client[]): void {
    for (const other of others) if (other.target.volume === client.target.volume) this.#endBefore(other);
    client.target.record.connected();
    client.record.received(client.end - client.start);
    // Only replies in chunks can say that there is a hole.
    if (client.replies !== REPLIES_SIMPLE) this.#scan.want(client.target.volume);
    this.#intake.advance(client);
  }

  /**
   * What a client that is gone has not begun does not start any more, and what it has begun is done before what comes now: a
   * successor may send it again, or something newer. The end of its stream may wait behind requests that were not read yet.
   */
  #endBefore(client: Client): void {
    // Most do nothing, and each look is a system call. What one of them has sent last was received before its successor's handshake was over.
    if (client.status === STATUS_DEAD || isQuiet(client)) return;
    const stream = this.#departures.look(client);
    if (stream === STREAM_OPEN) return;
    if (stream === STREAM_DIED && client.status === STATUS_OPEN) this.drop(client, CLOSED_BY_CLIENT);
    else this.#forEachJob(client, (job) => this.#jobs.outlive(job));
  }

  /** A RECV of this client: bytes, 0 at the end of the stream, or a negative errno. */
  received(client: Client, result: number): void {
    if (result > 0) client.record.received(result);
    if (result > 0 && client.status === STATUS_OPEN) {
      this.#intake.received(client, result);
      return;
    }
    if (result === -ECANCELED && client.status === STATUS_OPEN) {
      this.#intake.disarmed(client);
      return;
    }
    client.receiving = false;
    if (client.status === STATUS_DEAD || result > 0) return;
    this.drop(client, result === 0 ? CLOSED_BY_CLIENT : `receiving failed (errno ${-result})`);
  }

  /** A file operation has ended. */
  fileDone(op: number, tag: number, result: number): void {
    this.#jobs.complete(op, tag, result);
  }

  /** A SEND of ours has ended; the kind of its tag is TAG_REPLY or TAG_PIECE. */
  sent(tag: number, result: number): void {
    const number = tag & TAG_NUMBER_MASK;
    const isReply = tag >>> TAG_KIND_SHIFT === TAG_REPLY;
    let outcome = result;
    if (result < 0) {
      const request = isReply ? number : this.#jobs.owner[number]!;
      if (this.#goesOnUnheard(this.#requests.client[request]!)) outcome = 0;
    }
    if (isReply) this.#replies.replySent(number, outcome);
    else this.#replies.pieceSent(number, outcome);
  }

  /**
   * Whether a client that takes no more replies is one that said DISC, or may be: the rest of what it has sent is still to
   * be read and carried out (X19), and the replies count as sent.
   */
  #goesOnUnheard(client: Client): boolean {
    if (client.status !== STATUS_OPEN) return false;
    const stream = this.#departures.look(client);
    return stream !== STREAM_OPEN && stream !== STREAM_DIED;
  }

  /** Lets those who wait for memory or requests try again, in their order, if they are still there. */
  batchEnd(): void {
    const { slab, record } = this.#core;
    record.bufferUsed(slab.totalBytes - slab.freeBytes);
    this.#jobs.batchEnd();
    if (!this.#core.gaveBack) return;
    this.#core.gaveBack = false;
    let client = this.#core.takeWaiting();
    while (client) {
      const next: Client | undefined = client.nextWaiting;
      client.waiting = false;
      client.nextWaiting = undefined;
      if (client.status === STATUS_OPEN && !this.#dropDied(client)) this.#intake.advance(client);
      client = next;
    }
  }

  /** While a client waits nothing is received, so the end of its stream has to be asked for. */
  #dropDied(client: Client): boolean {
    if (this.#departures.look(client) !== STREAM_DIED) return false;
    this.drop(client, CLOSED_BY_CLIENT);
    return true;
  }

  /** Whether nothing is at work any more, for clients that are gone either. */
  get isIdle(): boolean {
    return this.#requests.available === this.#requests.capacity;
  }

  /** From now on every new request is answered ESHUTDOWN (X20). */
  refuseNew(client: Client): void {
    client.refusing = true;
  }

  /** Reads no more requests, and ends the connection once everything is answered. A payload that is arriving is read. */
  leave(client: Client, reason: string): void {
    if (client.status !== STATUS_OPEN) return;
    client.leavingBecause = reason;
    if (client.writeRequest !== NONE) {
      client.leavesNext = true;
      return;
    }
    client.status = STATUS_LEAVING;
    if (client.inFlight === 0) this.drop(client, reason);
  }

  /**
   * Ends those of `clients` that have neither taken a reply nor sent a payload's next bytes for {@link STALL_MS}, if
   * others wait for what they hold; and those who wait and have died. Those that have been quiet since the last call, and owe nothing, give back a receive
   * buffer that has grown. Call it now and then; `nowMs` is a clock's.
   */
  endStalled(clients: readonly Client[], nowMs: number): void {
    this.#scan.proceed();
    const stalled: Client[] = [];
    let othersWait = this.#turnedAway;
    this.#turnedAway = false;
    for (const client of clients) {
      if (client.waiting && client.status === STATUS_OPEN && this.#dropDied(client)) continue;
      if (client.progress === client.seenProgress && hasIdleBuffer(client)) {
        this.#core.ring.disarm(client.connection);
      }
      if (client.progress !== client.seenProgress || !this.#isOwing(client)) {
        client.seenProgress = client.progress;
        client.stillSinceMs = nowMs;
        if (client.waiting) othersWait = true;
      } else if (nowMs - client.stillSinceMs >= STALL_MS) {
        stalled.push(client);
      }
    }
    if (!othersWait) return;
    for (const client of stalled) {
      this.drop(client, `it stood still for ${STALL_MS / 1000} s while others waited for memory`);
    }
  }

  /** Tells of requests that hang, and of what the log has left out. To be called now and then, when the ring has just turned. */
  lookForSlow(): void {
    this.#failures.look();
    this.#slow.look();
  }

  /** Nothing more will happen: says what the log has left out. */
  endLog(): void {
    this.#failures.flush();
    this.#slow.flush();
  }

  /** A connection was refused for want of memory: somebody waits who is not among the clients. */
  turnedAway(): void {
    this.#turnedAway = true;
  }

  /** Whether nothing of a client goes on unless it takes its replies, or sends the rest of a payload. */
  #isOwing(client: Client): boolean {
    const requests = this.#requests;
    let owes = client.writeRequest !== NONE && !client.waiting;
    for (let request = 0; request < requests.capacity && client.inFlight > 0; request++) {
      if (requests.client[request] !== client) continue;
      if (requests.running[request]! > 0) return false;
      if (requests.sends[request]! > 0) owes = true;
    }
    return owes;
  }

  /**
   * Ends a connection, and requests without their replies. Of a client that had taken its leave they are still carried
   * out (X19); otherwise what has not started never will.
   */
  drop(client: Client, reason: string): void {
    if (client.status === STATUS_DEAD) return;
    client.tookLeave = client.status === STATUS_LEAVING;
    client.status = STATUS_DEAD;
    client.reason = reason;
    client.target.record.disconnected();
    this.#core.ring.close(client.connection, client.connection);
    if (client.writeJob !== NONE) this.#core.releaseJob(client, client.writeJob);
    client.writeJob = NONE;
    client.writeRequest = NONE;
    // Ending waiting jobs ends requests, hence jobs first; a request whose jobs run goes when they are done.
    this.#forEachJob(client, (job) => {
      if (client.tookLeave) this.#jobs.outlive(job);
      else this.#jobs.abandon(job);
    });
    for (let request = 0; request < this.#requests.capacity; request++) {
      if (this.#requests.isTaken(request) && this.#requests.client[request] === client)
        this.#forget(client, request);
    }
  }

  /** Those that have been started and have not ended. */
  #forEachJob(client: Client, act: (job: number) => void): void {
    for (let job = 0; job < this.#jobCapacity; job++) {
      if (this.#jobs.isRunning(job) && this.#requests.client[this.#jobs.owner[job]!] === client) act(job);
    }
  }

  /** The reactor has closed the connection: its receive buffer is free. */
  closed(client: Client): void {
    this.#core.slab.give(client.buffer);
    this.#core.gaveBack = true;
  }

  static isFileOperation(op: number): boolean {
    return (
      op === OP_READ ||
      op === OP_WRITE ||
      op === OP_SYNC ||
      op === OP_TRIM ||
      op === OP_ZERO ||
      op === OP_ADVISE ||
      op === OP_EXTENTS ||
      op === OP_WRITE_BACK
    );
  }

  static isOwnSend(tag: number): boolean {
    return tag >>> TAG_KIND_SHIFT <= TAG_PIECE;
  }

  /** Gives back what a dead connection's request holds and nothing works on. */
  #forget(client: Client, request: number): void {
    const requests = this.#requests;
    // The edges of a WRITE_ZEROES with FAST_ZERO wait in the list; they are written if the request goes on.
    const goesOn = client.tookLeave && requests.command[request] === CMD_WRITE_ZEROES;
    if (requests.state[request] !== REQUEST_SENDING && !goesOn) {
      for (let job = requests.firstPiece[request]!; job !== NONE; ) {
        const next = this.#core.nextPiece[job]!;
        if (this.#core.pieceDone[job] === 1) this.#core.releaseJob(client, job);
        job = next;
      }
    }
    this.#replies.releaseIfDone(request);
  }
}

/** Whether nothing of a client is under way, and nothing of it waits to be. */
function isQuiet(client: Client): boolean {
  return client.inFlight === 0 && client.receiving && !client.receivingPayload && !client.waiting;
}

/** Whether a connection waits for its client to ask for something, with more of a buffer than that takes. */
function hasIdleBuffer(client: Client): boolean {
  return (
    client.status === STATUS_OPEN &&
    client.bufferBytes > FRAME_BYTES &&
    client.inFlight === 0 &&
    client.receiving &&
    !client.receivingPayload
  );
}
