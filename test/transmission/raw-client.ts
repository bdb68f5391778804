// A client over node:net that sends any bytes and takes what comes: independent of src/protocol, and of manners.

import { createConnection, type Socket } from 'node:net';
import { type Reply, ReplyReader } from './reply-reader.js';
import { type Mode, type Request, requestBytes } from './wire.js';

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

const INIT_MAGIC = 0x4e42444d41474943n;
const OPTION_MAGIC = 0x49484156454f5054n;
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const GREETING_BYTES = 18;
const OPT_EXPORT_NAME = 1;
const OPT_GO = 7;
const OPT_STRUCTURED_REPLY = 8;
const OPT_LIST_META_CONTEXT = 9;
const OPT_SET_META_CONTEXT = 10;
const OPT_EXTENDED_HEADERS = 11;
const REP_ACK = 1;
const REP_INFO = 3;
const REP_META_CONTEXT = 4;
const INFO_EXPORT = 0;
const FIXED_NEWSTYLE = 1;
const NO_ZEROES = 2;

/** Longest that a test waits for one answer. */
const PATIENCE_MS = 60_000;

/** What is to be agreed on before an export is chosen. */
export interface Wishes {
  readonly replies?: Mode;
  /** Names of meta contexts; each must be there. */
  readonly contexts?: readonly string[];
  /** Whether what a server only SHOULD do is let pass, for servers that are not ours. */
  readonly lenient?: boolean;
}

