// A client over node:net that sends any bytes and takes what comes: independent of src/protocol, and of manners.

import { createConnection, type Socket } from 'node:net';
import { type Reply, ReplyReader, type Request, requestBytes } from './wire.js';

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

const INIT_MAGIC = 0x4e42444d41474943n;
const OPTION_MAGIC = 0x49484156454f5054n;
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const GREETING_BYTES = 18;
const OPT_EXPORT_NAME = 1;
const OPT_GO = 7;
const REP_ACK = 1;
const REP_INFO = 3;
const INFO_EXPORT = 0;
const FIXED_NEWSTYLE = 1;
const NO_ZEROES = 2;

/** Longest that a test waits for one answer. */
const PATIENCE_MS = 15_000;

export class RawClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  isClosed = false;
  sizeBytes = 0;
  transmissionFlags = 0;
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

  /** Connected, negotiated with GO, ready for requests. */
  static async open(address: Address, name = ''): Promise<RawClient> {
    const client = await RawClient.connect(address);
    await client.go(name);
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

  /** Greets and chooses an export; throws if that is refused. */
  async go(name: string): Promise<void> {
    await this.greet();
    this.write(goBytes(name));
    for (;;) {
      const { type, data } = await this.optionReply();
      if (type === REP_ACK) break;
      if (type !== REP_INFO) throw new Error(`GO was answered 0x${type.toString(16)}: ${data.toString()}`);
      if (data.readUInt16BE(0) !== INFO_EXPORT) continue;
      this.sizeBytes = Number(data.readBigUInt64BE(2));
      this.transmissionFlags = data.readUInt16BE(10);
    }
    this.startTransmission();
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
  startTransmission(): void {
    this.#handshaking = false;
    const early = this.#received;
    this.#received = Buffer.alloc(0);
    if (early.length > 0) this.reader.push(early);
  }

  /** Any bytes. False when the socket's buffer is full; see {@link drained}. */
  write(bytes: Uint8Array): boolean {
    return this.socket.write(bytes);
  }

  /** Sends requests in one piece, and expects their replies. */
  send(...requests: readonly Request[]): boolean {
    for (const request of requests) this.reader.expect(request);
    return this.write(
      requests.length === 1 ? requestBytes(requests[0]!) : Buffer.concat(requests.map(requestBytes)),
    );
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
