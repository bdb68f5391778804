import { EventEmitter } from 'node:events';
import { type CompletionSink, OP_ACCEPT, OP_CLOSE, OP_RECV, OP_SEND, Ring } from '../engine/ring.js';
import { FRAME_BYTES, Slab } from '../engine/slab.js';
import type { Export } from '../export/export.js';
import { ExportCounters } from '../metrics/counters.js';
import { Client, STATUS_OPEN, type Terms } from '../transmission/client.js';
import { TAG_NUMBER_MASK } from '../transmission/core.js';
import { Transmission } from '../transmission/transmission.js';
import { AcceptTrouble } from './accept-trouble.js';
import type { ConnectionInfo, ListenAddress, Logger, ServedExport, Server, ServerOptions } from './api.js';
import { Handshake } from './handshake.js';
import { type Listening, listenOn, stopListening } from './listen.js';
import { Registry } from './registry.js';
import { checkedSettings, type Settings } from './settings.js';
import { Volumes } from './volumes.js';

/** After an accept that failed for lack of something, ms. */
const ACCEPT_PAUSE_MS = 100;
/** Requests that are on their way when a stop begins are still answered ESHUTDOWN, ms. */
const STOP_GRACE_MS = 100;
const STOP_POLL_MS = 10;
/** How often connections that stand still, and files that somebody else has written, are looked for, ms. */
const STALL_CHECK_MS = 1000;
const DEFAULT_STOP_DEADLINE_MS = 4000;

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** One accepted connection, from accept to close. */
interface Connection {
  readonly id: number;
  readonly number: number;
  readonly peer: string;
  exportName: string | undefined;
  handshake: Handshake | undefined;
  client: Client | undefined;
  deadline: NodeJS.Timeout | undefined;
  reason: string;
  closing: boolean;
}

/**
 * Opens the files and makes a server for them; it listens to nothing yet.
 *
 * Throws AIONBD_E_FILE, AIONBD_E_DIRECT, AIONBD_E_LOCKED, AIONBD_E_EXPORT_NAME, AIONBD_E_USAGE, AIONBD_E_AIO_LIMIT,
 * AIONBD_E_MEMORY or AIONBD_E_ADDON; nothing stays open then.
 */
export async function createServer(options: ServerOptions): Promise<Server> {
  const settings = checkedSettings(options);
  const volumes = new Volumes(options.exports, options.lock ?? true, options.logger ?? SILENT);
  let ring: Ring | undefined;
  try {
    const headerBytes = Math.ceil(Transmission.headerBytes(settings.queueDepth) / FRAME_BYTES) * FRAME_BYTES;
    ring = new Ring({
      memoryBytes: headerBytes + settings.bufferMemoryBytes,
      queueDepth: settings.queueDepth,
    });
    volumes.attach(ring);
    return new NbdServer(options, settings, ring, volumes, headerBytes);
  } catch (error) {
    await ring?.shutdown();
    volumes.close();
    throw error;
  }
}

class NbdServer extends EventEmitter implements Server, CompletionSink {
  readonly exports: readonly ServedExport[];
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #ring: Ring;
  readonly #slab: Slab;
  readonly #volumes: Volumes;
  readonly #registry: Registry;
  readonly #transmission: Transmission;
  readonly #listening = new Map<number, Listening>();
  /** By the reactor's number. */
  readonly #connections: (Connection | undefined)[] = [];
  #connectionCount = 0;
  #nextId = 1;
  #closed: Promise<void> | undefined;
  #allGone: (() => void) | undefined;
  readonly #acceptTrouble: AcceptTrouble;
  readonly #stallCheck: NodeJS.Timeout;

