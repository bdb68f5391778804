// One case against a server: what it is to be sent is known beforehand, and so is what has to come back.

import { createConnection, type Socket } from 'node:net';
import type { Address } from '../transmission/raw-client.js';
import { type Reply, ReplyReader } from '../transmission/reply-reader.js';
import type { Request } from '../transmission/wire.js';
import { type FuzzCase, setting } from './case.js';
import { stepBytes } from './encode.js';
import { HandshakeModel, type ModelExport } from './handshake-model.js';
import { answerCount, compareReplies } from './handshake-replies.js';
import { type Scan, scanRequests } from './request-scan.js';
import { bucket, cutPieces, type Outcome } from './target.js';
import { possibleErrors, type VerdictTerms } from './verdict.js';

const GREETING = Buffer.from('4e42444d4147494349484156454f50540003', 'hex');
const LIMITS = {
  maximumOptions: 65_536,
  maximumOptionDataBytes: 65_536,
  maximumSkippedBytes: 64 << 20,
  maximumMetaQueries: 1024,
};
const CONTEXT_NAMES = new Map([
  [1, 'base:allocation'],
  [2, 'aionbd:changed'],
]);
const READ_ONLY = 2;
const MOST_PIECES = 64;

type Action = { readonly send: Buffer } | 'pause' | 'leave';

export class ServerSession {
  readonly #model: HandshakeModel;
  readonly #actions: Action[] = [];
  readonly #requests = new Map<bigint, Request>();
  readonly #met = new Set<string>();
  readonly #reader: ReplyReader;
  readonly #terms: VerdictTerms | undefined;
  #scan: Scan = { messages: [], ends: undefined };
  #fault: string | undefined;
  #received: Buffer = Buffer.alloc(0);
  /** The bytes of the handshake, once all have come. */
  #handshakeBytes: number | undefined;
  #isClosed = false;
  #hasLeft = false;
  /** There are bytes behind those that end the connection. */
  #saysMore = false;
  #wake: () => void = () => {};
  #lastMet = '';

  constructor(fuzzCase: FuzzCase, exports: readonly ModelExport[], lenient: boolean) {
    this.#model = new HandshakeModel(exports, LIMITS);
    this.#plan(fuzzCase);
    const { ending, replies: mode } = this.#model;
    if (ending?.kind === 'transmission') {
      const { sizeBytes, transmissionFlags } = ending.target;
      const contexts = new Map(ending.contexts.map((id) => [id, CONTEXT_NAMES.get(id) ?? '']));
      this.#reader = new ReplyReader((reply) => this.#replied(reply), { mode, contexts, sizeBytes, lenient });
      const readOnly = (transmissionFlags & READ_ONLY) !== 0;
      this.#terms = { mode, contexts: ending.contexts, sizeBytes, readOnly };
    } else {
      this.#reader = new ReplyReader(() => {});
    }
    for (const { request } of this.#scan.messages) {
      this.#reader.expect(request);
      this.#requests.set(request.cookie, request);
    }
  }