export class RawClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  isClosed = false;
  sizeBytes = 0;
  transmissionFlags = 0;
  /** How requests and replies look from the choice of an export on. */
  mode: Mode = 'simple';
  /** The selected meta contexts: ids by their names. */
  readonly contexts = new Map<string, number>();
  readonly reader: ReplyReader;
  /** Each reply as it comes. */
  onReply: (reply: Reply) => void = () => {};
  readonly #waiting = new Map<bigint, (reply: Reply | undefined) => void>();
  #handshaking = true;
  #received: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};
  #nextCookie = 0x1000n;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.reader = new ReplyReader((reply) => {
      this.#waiting.get(reply.cookie)?.(reply);
      this.#waiting.delete(reply.cookie);
      this.onReply(reply);
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#data(chunk));
    socket.on('error', () => {}); // a reset is what many tests provoke; `closed` tells
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        for (const tell of this.#waiting.values()) tell(undefined);
        this.#waiting.clear();
        this.#wake();
        resolve();
      });
    });
  }

  /** Connected, and nothing said yet. */
  static async connect(address: Address): Promise<RawClient> {
    const socket =
      address.kind === 'unix'
        ? createConnection(address.path)
        : createConnection({ host: address.host, port: address.port });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  /** Connected, negotiated with GO, ready for requests. Throws if a wish is refused. */
  static async open(address: Address, name = '', wishes: Wishes = {}): Promise<RawClient> {
    const client = await RawClient.connect(address);
    await client.go(name, wishes);
    return client;
  }

  /** The next bytes of the handshake. */
  async read(length: number): Promise<Buffer> {
    const deadline = Date.now() + PATIENCE_MS;
    while (this.#received.length < length) {
      if (this.isClosed)
        throw new Error(`the connection ended ${this.#received.length} bytes into ${length} bytes`);
      if (Date.now() > deadline) throw new Error(`waited for ${length} bytes in vain`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  /** The server's greeting, answered with these flags. Returns the server's. */
  async greet(clientFlags = FIXED_NEWSTYLE | NO_ZEROES): Promise<number> {
    const greeting = await this.read(GREETING_BYTES);
    if (greeting.readBigUInt64BE(0) !== INIT_MAGIC || greeting.readBigUInt64BE(8) !== OPTION_MAGIC)
      throw new Error(`the greeting is ${greeting.toString('hex')}`);
    const flags = Buffer.alloc(4);
    flags.writeUInt32BE(clientFlags);
    this.write(flags);
    return greeting.readUInt16BE(16);
  }

  /** Greets and chooses an export; throws if that is refused, or a wish is. */
  async go(name: string, wishes: Wishes = {}): Promise<void> {
    await this.greet();
    const { replies = 'simple', contexts = [], lenient = false } = wishes;
    if (replies === 'structured') await this.agree(OPT_STRUCTURED_REPLY);
    if (replies === 'extended') await this.agree(OPT_EXTENDED_HEADERS);
    this.mode = replies;
    if (contexts.length > 0) await this.setContexts(name, contexts);
    this.write(goBytes(name));
    for (;;) {
      const { type, data } = await this.optionReply();
      if (type === REP_ACK) break;
      if (type !== REP_INFO) throw new Error(`GO was answered 0x${type.toString(16)}: ${data.toString()}`);
      if (data.readUInt16BE(0) !== INFO_EXPORT) continue;
      this.sizeBytes = Number(data.readBigUInt64BE(2));
      this.transmissionFlags = data.readUInt16BE(10);
    }
    this.startTransmission(lenient);
  }

  /** Sends an option without data; throws if it is refused. */
  async agree(option: number): Promise<void> {
    this.write(optionBytes(option, Buffer.alloc(0)));
    const { type, data } = await this.optionReply();
    if (type !== REP_ACK)
      throw new Error(`option ${option} was answered 0x${type.toString(16)}: ${data.toString()}`);
  }

  /** The contexts of an export that match the queries, or all of them: names, and ids that mean nothing yet. */
  listContexts(name: string, queries: readonly string[] = []): Promise<Map<string, number>> {
    return this.#askContexts(OPT_LIST_META_CONTEXT, name, queries);
  }

  /** Selects contexts of an export, in place of those that were; throws if one of them is not there. */
  async setContexts(name: string, queries: readonly string[]): Promise<void> {
    const selected = await this.#askContexts(OPT_SET_META_CONTEXT, name, queries);
    const missing = queries.filter((query) => !selected.has(query));
    if (missing.length > 0) throw new Error(`there is no context ${missing.join(', ')}`);
    if (new Set(selected.values()).size < selected.size) throw new Error('two contexts have one id');
    this.contexts.clear();
    for (const [context, id] of selected) this.contexts.set(context, id);
  }

  async #askContexts(option: number, name: string, queries: readonly string[]): Promise<Map<string, number>> {
    this.write(contextBytes(option, name, queries));
    const found = new Map<string, number>();
    for (;;) {
      const { type, data } = await this.optionReply();
      if (type === REP_ACK) return found;
      if (type !== REP_META_CONTEXT)
        throw new Error(`option ${option} was answered 0x${type.toString(16)}: ${data.toString()}`);
      found.set(data.subarray(4).toString(), data.readUInt32BE(0));
    }
  }

  /** Greets and chooses an export the old way, without NO_ZEROES if `zeroes`. */
  async exportName(name: string, zeroes = false): Promise<void> {
    await this.greet(zeroes ? FIXED_NEWSTYLE : FIXED_NEWSTYLE | NO_ZEROES);
    this.write(optionBytes(OPT_EXPORT_NAME, Buffer.from(name)));
    const answer = await this.read(zeroes ? 134 : 10);
    this.sizeBytes = Number(answer.readBigUInt64BE(0));
    this.transmissionFlags = answer.readUInt16BE(8);
    this.startTransmission();
  }

  async optionReply(): Promise<{ readonly option: number; readonly type: number; readonly data: Buffer }> {
    const header = await this.read(20);
    if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC)
      throw new Error(`an option reply is ${header.toString('hex')}`);
    const data = await this.read(header.readUInt32BE(16));
    return { option: header.readUInt32BE(8), type: header.readUInt32BE(12), data };
  }

  /** What comes from now on is replies. */
  startTransmission(lenient = false): void {
    this.#handshaking = false;
    const contexts = new Map([...this.contexts].map(([context, id]) => [id, context]));
    // Whoever has chosen no export knows no size.
    const size = this.transmissionFlags === 0 ? {} : { sizeBytes: this.sizeBytes };
    this.reader.terms = { mode: this.mode, contexts, lenient, ...size };
    const early = this.#received;
    this.#received = Buffer.alloc(0);
    if (early.length > 0) this.reader.push(early);
  }

  /** Any bytes. False when the socket's buffer is full; see {@link drained}. */
  write(bytes: Uint8Array): boolean {
    return this.socket.write(bytes);
  }

  /** Requests as this connection has them. */
  bytesOf(...requests: readonly Request[]): Buffer {
    const pieces = requests.map((request) => requestBytes(request, this.mode));
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  /** Sends requests in one piece, and expects their replies. */
  send(...requests: readonly Request[]): boolean {
    for (const request of requests) this.reader.expect(request);
    return this.write(this.bytesOf(...requests));
  }

  /** Resolves when the kernel has taken everything that was written. */
  drained(): Promise<void> {
    if (this.socket.writableLength === 0 || this.isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const over = () => {
        this.socket.off('drain', over);
        this.socket.off('close', over);
        resolve();
      };
      this.socket.on('drain', over);
      this.socket.on('close', over);
    });
  }

  /** Sends one request (with a cookie of its own if none is given) and waits: for its reply, or undefined for the end. */
  call(request: Omit<Request, 'cookie'> & { readonly cookie?: bigint }): Promise<Reply | undefined> {
    if (this.isClosed) return Promise.resolve(undefined);
    const cookie = request.cookie ?? this.#nextCookie++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no reply to command ${request.type} in ${PATIENCE_MS} ms`)),
        PATIENCE_MS,
      );
      this.#waiting.set(cookie, (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.send({ ...request, cookie });
    });
  }

  /** The error that a request is answered with, or 'dropped' when the connection ends instead. */
  async errorOf(request: Omit<Request, 'cookie'>): Promise<number | 'dropped'> {
    return (await this.call(request))?.error ?? 'dropped';
  }

  /** Resolves when every request has been answered, or the connection is gone. */
  async settled(patienceMs = PATIENCE_MS): Promise<void> {
    const deadline = Date.now() + patienceMs;
    while (this.reader.outstanding > 0 && !this.isClosed && this.reader.fault === undefined) {
      if (Date.now() > deadline) throw new Error(`${this.reader.outstanding} replies did not come`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Whether the connection is gone within `patienceMs`. */
  async closesWithin(patienceMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    await Promise.race([this.closed, late]);
    clearTimeout(timer);
    return this.isClosed;
  }

  /** Stops taking what the server sends. */
  stopReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    this.socket.resume();
  }

  /** Ends the connection without a word. */
  async destroy(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #data(chunk: Buffer): void {
    if (this.#handshaking) {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    } else {
      this.reader.push(chunk);
    }
  }
}

// u64 magic · u32 option · u32 length · data
export function optionBytes(option: number, data: Uint8Array): Buffer {
  const header = Buffer.alloc(16);
  header.writeBigUInt64BE(OPTION_MAGIC, 0);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}

// u32 name length · name · u16 count of information requests
export function goBytes(name: string): Buffer {
  const text = Buffer.from(name);
  const data = Buffer.alloc(4 + text.length + 2);
  data.writeUInt32BE(text.length, 0);
  text.copy(data, 4);
  return optionBytes(OPT_GO, data);
}

// u32 name length · name · u32 count · (u32 length · query) × count
function contextBytes(option: number, name: string, queries: readonly string[]): Buffer {
  const counted = (text: string) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return [length, bytes];
  };
  const count = Buffer.alloc(4);
  count.writeUInt32BE(queries.length);
  return optionBytes(option, Buffer.concat([...counted(name), count, ...queries.flatMap(counted)]));
}