  constructor(options: ServerOptions, settings: Settings, ring: Ring, volumes: Volumes, headerBytes: number) {
    super();
    this.#settings = settings;
    this.#logger = options.logger ?? SILENT;
    this.#acceptTrouble = new AcceptTrouble(this.#logger);
    this.#ring = ring;
    this.#volumes = volumes;
    const targets: Export[] = options.exports.map((given) => {
      const volume = volumes.of(given.path);
      return {
        name: given.name,
        description: given.description ?? '',
        readOnly: given.readOnly ?? false,
        sizeBytes: volume.sizeBytes,
        volume,
        counters: new ExportCounters(),
      };
    });
    this.#registry = new Registry(targets, options.defaultExport);
    this.exports = Object.freeze(targets.map(served));
    this.#slab = new Slab(headerBytes, settings.bufferMemoryBytes);
    this.#transmission = new Transmission(ring, this.#slab, settings.queueDepth, 0, this.#logger);
    ring.attach(this);
    this.#stallCheck = setInterval(() => {
      this.#transmission.endStalled(this.#clients(), Date.now());
      this.#volumes.checkUnchanged(this.#logger);
      this.#acceptTrouble.look(performance.now());
      this.#slab.releaseQuiet(this.#ring);
      this.#ring.kick();
    }, STALL_CHECK_MS).unref();
  }

  get defaultExport(): string {
    return this.#registry.defaultExport;
  }

  async listen(address: ListenAddress): Promise<ListenAddress> {
    if (this.#closed) throw new Error('the server is closed');
    const listening = await listenOn(this.#ring, address);
    this.#listening.set(listening.listener, listening);
    this.#ring.accept(listening.listener, listening.listener);
    this.#ring.kick();
    return listening.address;
  }

  close(deadlineMs = DEFAULT_STOP_DEADLINE_MS): Promise<void> {
    this.#closed ??= this.#stop(deadlineMs);
    return this.#closed;
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
        this.#accepted(tag, result);
        return;
      case OP_CLOSE:
        this.#connectionClosed(tag);
        return;
      default:
        this.#transmission.fileDone(op, tag, result);
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

  #accepted(listener: number, result: number): void {
    if (!this.#listening.has(listener)) {
      if (result >= 0) this.#ring.close(result, result);
      return;
    }
    if (result < 0) {
      this.#acceptTrouble.failed(result, performance.now());
      setTimeout(() => {
        if (!this.#listening.has(listener)) return;
        this.#ring.accept(listener, listener);
        this.#ring.kick();
      }, ACCEPT_PAUSE_MS);
      return;
    }
    this.#ring.accept(listener, listener);
    this.#begin(result);
  }

  #begin(number: number): void {
    const connection: Connection = {
      id: this.#nextId++,
      number,
      peer: this.#ring.native.peerName(number),
      exportName: undefined,
      handshake: undefined,
      client: undefined,
      deadline: undefined,
      reason: '',
      closing: false,
    };
    this.#connections[number] = connection;
    this.#connectionCount++;
    const { maxConnections, handshakeDeadlineMs } = this.#settings;
    if (this.#connectionCount > maxConnections) {
      this.#end(connection, `there are ${maxConnections} connections already`);
      return;
    }
    connection.handshake = Handshake.begin(this.#ring, this.#slab, number, this.#registry, {
      chosen: (offer, terms, start, end) =>
        this.#chosen(connection, this.#registry.exportOf(offer), terms, start, end),
      failed: (reason) => this.#end(connection, reason),
    });
    if (!connection.handshake) {
      this.#transmission.turnedAway();
      this.#end(connection, 'there is no buffer memory left; raise --buffer-memory');
      return;
    }
    connection.deadline = setTimeout(() => {
      this.#end(connection, `the handshake took longer than ${handshakeDeadlineMs} ms`);
      this.#ring.kick();
    }, handshakeDeadlineMs);
  }

  #chosen(connection: Connection, target: Export, terms: Terms, start: number, end: number): void {
    clearTimeout(connection.deadline);
    const handshake = connection.handshake!;
    this.#slab.give(handshake.sendBlock);
    connection.handshake = undefined;
    connection.exportName = target.name;
    const block = handshake.receiveBlock;
    const { number, peer } = connection;
    const client = new Client(number, target, peer, block, FRAME_BYTES, start, end, terms);
    connection.client = client;
    const { replies } = terms;
    this.#logger.info({ connection: connection.id, peer, export: target.name, replies }, 'connected');
    this.emit('connection', infoOf(connection));
    if (this.#registry.shuttingDown) this.#transmission.refuseNew(client);
    this.#transmission.open(client);
  }

  /** Ends a connection that has no client yet; a client is ended by the transmission. */
  #end(connection: Connection, reason: string): void {
    if (connection.closing || connection.client) return;
    connection.closing = true;
    connection.reason = reason;
    clearTimeout(connection.deadline);
    connection.handshake?.abandon();
    this.#ring.close(connection.number, connection.number);
  }

  #connectionClosed(number: number): void {
    const connection = this.#connections[number];
    // One that was accepted after its listener had ended.
    if (!connection) return;
    this.#connections[number] = undefined;
    this.#connectionCount--;
    const { client, handshake } = connection;
    if (client) {
      this.#transmission.closed(client);
      connection.reason = client.reason;
    } else if (handshake) {
      this.#slab.give(handshake.receiveBlock);
      this.#slab.give(handshake.sendBlock);
    }
    const fields = { connection: connection.id, peer: connection.peer, reason: connection.reason };
    if (client) this.#logger.info({ ...fields, export: client.target.name }, 'disconnected');
    else this.#logger.debug(fields, 'the handshake led to nothing');
    this.emit('disconnect', infoOf(connection));
    if (this.#connectionCount === 0) this.#allGone?.();
  }

  // ---- the end ----

  async #stop(deadlineMs: number): Promise<void> {
    const deadline = Date.now() + deadlineMs;
    const graceEnd = Math.min(Date.now() + STOP_GRACE_MS, deadline);
    this.#registry.shuttingDown = true;
    for (const listening of this.#listening.values()) stopListening(this.#ring, listening);
    this.#listening.clear();
    for (const connection of this.#connections) {
      if (connection?.client) this.#transmission.refuseNew(connection.client);
    }
    this.#ring.kick();
    if (this.#connectionCount > 0) {
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
    clearInterval(this.#stallCheck);
    // Waits for I/O whose connection is gone; only then is everything that will ever be written on its way.
    await this.#ring.shutdown();
    for (const { path, error } of await this.#volumes.sync()) {
      this.#logger.error({ path, error: error.message }, 'the last sync failed; written data may be lost');
    }
    this.#volumes.close();
  }

  #clients(): Client[] {
    return this.#connections.flatMap((connection) => connection?.client ?? []);
  }

  #endIdle(graceIsOver: boolean, mustEnd: boolean): void {
    if (!graceIsOver) return;
    for (const connection of this.#connections) {
      if (!connection) continue;
      const { client } = connection;
      if (!client) this.#end(connection, 'the server stops');
      else if (mustEnd) this.#transmission.drop(client, 'the server stops; requests were still in flight');
      else if (client.status === STATUS_OPEN) this.#transmission.leave(client, 'the server stops');
    }
  }
}

function served(target: Export): ServedExport {
  return Object.freeze({
    name: target.name,
    path: target.volume.backing.path,
    description: target.description,
    sizeBytes: target.sizeBytes,
    readOnly: target.readOnly,
    direct: target.volume.directFile >= 0,
    counters: target.counters,
  });
}

function infoOf(connection: Connection): ConnectionInfo {
  const { id, peer, exportName, reason } = connection;
  return reason === '' ? { id, peer, exportName } : { id, peer, exportName, reason };
}
