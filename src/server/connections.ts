import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BusyPoll,
  type CompletionSink,
  OP_ACCEPT,
  OP_CLOSE,
  OP_RECV,
  OP_SEND,
  Ring,
} from '../engine/ring.js';
import { FRAME_BYTES, Slab } from '../engine/slab.js';
import { META_CONTEXTS } from '../export/contexts.js';
import type { Export } from '../export/export.js';
import type { Say } from '../log/lines.js';
import type { ConnectionTotals, ObservedConnection } from '../metrics/observation.js';
import type { ConnectionRecord, ThreadRecord } from '../metrics/record.js';
import type { HandshakeFailure } from '../metrics/snapshot.js';
import { Client, STATUS_OPEN, type Terms } from '../transmission/client.js';
import { TAG_NUMBER_MASK } from '../transmission/core.js';
import { Transmission } from '../transmission/transmission.js';
import type { ConnectionInfo, OnStop } from './api.js';
import { Handshake } from './handshake.js';
import { HandshakeLog } from './handshake-log.js';
import type { Home, HomeEvents } from './home.js';
import { PROBE_BYTES, PROBE_TAGS, type Probed, Prober } from './prober.js';
import type { Registry } from './registry.js';

/** Requests that are on their way when a stop begins are still answered ESHUTDOWN, ms. */
const STOP_GRACE_MS = 100;
const STOP_POLL_MS = 10;

/** What one reactor may use of everything. */
export interface Shares {
  readonly bufferMemoryBytes: number;
  readonly queueDepth: number;
  readonly busyPoll: BusyPoll;
  readonly handshakeDeadlineMs: number;
  /** May be infinite. */
  readonly slowRequestMs: number;
  readonly onStop: OnStop;
}

/** One connection, from its beginning to its close. */
interface Connection {
  readonly id: number;
  readonly number: number;
  readonly peer: string;
  exportName: string | undefined;
  handshake: Handshake | undefined;
  client: Client | undefined;
  session: ObservedConnection | undefined;
  failure: HandshakeFailure | undefined;
  deadline: NodeJS.Timeout | undefined;
  reason: string;
  closing: boolean;
}

/** The connections of one reactor: their handshakes, their requests, and their ends. */
export class Connections implements CompletionSink, Home {
  readonly #shares: Shares;
  readonly #say: Say;
  readonly #handshakes: HandshakeLog;
  readonly #events: HomeEvents;
  readonly #ring: Ring;
  readonly #slab: Slab;
  readonly #registry: Registry;
  readonly #record: ThreadRecord;
  readonly #thread: number;
  readonly #transmission: Transmission;
  #prober: Prober | undefined;
  /** By the reactor's number. */
  readonly #connections: (Connection | undefined)[] = [];
  #count = 0;
  #allGone: (() => void) | undefined;
  /** An ACCEPT of the same ring is complete. Set once, where connections are accepted on it. */
  accepted: (listener: number, result: number) => void = () => {};

  /** A ring with memory for all of this. Throws AIONBD_E_AIO_LIMIT, AIONBD_E_MEMORY or AIONBD_E_ADDON. */
  static openRing({ bufferMemoryBytes, queueDepth, busyPoll }: Shares, record: ThreadRecord): Ring {
    const memoryBytes = headerBytes(queueDepth) + bufferMemoryBytes;
    return new Ring({ memoryBytes: memoryBytes + PROBE_BYTES, queueDepth, busyPoll, counters: record.ring });
  }

  /** `ring` comes from {@link openRing} with the same shares and record; `thread` is the number of this thread. */
  constructor(
    ring: Ring,
    shares: Shares,
    registry: Registry,
    say: Say,
    events: HomeEvents,
    record: ThreadRecord,
    thread: number,
  ) {
    this.#record = record;
    this.#thread = thread;
    this.#ring = ring;
    this.#shares = shares;
    this.#registry = registry;
    this.#say = say;
    this.#handshakes = new HandshakeLog(say);
    this.#events = events;
    this.#slab = new Slab(headerBytes(shares.queueDepth), shares.bufferMemoryBytes);
    const { queueDepth, slowRequestMs } = shares;
    this.#transmission = new Transmission(ring, this.#slab, queueDepth, 0, { say, slowRequestMs }, record);
    ring.attach(this);
  }

  get count(): number {
    return this.#count;
  }

