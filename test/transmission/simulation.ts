// The transmission phase on a reactor that is made of arrays: the order in which I/O ends, the sizes in which bytes
// arrive, the errors of the disk and the appetite of the clients are all the test's to choose, and the same seed gives
// the same run. Along the way it watches what the real reactor could not forgive: direct I/O that is not aligned, and
// memory that two operations use at the same time; and every answer to READ and BLOCK_STATUS is compared with the disk.

import type { Backing } from '../../src/engine/backing.js';
import {
  EXTENT_BYTES,
  IO_FAST,
  IO_MAY_PUNCH,
  type IoTable,
  OP_ADVISE,
  OP_CLOSE,
  OP_EXTENTS,
  OP_READ,
  OP_RECV,
  OP_SEND,
  OP_SYNC,
  OP_TRIM,
  OP_WRITE,
  OP_ZERO,
  type Ring,
} from '../../src/engine/ring.js';
import { RING_CLOCK } from '../../src/engine/ring-counters.js';
import { FRAME_BYTES, Slab } from '../../src/engine/slab.js';
import { Volume } from '../../src/engine/volume.js';
import type { Export } from '../../src/export/export.js';
import { LINES, type Say } from '../../src/log/lines.js';
import type { ObservedThread, ServerObservation } from '../../src/metrics/observation.js';
import { ThreadRecord } from '../../src/metrics/record.js';
import type { ServerSnapshot } from '../../src/metrics/snapshot.js';
import { SnapshotReader } from '../../src/metrics/snapshot-reader.js';
import { Client } from '../../src/transmission/client.js';
import { Transmission } from '../../src/transmission/transmission.js';
import { seededRandom } from '../support/random.js';
import { type Reply, ReplyReader, type Terms } from './reply-reader.js';
import { SimulatedDisk } from './simulated-disk.js';
import { type Mode, type Request, requestBytes } from './wire.js';
import { type ClientWitness, Witness } from './witness.js';

const EAGAIN = 11;
const ECANCELED = 125;
const EOPNOTSUPP = 95;
const DIRECT_FD = 3;
const BUFFERED_FD = 4;
const MEMORY_ALIGNMENT = 512;
/** By the server's clock. */
const STEP_MICROSECONDS = 3.5;

export interface SimulationOptions {
  /** Default: nothing is slow. */
  readonly slowRequestMs?: number;
  readonly sizeBytes: number;
  /** Alignment of direct I/O, bytes; 0 for an export that is buffered. */
  readonly unitBytes: number;
  readonly seed?: number;
  readonly memoryBytes?: number;
  readonly requests?: number;
  readonly readOnly?: boolean;
  /** The server may remember what it knows of the file: nobody else writes to it, tests neither, once there are clients. */
  readonly sparse?: boolean;
  /** How the filesystem makes zeroes: at once; only like data, which IO_FAST forbids; or not at all. */
  readonly zeroing?: 'fast' | 'slow' | 'unsupported';
  /** An errno for a file operation that is to fail, or 0. */
  readonly fault?: (op: number, offset: number, length: number) => number;
}

interface FileIo {
  readonly op: number;
  readonly file: number;
  readonly buffer: number;
  readonly length: number;
  readonly offset: number;
  readonly flags: number;
  readonly tag: number;
  /** Of the memory that it uses; 0 for none. */
  readonly memoryBytes: number;
  /** It has been done already; the completion is still to come. */
  moved: boolean;
  /** Then: what the completion will say. */
  result: number;
}

interface Armed {
  readonly buffer: number;
  readonly length: number;
  readonly overflow: number;
  readonly overflowLength: number;
}

interface SendEntry {
  readonly header: number;
  readonly headerLength: number;
  readonly buffer: number;
  readonly length: number;
  readonly tag: number;
}

/** Whole numbers from 0 to below `below` that look random and are the same for the same seed. */
export function randomNumbers(seed: number): (below: number) => number {
  const random = seededRandom(seed);
  return (below) => Math.floor(random() * below);
}

