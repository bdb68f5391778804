import { EventEmitter } from 'node:events';
import { Ring } from '../engine/ring.js';
import type { Export } from '../export/export.js';
import { type Say, sayTo } from '../log/lines.js';
import { RecordedCounters } from '../metrics/counters.js';
import { FileFactsKeeper } from '../metrics/file-facts.js';
import {
  DIRECT_IS_OFF,
  type ObservedConnection,
  type ObservedExport,
  type ObservedThread,
  type ServerObservation,
} from '../metrics/observation.js';
import { ThreadRecord } from '../metrics/record.js';
import type { ServerSnapshot } from '../metrics/snapshot.js';
import { SnapshotReader } from '../metrics/snapshot-reader.js';
import type {
  ConnectionInfo,
  ExportOptions,
  InheritedSocket,
  ListenAddress,
  Logger,
  ServedExport,
  Server,
  ServerOptions,
} from './api.js';
import { Connections } from './connections.js';
import { Handover } from './handover.js';
import type { Home, HomeEvents } from './home.js';
import { adoptStream, shownAddress } from './listen.js';
import { AcceptSink, Listeners } from './listeners.js';
import { LoopLag } from './loop-lag.js';
import type { ThreadPlan } from './messages.js';
import { checkExports, Registry } from './registry.js';
import { checkedSettings, type Settings, sharesOf } from './settings.js';
import { Threads } from './threads.js';
import { readVersion } from './version.js';
import { Volumes } from './volumes.js';

/** How often connections that stand still, and files that somebody else has written, are looked for, ms. */
const CHECK_MS = 1000;
const DEFAULT_STOP_DEADLINE_MS = 4000;
/** For a ring that accepts and does nothing else: the least that there is. */
const ACCEPTING_RING = Object.freeze({ memoryBytes: 4096, queueDepth: 1, workerThreads: 1 });

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Opens and locks the files and makes a server for them; it listens to nothing yet.
 *
 * @throws {@link AionbdError} AIONBD_E_FILE, AIONBD_E_DIRECT, AIONBD_E_LOCKED, AIONBD_E_EXPORT_NAME, AIONBD_E_USAGE, AIONBD_E_AIO_LIMIT,
 * AIONBD_E_MEMORY or AIONBD_E_ADDON; nothing stays open then
 */
export async function createServer(options: ServerOptions): Promise<Server> {
  const settings = checkedSettings(options);
  const volumes = new Volumes(options.exports, options.lock ?? true, options.logger ?? SILENT);
  const server = new NbdServer(options, settings, volumes);
  try {
    if (settings.threads === 1) server.serveHere();
    else await server.serveOnThreads();
    return server;
  } catch (error) {
    await server.abort();
    throw error;
  }
}