  /** From now on these are probed, as often as somebody wants to know. */
  probe(probed: readonly Probed[]): void {
    const buffer = headerBytes(this.#shares.queueDepth) + this.#shares.bufferMemoryBytes;
    this.#prober = new Prober(this.#ring, buffer, probed, () => this.#record.probesWantedAtMs);
  }

  tick(): void {
    this.#prober?.tick();
    this.#transmission.endStalled(this.#clients(), Date.now());
    this.#slab.releaseQuiet(this.#ring);
    this.#ring.kick();
    this.#transmission.lookForSlow();
    this.#handshakes.look();
  }

  // ---- completions ----

  complete(op: number, tag: number, result: number): void {
    switch (op) {
      case OP_RECV:
        this.#received(tag, result);
        return;
      case OP_SEND:
        if (Transmission.isOwnSend(tag)) this.#transmission.sent(tag, result);
        else this.#connections[tag & TAG_NUMBER_MASK]?.handshake?.sent(result);
        return;
      case OP_ACCEPT:
        this.accepted(tag, result);
        return;
      case OP_CLOSE:
        this.#closed(tag);
        return;
      default:
        if (tag < PROBE_TAGS) this.#transmission.fileDone(op, tag, result);
        else this.#prober?.complete(tag, result);
    }
  }

  batchEnd(): void {
    this.#transmission.batchEnd();
  }

  #received(number: number, result: number): void {
    const connection = this.#connections[number];
    if (connection?.client) this.#transmission.received(connection.client, result);
    else connection?.handshake?.received(result);
  }

  // ---- connections ----