const CONTEXT_NAMES = new Map([
  [1, 'base:allocation'],
  [2, 'aionbd:changed'],
]);

/** What a handshake would have agreed on. */
export interface PeerTerms {
  readonly replies?: Mode;
  readonly metaContexts?: readonly number[];
}

/** A reader that has each answer witnessed. */
class WitnessedReader extends ReplyReader {
  readonly #witness: ClientWitness;

  constructor(onReply: (reply: Reply) => void, terms: Terms, witness: ClientWitness) {
    super((reply) => {
      witness.answer(reply);
      onReply(reply);
    }, terms);
    this.#witness = witness;
  }

  override expect(request: Request): void {
    super.expect(request);
    this.#witness.ask(request);
  }
}

/** The other end of a connection. */
export class SimulatedPeer {
  readonly number: number;
  readonly mode: Mode;
  readonly reader: ReplyReader;
  readonly witness: ClientWitness;
  readonly replies: Reply[] = [];
  onReply: (reply: Reply) => void = () => {};
  /** What was sent and not yet received; each piece arrives on its own. */
  readonly input: Buffer[] = [];
  /** Bytes of replies that it will still take; Infinity for a client that reads. */
  appetite = Number.POSITIVE_INFINITY;
  /** The client has closed its end. */
  hasLeft = false;
  /** The server has closed the connection. */
  isClosed = false;
  client!: Client;
  armed: Armed | undefined;
  readonly sends: SendEntry[] = [];

  constructor(number: number, terms: Terms, witness: ClientWitness) {
    this.number = number;
    this.mode = terms.mode;
    this.witness = witness;
    const take = (reply: Reply) => {
      this.replies.push(reply);
      this.onReply(reply);
    };
    this.reader = new WitnessedReader(take, terms, witness);
  }

  /** Bytes that arrive in one piece. */
  push(bytes: Uint8Array): void {
    if (bytes.length > 0) this.input.push(Buffer.from(bytes));
  }

  /** Requests as this connection has them. */
  bytesOf(...requests: readonly Request[]): Buffer {
    return Buffer.concat(requests.map((request) => requestBytes(request, this.mode)));
  }

  /** Requests in one piece, whose replies are expected. */
  send(...requests: readonly Request[]): void {
    for (const request of requests) this.reader.expect(request);
    this.push(this.bytesOf(...requests));
  }
}