class NbdServer extends EventEmitter implements Server {
  exports: readonly ServedExport[] = [];
  defaultExport = '';
  readonly #options: ServerOptions;
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #say: Say;
  readonly #volumes: Volumes;
  /** The ring that accepts. With one thread it does all the rest, too. */
  #ring: Ring | undefined;
  #listeners!: Listeners;
  #home!: Home;
  #nextId = 1;
  #facts: FileFactsKeeper | undefined;
  #closed: Promise<void> | undefined;
  #check: NodeJS.Timeout | undefined;
  #lag: LoopLag | undefined;
  #observed: readonly ObservedExport[] = [];
  readonly #startedAtMs = Date.now();
  /** Where the threads that serve count, and the one that only accepts. */
  #threads: readonly ObservedThread[] = [];
  #acceptor: ObservedThread | undefined;
  /** Those in the transmission phase. */
  readonly #sessions = new Map<number, ObservedConnection>();
  readonly #events: HomeEvents = {
    began: (info: ConnectionInfo) => {
      if (info.session) this.#sessions.set(info.id, info.session);
      this.emit('connection', info);
    },
    ended: (info: ConnectionInfo) => {
      this.#sessions.delete(info.id);
      this.emit('disconnect', info);
    },
  };

  constructor(options: ServerOptions, settings: Settings, volumes: Volumes) {
    super();
    this.#options = options;
    this.#settings = settings;
    this.#logger = options.logger ?? SILENT;
    this.#say = sayTo(this.#logger);
    this.#volumes = volumes;
  }

  /** All connections live in the ring that accepts them. */
  serveHere(): void {
    const shares = sharesOf(this.#settings);
    const memory = ThreadRecord.allocate(this.#settings.maxConnections, this.#options.exports.length);
    const record = new ThreadRecord(memory);
    this.#threads = [memory];
    const ring = Connections.openRing(shares, record);
    this.#ring = ring;
    this.#volumes.attach(ring);
    const targets: Export[] = this.#options.exports.map((given, i) => {
      const volume = this.#volumes.of(given.path);
      return { ...named(given), sizeBytes: volume.sizeBytes, volume, record: record.exports[i]! };
    });
    const registry = new Registry(targets, this.#options.defaultExport);
    const connections = new Connections(ring, shares, registry, this.#say, this.#events, record, 0);
    connections.probe(targets.map(({ volume, record: { probe } }) => ({ volume, record: probe })));
    this.#begin(ring, connections, record);
    this.defaultExport = registry.defaultExport;
    connections.accepted = (listener, result) => this.#listeners.complete(listener, result);
  }

  /** This thread only accepts; connections live on others. */
  async serveOnThreads(): Promise<void> {
    const { exports } = this.#options;
    const { threads, maxConnections } = this.#settings;
    this.defaultExport = checkExports(exports.map(named), this.#options.defaultExport);
    const ring = new Ring(ACCEPTING_RING);
    this.#ring = ring;
    this.#volumes.share();
    this.#threads = Array.from({ length: threads }, () =>
      ThreadRecord.allocate(maxConnections, exports.length),
    );
    this.#acceptor = ThreadRecord.allocate(0, 0);
    const record = new ThreadRecord(this.#acceptor);
    const plans: ThreadPlan[] = this.#threads.map((memory, thread) => ({
      shares: sharesOf(this.#settings),
      thread,
      threads,
      volumes: this.#volumes.planForThread(),
      exports: exports.map((given) => ({ ...named(given), volume: this.#volumes.indexOf(given.path) })),
      record: memory,
      defaultExport: this.defaultExport,
      handover: Handover.allocate(maxConnections),
    }));
    const home = await Threads.start(ring, plans, this.#logger, this.#say, this.#events, record);
    this.#begin(ring, home, record);
    ring.attach(new AcceptSink(this.#listeners));
  }

  #begin(ring: Ring, home: Home, record: ThreadRecord): void {
    this.#home = home;
    this.#listeners = new Listeners(ring, this.#logger, (number) => void this.#accepted(ring, number));
    this.exports = Object.freeze(
      this.#options.exports.map((given, i) =>
        served(given, this.#volumes, new RecordedCounters(this.#threads, i)),
      ),
    );
    this.#observed = this.exports.map((target) => observed(target, this.#volumes));
    record.alive(Date.now(), 0);
    this.#lag = new LoopLag();
    this.#check = setInterval(() => {
      record.alive(Date.now(), this.#lag?.takeSeconds() ?? 0);
      this.#volumes.checkUnchanged(this.#logger);
      this.#listeners.tick();
      home.tick();
    }, CHECK_MS).unref();
  }

  async listen(address: ListenAddress | InheritedSocket): Promise<ListenAddress> {
    if (this.#closed) throw new Error('the server is closed');
    return await this.#listeners.add(address);
  }

  serve(fd: number): number {
    if (this.#closed) throw new Error('the server is closed');
    const ring = this.#ring!;
    const id = this.#accepted(ring, adoptStream(ring, fd));
    ring.kick();
    return id;
  }

  #accepted(ring: Ring, number: number): number {
    const id = this.#nextId++;
    const peer = ring.native.peerName(number);
    const { maxConnections } = this.#settings;
    if (this.#home.count < maxConnections) this.#home.begin(number, id, peer);
    else {
      const reason = `there are ${maxConnections} connections already`;
      this.#home.refuse(number, id, peer, reason, 'too_many_connections');
    }
    return id;
  }

  observation(): ServerObservation {
    return {
      version: readVersion(),
      pid: process.pid,
      startedAtMs: this.#startedAtMs,
      state: this.#closed ? 'draining' : 'serving',
      listeners: this.#listeners.addresses.map(shownAddress),
      exports: this.#observed,
      threads: this.#threads,
      acceptor: this.#acceptor,
      connections: [...this.#sessions.values()],
    };
  }

  async snapshot(): Promise<ServerSnapshot> {
    const observation = this.observation();
    this.#facts ??= new FileFactsKeeper(new SnapshotReader(observation));
    await this.#facts.refresh();
    const reader = new SnapshotReader(observation);
    this.#facts.giveTo(reader);
    return reader.snapshot();
  }

  close(deadlineMs = DEFAULT_STOP_DEADLINE_MS): Promise<void> {
    if (this.#closed) return this.#closed;
    this.#closed = this.#stop(deadlineMs);
    this.emit('draining');
    return this.#closed;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#listeners.stop();
    await this.#home.drain(deadlineMs);
    clearInterval(this.#check);
    this.#lag?.stop();
    await this.#home.shutdown();
    for (const { path, error } of await this.#volumes.sync()) {
      this.#logger.error({ path, error: error.message }, 'the last sync failed; written data may be lost');
    }
    await this.#volumes.closeInBackground();
  }

  /** Closes what is open after a start that failed. */
  async abort(): Promise<void> {
    await this.#ring?.shutdown();
    this.#volumes.close();
  }
}

function observed({ counters, ...facts }: ServedExport, volumes: Volumes): ObservedExport {
  const { blockDevice, bufferedBecause = DIRECT_IS_OFF } = volumes.backingOf(facts.path);
  return { ...facts, blockDevice, bufferedBecause: facts.direct ? '' : bufferedBecause };
}

function named({ name, description = '', readOnly = false }: ExportOptions) {
  return { name, description, readOnly };
}

function served(given: ExportOptions, volumes: Volumes, counters: RecordedCounters): ServedExport {
  const { path, sizeBytes, directFd } = volumes.backingOf(given.path);
  return Object.freeze({ ...named(given), path, sizeBytes, direct: directFd >= 0, counters });
}