  /** `patienceMs` is how long it waits for what has to come. */
  async play(address: Address, patienceMs: number): Promise<Outcome> {
    const socket = await connect(address);
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
    socket.on('data', (chunk: Buffer) => {
      this.#take(chunk);
      this.#wake();
    });
    for (const action of this.#actions) {
      if (this.#isClosed) break;
      if (action === 'leave') this.#hasLeft = true;
      else if (action === 'pause') await new Promise(setImmediate);
      else socket.write(action.send);
    }
    if (!this.#hasLeft) await this.#answered(patienceMs);
    this.#note();
    if (!this.#hasLeft) this.#checkEnd();
    socket.destroy();
    await closed;
    return { fault: this.#fault ?? this.#reader.fault, features: [...this.#met] };
  }

  #plan(fuzzCase: FuzzCase): void {
    const sent: Buffer[] = [];
    const places: ('pause' | 'leave' | number)[] = [];
    for (const [at, step] of fuzzCase.steps.entries()) {
      if (step.kind === 'leave') {
        places.push('leave');
        break;
      }
      if (step.kind === 'split' || step.kind === 'wait') places.push('pause');
      const bytes = stepBytes(step, this.#model.replies, at);
      if (bytes.length === 0) continue;
      this.#model.feed(bytes);
      places.push(bytes.length);
      sent.push(bytes);
    }
    const all = Buffer.concat(sent);
    const { ending, consumed, replies } = this.#model;
    if (ending?.kind === 'transmission') {
      const scan = scanRequests(all.subarray(consumed), replies);
      const whole = scan.messages.filter(({ end }) => end <= all.length - consumed);
      this.#scan = { ...scan, messages: whole };
    }
    const end = ending?.kind === 'close' ? consumed : consumed + (this.#scan.ends?.at ?? 0);
    this.#saysMore = end < all.length;
    let at = 0;
    for (const place of places) {
      if (typeof place === 'string') {
        this.#actions.push(place);
        continue;
      }
      this.#cut(all.subarray(at, at + place), setting(fuzzCase, 'cut', 0));
      at += place;
    }
  }

  #cut(bytes: Buffer, cut: number): void {
    const pieces = cutPieces(bytes, cut);
    let at = 0;
    for (const piece of pieces.slice(0, MOST_PIECES)) {
      this.#actions.push({ send: piece }, 'pause');
      at += piece.length;
    }
    if (at < bytes.length) this.#actions.push({ send: bytes.subarray(at) });
  }

  // ---- what comes back

  #take(chunk: Buffer): void {
    if (this.#handshakeBytes !== undefined) {
      this.#reader.push(chunk);
      return;
    }
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const { ending, answers } = this.#model;
    const end = endOfReplies(this.#received, GREETING.length, answerCount(answers));
    const raw = ending?.kind === 'transmission' ? ending.raw : Buffer.alloc(0);
    if (end === undefined || this.#received.length < end + raw.length) return;
    this.#handshakeBytes = end + raw.length;
    if (!this.#received.subarray(0, GREETING.length).equals(GREETING))
      this.#complain('the greeting is another one');
    const wrong = compareReplies(this.#received.subarray(GREETING.length, end), answers);
    if (wrong !== undefined) this.#complain(wrong);
    if (!this.#received.subarray(end, this.#handshakeBytes).equals(raw))
      this.#complain('the answer to EXPORT_NAME is not as it should be');
    const rest = this.#received.subarray(this.#handshakeBytes);
    if (rest.length > 0) this.#reader.push(rest);
  }

  #replied(reply: Reply): void {
    const request = this.#requests.get(reply.cookie);
    if (!request) return;
    const possible = possibleErrors(request, this.#terms!);
    const { type, flags = 0, offset, length } = request;
    if (!possible.has(reply.error))
      this.#complain(
        `command ${type}, flags ${flags}, ${offset} +${length} is answered ${reply.error}, not ${[...possible].join(' or ')}`,
      );
    const name = `${this.#terms!.mode} ${type > 8 ? 'x' : type} ${flags & 0x3f} ${reply.error}`;
    this.#met.add(`${name} ${bucket(reply.pieces)} ${bucket(reply.holes.length)}`);
    this.#met.add(`${this.#lastMet} > ${type} ${reply.error}`);
    this.#lastMet = `${type} ${reply.error}`;
  }

  /** All that is to come has come, or the connection is gone. */
  async #answered(patienceMs: number): Promise<void> {
    const deadline = Date.now() + patienceMs;
    while (!this.#isComplete()) {
      if (Date.now() > deadline) {
        this.#complain(`nothing comes: ${this.#missing()}`);
        return;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        // It may have come before this was asked.
        if (this.#isComplete()) this.#wake();
      });
    }
  }

  #isComplete(): boolean {
    if (this.#isClosed || this.#reader.fault !== undefined || this.#fault !== undefined) return true;
    if (this.#mustEnd()) return false;
    return this.#handshakeBytes !== undefined && this.#reader.outstanding === 0 && this.#reader.atBoundary;
  }

  #mustEnd(): boolean {
    return this.#model.ending?.kind === 'close' || this.#scan.ends !== undefined;
  }

  #checkEnd(): void {
    if (this.#isClosed && !this.#mustEnd()) this.#complain(`dropped without a reason: ${this.#missing()}`);
    const { ending } = this.#model;
    const isOrderly = ending?.kind === 'close' ? ending.orderly : this.#scan.ends?.why === 'disc';
    const { outstanding, fault } = this.#reader;
    // Otherwise what was on its way may be lost; so it may be to a client that goes on after its own farewell.
    if (
      isOrderly &&
      !this.#saysMore &&
      fault === undefined &&
      (this.#handshakeBytes === undefined || outstanding > 0)
    )
      this.#complain(`an orderly end, and ${this.#missing()}`);
  }

  #missing(): string {
    if (this.#handshakeBytes === undefined) return `${this.#received.length} bytes of the handshake came`;
    if (this.#mustEnd() && !this.#isClosed) return 'the connection should have ended';
    return `${this.#reader.outstanding} requests without a reply`;
  }

  #note(): void {
    const { answers, ending } = this.#model;
    let last = 'nothing';
    for (const { option, final, informs } of answers) {
      const name = `${option <= 12 ? option : 'x'} ${informs.length} ${final.toString(16)}`;
      this.#met.add(`${last} > ${name}`);
      last = name;
    }
    const why =
      ending?.kind === 'transmission' ? `${this.#terms!.mode} ${ending.contexts.join()}` : ending?.kind;
    this.#met.add(`${why} ${this.#scan.ends?.why} ${this.#hasLeft} ${bucket(this.#scan.messages.length)}`);
    this.#met.add(`${last} then ${why}`);
  }

  #complain(fault: string): void {
    this.#fault ??= fault;
  }
}

/** Where the last of so many option replies ends; undefined if it is not there yet. */
function endOfReplies(bytes: Buffer, start: number, count: number): number | undefined {
  let at = start;
  if (bytes.length < start) return undefined;
  for (let i = 0; i < count; i++) {
    if (bytes.length < at + 20) return undefined;
    at += 20 + bytes.readUInt32BE(at + 16);
  }
  return at <= bytes.length ? at : undefined;
}

async function connect(address: Address): Promise<Socket> {
  if (address.kind !== 'unix') throw new Error('the fuzzer talks to a Unix socket');
  const socket = createConnection(address.path);
  // A reset is what many cases provoke; that the connection is gone is told by `close`.
  socket.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}