export class Simulation {
  readonly disk: SimulatedDisk;
  /** The disk's bytes. */
  readonly image: Buffer;
  readonly slab: Slab;
  readonly transmission: Transmission;
  readonly target: Export;
  /** What the server has counted. */
  readonly memory = ThreadRecord.allocate(4096, 1);
  readonly record = new ThreadRecord(this.memory);
  readonly random: (below: number) => number;
  /** Broken rules of the boundary. */
  readonly faults: string[] = [];
  readonly warnings: string[] = [];
  readonly peers: (SimulatedPeer | undefined)[] = [];
  /** Operations that a predicate holds back, until it is cleared. */
  heldBack: ((op: number, offset: number) => boolean) | undefined;
  readonly #options: SimulationOptions;
  readonly #witness: Witness;
  readonly #everConnected: SimulatedPeer[] = [];
  readonly #reader: SnapshotReader;
  readonly #bytes: Uint8Array;
  readonly #io: FileIo[] = [];
  #completions: [op: number, tag: number, result: number][] = [];
  /** Free at rest, with nobody connected. */
  readonly freeAtRest: number;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.random = randomNumbers(options.seed ?? 1);
    this.disk = new SimulatedDisk(options.sizeBytes);
    this.image = this.disk.image;
    this.#witness = new Witness(this.disk, (what) => this.#fault(what));
    const requests = options.requests ?? 64;
    const headerBytes = Math.ceil(Transmission.headerBytes(requests) / FRAME_BYTES) * FRAME_BYTES;
    const memoryBytes = options.memoryBytes ?? 2 * 1024 * 1024;
    const memory = new ArrayBuffer(headerBytes + memoryBytes);
    this.#bytes = new Uint8Array(memory);
    this.slab = new Slab(headerBytes, memoryBytes);
    const ring = this.#ring(memory);
    this.target = {
      name: 'simulated',
      description: '',
      readOnly: options.readOnly ?? false,
      sizeBytes: options.sizeBytes,
      volume: new Volume(ring, backingOf(options)),
      record: this.record.exports[0]!,
    };
    const say: Say = (name, fields) => this.warnings.push(`${LINES[name].message} ${JSON.stringify(fields)}`);
    const log = { say, slowRequestMs: options.slowRequestMs ?? Number.POSITIVE_INFINITY };
    this.transmission = new Transmission(ring, this.slab, requests, 0, log, this.record);
    this.freeAtRest = this.slab.freeBytes;
    this.#reader = new SnapshotReader(observationOf(this.memory, options));
  }

  /** A connection that is past its handshake. */
  connect({ replies = 'simple', metaContexts = [] }: PeerTerms = {}): SimulatedPeer {
    let number = this.peers.indexOf(undefined);
    if (number < 0) number = this.peers.length;
    const contexts = new Map(metaContexts.map((id) => [id, CONTEXT_NAMES.get(id) ?? '']));
    const terms = { mode: replies, contexts, sizeBytes: this.#options.sizeBytes };
    const peer = new SimulatedPeer(number, terms, this.#witness.client());
    const buffer = this.slab.take(FRAME_BYTES);
    if (buffer < 0) throw new Error('no memory for another connection');
    const others = this.peers.flatMap((other) => (other && !other.isClosed ? other.client : []));
    this.peers[number] = peer;
    this.#everConnected.push(peer);
    const record = this.record.connect(number + 1);
    const memory = [buffer, FRAME_BYTES, buffer, buffer] as const;
    peer.client = new Client(number, this.target, 'simulated', record, ...memory, { replies, metaContexts });
    this.transmission.open(peer.client, others);
    return peer;
  }

  /** Runs until nothing can happen any more, or `steps` times. Returns whether it came to rest. */
  run(steps = Number.POSITIVE_INFINITY): boolean {
    for (let step = 0; step < steps; step++) {
      if (!this.#step()) return true;
    }
    return false;
  }

  /** What the server tells about itself. */
  snapshot(): ServerSnapshot {
    return this.#reader.snapshot(0);
  }

  /** What is wrong with the server's counters, compared with what clients have seen. */
  miscounted(): string[] {
    const [target] = this.#reader.snapshot(0).exports;
    const { inFlight, inFlightMost, requestsGivenUp, connections, connectionsTotal, operations } = target!;
    const all = Object.values(operations);
    const requests = sumOf(all.map((operation) => operation.requests));
    const answered = sumOf(all.map(({ latency }) => sumOf(latency.counts)));
    const errors = sumOf(all.map((operation) => sumOf(Object.values(operation.errors))));
    const replies = this.#everConnected.flatMap((peer) => peer.replies);
    const open = this.peers.filter((peer) => peer && !peer.isClosed);
    const slots = open.map((peer) => peer!.client.record.totals());
    const found: string[] = [];
    const compare = (what: string, counted: number, expected: number) => {
      if (counted !== expected) found.push(`${what}: ${counted} are counted and ${expected} expected`);
    };
    compare('requests', requests, answered + requestsGivenUp + inFlight);
    compare('connections', connections, open.length);
    compare('connections in all', connectionsTotal, this.#everConnected.length);
    if (this.isAtRest) compare('requests in flight', inFlight, 0);
    if (inFlight < 0 || inFlightMost < inFlight)
      found.push(`${inFlightMost} in flight at most, now ${inFlight}`);
    // A client that is gone, or did not read all, has not seen what was said to it last.
    if (replies.length > answered) found.push(`${replies.length} replies, ${answered} are counted`);
    if (
      this.#everConnected.every(
        (peer) => !peer.hasLeft && peer.appetite === Number.POSITIVE_INFINITY && !peer.isClosed,
      )
    ) {
      compare('replies', answered, replies.length);
      compare('errors', errors, replies.filter(({ error }) => error !== 0).length);
      compare('requests of connections', sumOf(slots.map((slot) => slot.requests)), requests);
      compare('errors of connections', sumOf(slots.map((slot) => slot.errors)), errors);
      compare('bytes read', operations.read.bytes, sumOf(replies.map(({ data }) => data.length)));
      compare('bytes read by connections', sumOf(slots.map((slot) => slot.readBytes)), operations.read.bytes);
      compare(
        'bytes written by connections',
        sumOf(slots.map((slot) => slot.writtenBytes)),
        operations.write.bytes,
      );
    }
    for (const { latency, diskLatency } of all) {
      if (diskLatency.sumSeconds > latency.sumSeconds + 1e-9)
        found.push('the disk took longer than the whole');
    }
    return found;
  }

  /** Whether everything was given back: all connections are gone and nothing is held. */
  get isAtRest(): boolean {
    return (
      this.slab.freeBytes === this.freeAtRest && this.#io.length === 0 && this.peers.every((peer) => !peer)
    );
  }

  // ---- what happens ----

  /** One batch of things that can happen now, in an order that chance gives. */
  #step(): boolean {
    const possible = this.#possible();
    if (possible.length === 0 && this.#completions.length === 0) return false;
    const count = 1 + this.random(Math.min(4, possible.length));
    for (let i = 0; i < count && possible.length > 0; i++) {
      const at = this.random(possible.length);
      this.#happen(possible[at]!);
      possible[at] = possible.at(-1)!;
      possible.pop();
    }
    this.record.ring[RING_CLOCK]! += STEP_MICROSECONDS;
    const batch = this.#completions;
    this.#completions = [];
    for (const [op, tag, result] of batch) this.#complete(op, tag, result);
    this.transmission.batchEnd();
    return true;
  }

  #possible(): (FileIo | SimulatedPeer)[] {
    const possible: (FileIo | SimulatedPeer)[] = [];
    for (const io of this.#io) {
      if (!this.heldBack?.(io.op, io.offset)) possible.push(io);
    }
    for (const peer of this.peers) {
      if (peer && (this.#canDeliver(peer) || this.#canTakeReply(peer))) possible.push(peer);
    }
    return possible;
  }

  #canDeliver(peer: SimulatedPeer): boolean {
    return peer.armed !== undefined && (peer.input.length > 0 || peer.hasLeft);
  }

  #canTakeReply(peer: SimulatedPeer): boolean {
    const send = peer.sends[0];
    return send !== undefined && (peer.hasLeft || peer.appetite >= send.headerLength + send.length);
  }

  #happen(what: FileIo | SimulatedPeer): void {
    if (!(what instanceof SimulatedPeer)) this.#finishIo(what);
    else if (this.#canDeliver(what) && (!this.#canTakeReply(what) || this.random(2) === 0))
      this.#deliver(what);
    else if (this.#canTakeReply(what)) this.#takeReply(what);
  }

  #complete(op: number, tag: number, result: number): void {
    if (op === OP_SEND) this.transmission.sent(tag, result);
    else if (op === OP_RECV) this.transmission.received(this.peers[tag]!.client, result);
    else if (op === OP_CLOSE) {
      const peer = this.peers[tag]!;
      this.peers[tag] = undefined;
      this.record.disconnect(peer.client.record);
      this.transmission.closed(peer.client);
    } else this.transmission.fileDone(op, tag, result);
  }

  #finishIo(io: FileIo): void {
    const at = this.#io.indexOf(io);
    if (at < 0) return;
    this.#io.splice(at, 1);
    const errno = this.#options.fault?.(io.op, io.offset, io.length) ?? 0;
    if (errno !== 0) {
      this.#completions.push([io.op, io.tag, -errno]);
      return;
    }
    if (!io.moved) this.#move(io);
    this.#completions.push([io.op, io.tag, io.result]);
  }

  #move(io: FileIo): void {
    io.moved = true;
    io.result = this.#perform(io);
  }

  /** Does what is asked for. Returns the result. */
  #perform({ op, buffer, length, offset, flags, memoryBytes }: FileIo): number {
    switch (op) {
      case OP_READ:
        this.#bytes.set(this.image.subarray(offset, offset + length), buffer);
        return Math.max(0, Math.min(length, this.image.length - offset));
      case OP_WRITE:
        this.disk.write(offset, this.#bytes.subarray(buffer, buffer + length));
        return Math.max(0, Math.min(length, this.image.length - offset));
      case OP_TRIM:
        this.disk.zero(offset, length, true);
        return 0;
      case OP_ZERO: {
        const { zeroing = 'fast' } = this.#options;
        if (zeroing === 'unsupported' || (zeroing === 'slow' && (flags & IO_FAST) !== 0)) return -EOPNOTSUPP;
        this.disk.zero(offset, length, (flags & IO_MAY_PUNCH) !== 0);
        return 0;
      }
      case OP_EXTENTS: {
        const extents = this.disk.extents(offset, length, Math.floor(memoryBytes / EXTENT_BYTES));
        const doubles = new Float64Array(this.#bytes.buffer, buffer, 2 * extents.length);
        doubles.set(extents.flatMap((extent) => [extent.length, extent.kind]));
        return extents.length;
      }
      default:
        return 0;
    }
  }

  #deliver(peer: SimulatedPeer): void {
    const { armed } = peer;
    const piece = peer.input[0];
    if (!armed) return;
    peer.armed = undefined;
    if (!piece) {
      this.#completions.push([OP_RECV, peer.number, 0]);
      return;
    }
    const first = Math.min(piece.length, armed.length);
    const second = Math.min(piece.length - first, armed.overflowLength);
    this.#bytes.set(piece.subarray(0, first), armed.buffer);
    this.#bytes.set(piece.subarray(first, first + second), armed.overflow);
    if (first + second === piece.length) peer.input.shift();
    else peer.input[0] = piece.subarray(first + second);
    this.#completions.push([OP_RECV, peer.number, first + second]);
  }

  #takeReply(peer: SimulatedPeer): void {
    const send = peer.sends.shift();
    if (!send) return;
    if (peer.hasLeft) {
      this.#completions.push([OP_SEND, send.tag, -32]);
      return;
    }
    peer.appetite -= send.headerLength + send.length;
    const { buffer: memory } = this.#bytes;
    peer.reader.push(Buffer.from(memory, send.header, send.headerLength));
    peer.reader.push(Buffer.from(memory, send.buffer, send.length));
    this.#completions.push([OP_SEND, send.tag, send.headerLength + send.length]);
  }

  // ---- what the transmission phase asks for ----

  #ring(memory: ArrayBuffer): Ring {
    const ring = {
      bytes: this.#bytes,
      view: new DataView(memory),
      doubles: new Float64Array(memory, 0, Math.floor(memory.byteLength / 8)),
      native: { addFile: (fd: number) => fd, removeFile: () => 0 },
      file: (
        op: number,
        file: number,
        buffer: number,
        length: number,
        offset: number,
        flags: number,
        tag: number,
      ) => {
        const memoryBytes = op === OP_READ || op === OP_WRITE ? length : 0;
        this.#file({ op, file, buffer, length, offset, flags, tag, memoryBytes, moved: false, result: 0 });
      },
      fileOf: (op: number, file: number, table: IoTable, tag: number, flags: number) => {
        const [buffer, length, offset] = [table.data[tag]!, table.length[tag]!, table.offset[tag]!];
        ring.file(op, file, buffer, length, offset, flags, tag);
      },
      extents: (
        file: number,
        buffer: number,
        memoryBytes: number,
        length: number,
        offset: number,
        tag: number,
      ) => {
        const asked = { op: OP_EXTENTS, file, buffer, length, offset, flags: 0, tag, memoryBytes };
        this.#file({ ...asked, moved: false, result: 0 });
      },
      receive: (
        connection: number,
        buffer: number,
        length: number,
        overflow: number,
        overflowLength: number,
      ) => this.#receive(connection, { buffer, length, overflow, overflowLength }),
      disarm: (connection: number) => this.#disarm(connection),
      send: (
        connection: number,
        header: number,
        headerLength: number,
        buffer: number,
        length: number,
        tag: number,
      ) => this.#send(connection, { header, headerLength, buffer, length, tag }),
      close: (connection: number) => this.#close(connection),
      cancel: (tag: number) => this.#cancel(tag),
      peekEnd: (connection: number, tail: Uint8Array) => this.#peekEnd(connection, tail),
    };
    return ring as unknown as Ring;
  }

  #file(io: FileIo): void {
    const { op, file, buffer, length, offset, memoryBytes } = io;
    const what = `operation ${op} of ${length} bytes at ${offset}`;
    const moves = op === OP_READ || op === OP_WRITE;
    const inWholeUnits = file === DIRECT_FD && op !== OP_SYNC && op !== OP_ADVISE && op !== OP_EXTENTS;
    const unit = this.#options.unitBytes;
    if (inWholeUnits && (offset % unit !== 0 || length % unit !== 0)) this.#fault(`${what} is not aligned`);
    if (moves && file === DIRECT_FD && buffer % MEMORY_ALIGNMENT !== 0)
      this.#fault(`the memory of ${what} is not aligned`);
    if (op === OP_EXTENTS && (buffer % 8 !== 0 || memoryBytes < EXTENT_BYTES))
      this.#fault(`the memory of ${what} cannot take an extent`);
    if (op !== OP_SYNC && length <= 0) this.#fault(`${what} is of nothing`);
    if (op !== OP_SYNC && offset + length > this.image.length && (file !== DIRECT_FD || op === OP_EXTENTS))
      this.#fault(`${what} goes past the end`);
    // Only the two reads around an unaligned write share a tag.
    if (op !== OP_READ && this.#io.some((other) => other.tag === io.tag))
      this.#fault(`tag ${io.tag} is used twice`);
    if (memoryBytes > 0) this.#claim(what, buffer, memoryBytes, op !== OP_WRITE);
    this.#io.push(io);
    // It is done at any time from now to the completion.
    const mayBeAtOnce = (moves || op === OP_EXTENTS) && !this.heldBack?.(op, offset) && !this.#options.fault;
    if (mayBeAtOnce && this.random(2) === 0) this.#move(io);
  }

  #receive(connection: number, armed: Armed): void {
    const peer = this.peers[connection];
    if (!peer || peer.isClosed) {
      this.#completions.push([OP_RECV, connection, -9]);
      return;
    }
    if (peer.armed) this.#fault('two receives are armed on one connection');
    if (armed.length < 1) this.#fault('a receive of nothing');
    this.#claim('a receive', armed.buffer, armed.length, true);
    if (armed.overflowLength > 0)
      this.#claim("a receive's overflow", armed.overflow, armed.overflowLength, true);
    peer.armed = armed;
  }

  #disarm(connection: number): void {
    const peer = this.peers[connection];
    if (!peer?.armed) return;
    peer.armed = undefined;
    this.#completions.push([OP_RECV, connection, -ECANCELED]);
  }

  #peekEnd(connection: number, tail: Uint8Array): number {
    const peer = this.peers[connection];
    if (!peer || peer.isClosed) this.#fault('a closed connection is looked at');
    if (!peer?.hasLeft) return -EAGAIN;
    const unread = Buffer.concat(peer.input);
    tail.fill(0);
    const end = unread.subarray(Math.max(0, unread.length - tail.length));
    tail.set(end, tail.length - end.length);
    return unread.length;
  }

  #send(connection: number, entry: SendEntry): void {
    const peer = this.peers[connection];
    if (!peer || peer.isClosed) {
      this.#completions.push([OP_SEND, entry.tag, -9]);
      return;
    }
    if (entry.headerLength + entry.length < 1) this.#fault('a send of nothing');
    this.#claim('a send', entry.buffer, entry.length, false);
    this.#claim("a send's header", entry.header, entry.headerLength, false);
    peer.sends.push(entry);
  }

  #close(connection: number): void {
    const peer = this.peers[connection];
    if (!peer || peer.isClosed) {
      this.#fault('a connection is closed twice');
      return;
    }
    peer.isClosed = true;
    peer.witness.leave();
    if (peer.armed) this.#completions.push([OP_RECV, connection, -ECANCELED]);
    peer.armed = undefined;
    for (const send of peer.sends.splice(0)) this.#completions.push([OP_SEND, send.tag, -ECANCELED]);
    this.#completions.push([OP_CLOSE, connection, 0]);
  }

  /** Half of what is to be cancelled has not started. */
  #cancel(tag: number): void {
    const at = this.#io.findIndex((other) => other.tag === tag);
    const io = this.#io[at];
    if (!io || io.moved || this.heldBack?.(io.op, io.offset) || this.random(2) === 0) return;
    this.#io.splice(at, 1);
    this.#completions.push([io.op, io.tag, -ECANCELED]);
  }

  /** The range is used by no other operation, unless both only read it. */
  #claim(what: string, start: number, length: number, writes: boolean): void {
    if (length === 0) return;
    if (start < 0 || start + length > this.#bytes.length) this.#fault(`${what} is outside of memory`);
    const meets = (otherStart: number, otherLength: number) =>
      otherLength > 0 && start < otherStart + otherLength && otherStart < start + length;
    for (const io of this.#io) {
      if (io.memoryBytes > 0 && (writes || io.op !== OP_WRITE) && meets(io.buffer, io.memoryBytes))
        this.#fault(`${what} uses the memory of operation ${io.op} at ${io.offset}`);
    }
    for (const peer of this.peers) {
      if (!peer) continue;
      const { armed } = peer;
      if (armed && (meets(armed.buffer, armed.length) || meets(armed.overflow, armed.overflowLength)))
        this.#fault(`${what} uses the memory of a receive`);
      if (!writes) continue;
      for (const send of peer.sends) {
        if (meets(send.buffer, send.length) || meets(send.header, send.headerLength))
          this.#fault(`${what} uses the memory of a send`);
      }
    }
  }

  #fault(what: string): void {
    if (this.faults.length < 10) this.faults.push(what);
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function observationOf(
  memory: ObservedThread,
  { sizeBytes, readOnly, unitBytes }: SimulationOptions,
): ServerObservation {
  const direct = unitBytes > 0;
  return {
    version: '0',
    pid: 1,
    startedAtMs: 0,
    state: 'serving',
    listeners: [],
    exports: [
      {
        name: 'simulated',
        description: '',
        path: '/simulated',
        readOnly: readOnly ?? false,
        blockDevice: false,
        sizeBytes,
        direct,
        bufferedBecause: direct ? '' : 'it is to be',
      },
    ],
    threads: [memory],
    acceptor: undefined,
    connections: [],
  };
}

function backingOf({ sizeBytes, unitBytes, readOnly, sparse }: SimulationOptions): Backing {
  const isDirect = unitBytes > 0;
  const pageUnit = Math.max(unitBytes, FRAME_BYTES);
  const odd = isDirect && sizeBytes % unitBytes !== 0;
  const wholeBytes = odd ? Math.floor(sizeBytes / pageUnit) * pageUnit : sizeBytes;
  return {
    path: '/simulated',
    identity: 'simulated',
    readOnly: readOnly ?? false,
    blockDevice: false,
    sizeBytes,
    directFd: isDirect ? DIRECT_FD : -1,
    bufferedFd: isDirect && !odd ? -1 : BUFFERED_FD,
    writeBackFd: -1,
    unitBytes: isDirect ? unitBytes : 1,
    directEndBytes: isDirect ? wholeBytes : 0,
    bufferedBecause: undefined,
    locked: sparse ?? false,
    close() {},
  };
}