  begin(number: number, id: number, peer: string): void {
    const connection = this.#add(number, id, peer);
    const { handshakeDeadlineMs } = this.#shares;
    connection.handshake = Handshake.begin(this.#ring, this.#slab, number, this.#registry, {
      chosen: (offer, terms, start, end) =>
        this.#chosen(connection, this.#registry.exportOf(offer), terms, start, end),
      failed: (reason, failure) => this.#end(connection, reason, failure),
    });
    if (!connection.handshake) {
      this.#transmission.turnedAway();
      this.#end(connection, 'there is no buffer memory left; raise --buffer-memory', 'no_memory');
      return;
    }
    connection.deadline = setTimeout(() => {
      this.#end(connection, `the handshake took longer than ${handshakeDeadlineMs} ms`, 'timeout');
      this.#ring.kick();
    }, handshakeDeadlineMs);
  }

  refuse(number: number, id: number, peer: string, reason: string, failure: HandshakeFailure): void {
    this.#end(this.#add(number, id, peer), reason, failure);
  }

  /** One that was accepted, but is closed before the ring has it. */
  lost(id: number, peer: string, reason: string, failure: HandshakeFailure): void {
    this.#record.handshakeFailed(failure);
    this.#handshakes.failed(id, peer, failure, reason);
    this.#events.ended({ id, peer, exportName: undefined, reason, failure });
  }

  #add(number: number, id: number, peer: string): Connection {
    const connection: Connection = {
      id,
      number,
      peer,
      exportName: undefined,
      handshake: undefined,
      client: undefined,
      session: undefined,
      failure: undefined,
      deadline: undefined,
      reason: '',
      closing: false,
    };
    this.#connections[number] = connection;
    this.#count++;
    return connection;
  }

  #chosen(connection: Connection, target: Export, terms: Terms, start: number, end: number): void {
    clearTimeout(connection.deadline);
    const handshake = connection.handshake!;
    this.#slab.give(handshake.sendBlock);
    connection.handshake = undefined;
    connection.exportName = target.name;
    const block = handshake.receiveBlock;
    const { number, peer } = connection;
    const record = this.#record.connect(connection.id);
    const client = new Client(number, target, peer, record, block, FRAME_BYTES, start, end, terms);
    const others = this.#clients();
    connection.client = client;
    connection.session = this.#sessionOf(connection, target, terms, record);
    const { replies, metaContexts, reactor } = connection.session;
    this.#say('connected', {
      connection: connection.id,
      peer,
      export: target.name,
      replies,
      contexts: metaContexts,
      thread: reactor,
    });
    this.#events.began(infoOf(connection));
    if (this.#registry.shuttingDown && this.#refusesInStop) this.#transmission.refuseNew(client);
    this.#transmission.open(client, others);
  }

  #sessionOf(
    { id, peer }: Connection,
    target: Export,
    { replies, metaContexts }: Terms,
    { slot }: ConnectionRecord,
  ): ObservedConnection {
    return {
      id,
      peer,
      exportName: target.name,
      startedAtMs: Date.now(),
      replies,
      metaContexts: META_CONTEXTS.filter((context) => metaContexts.includes(context.id)).map(
        ({ name }) => name,
      ),
      reactor: this.#thread,
      slot,
    };
  }

  /** Ends a connection that has no client yet; a client is ended by the transmission. */
  #end(connection: Connection, reason: string, failure: HandshakeFailure): void {
    if (connection.closing || connection.client) return;
    connection.closing = true;
    connection.failure = failure;
    this.#record.handshakeFailed(failure);
    connection.reason = reason;
    clearTimeout(connection.deadline);
    connection.handshake?.abandon();
    this.#ring.close(connection.number, connection.number);
  }

  #closed(number: number): void {
    const connection = this.#connections[number];
    // One that was accepted after its listener had ended.
    if (!connection) return;
    this.#connections[number] = undefined;
    this.#count--;
    const { client, handshake } = connection;
    let totals: ConnectionTotals | undefined;
    if (client) {
      totals = client.record.totals();
      this.#record.disconnect(client.record);
      this.#transmission.closed(client);
      connection.reason = client.reason;
    } else if (handshake) {
      this.#slab.give(handshake.receiveBlock);
      this.#slab.give(handshake.sendBlock);
    }
    this.#sayEnd(connection, totals);
    this.#events.ended(infoOf(connection, totals));
    if (this.#count === 0) this.#allGone?.();
  }

  #sayEnd({ id, peer, session, reason, failure }: Connection, totals: ConnectionTotals | undefined): void {
    if (session === undefined || totals === undefined) {
      this.#handshakes.failed(id, peer, failure ?? 'closed', reason);
      return;
    }
    const { requests, readBytes, writtenBytes, errors } = totals;
    this.#say('disconnected', {
      connection: id,
      peer,
      export: session.exportName,
      reason,
      // The clock of the day may be set back meanwhile.
      seconds: Math.max(Date.now() - session.startedAtMs, 0) / 1000,
      requests,
      readBytes,
      writtenBytes,
      errors,
    });
  }

  // ---- the end ----

  async drain(deadlineMs: number): Promise<void> {
    const deadline = Date.now() + deadlineMs;
    const graceMs = this.#refusesInStop ? STOP_GRACE_MS : 0;
    const graceEnd = Math.min(Date.now() + graceMs, deadline);
    this.#registry.shuttingDown = true;
    for (const connection of this.#connections) {
      if (connection?.client && this.#refusesInStop) this.#transmission.refuseNew(connection.client);
    }
    // Without a grace no further request is read, but for the rest of a payload.
    this.#endIdle(graceMs === 0, false);
    this.#ring.kick();
    if (this.#count > 0) await this.#endAll(graceEnd, deadline);
    // Of clients that took their leave before, everything is still carried out (X19).
    while (!this.#transmission.isIdle && Date.now() < deadline) await sleep(STOP_POLL_MS);
  }

  get #refusesInStop(): boolean {
    return this.#shares.onStop === 'refuse';
  }

  async #endAll(graceEnd: number, deadline: number): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.#allGone = resolve;
    });
    const timer = setInterval(() => {
      this.#endIdle(Date.now() >= graceEnd, Date.now() >= deadline);
      this.#ring.kick();
    }, STOP_POLL_MS);
    await gone;
    clearInterval(timer);
  }

  /** Waits for I/O whose connection is gone; only then is everything that will ever be written on its way. */
  async shutdown(): Promise<void> {
    await this.#ring.shutdown();
    this.#transmission.endLog();
    this.#handshakes.flush();
  }

  #clients(): Client[] {
    return this.#connections.flatMap((connection) => connection?.client ?? []);
  }

  #endIdle(graceIsOver: boolean, mustEnd: boolean): void {
    if (!graceIsOver) return;
    for (const connection of this.#connections) {
      if (!connection) continue;
      const { client } = connection;
      if (!client) this.#end(connection, 'the server stops', 'server_stopping');
      else if (mustEnd) this.#transmission.drop(client, 'the server stops; requests were still in flight');
      else if (client.status === STATUS_OPEN) this.#transmission.leave(client, 'the server stops');
    }
  }
}

function headerBytes(queueDepth: number): number {
  return Math.ceil(Transmission.headerBytes(queueDepth) / FRAME_BYTES) * FRAME_BYTES;
}

function infoOf(connection: Connection, totals?: ConnectionTotals): ConnectionInfo {
  const { id, peer, exportName, session, reason, failure } = connection;
  return {
    id,
    peer,
    exportName,
    ...(session && { session }),
    ...(reason !== '' && { reason }),
    ...(totals && { totals }),
    ...(failure && { failure }),
  };
}
