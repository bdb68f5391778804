import { connect, type Socket } from 'node:net';
import type { Address } from './address.js';
import { BenchFailure } from './failure.js';

// As much of an NBD client as an idle connection needs: fixed newstyle with structured replies, reads, writes. Numbers
// are the specification's and written out here, since this judges the server from outside.

const OPTION_STRUCTURED_REPLY = 8;
const OPTION_GO = 7;
const REPLY_ACK = 1;
const REPLY_IS_ERROR = 0x80000000;
const CLIENT_FLAGS = 3; // fixed newstyle, no zeroes
const GREETING_BYTES = 18;
const OPTION_REPLY_BYTES = 20;

const REQUEST_MAGIC = 0x25609513;
const REQUEST_BYTES = 28;
const COMMAND_READ = 0;
const COMMAND_WRITE = 1;
const SIMPLE_MAGIC = 0x67446698;
const SIMPLE_BYTES = 16;
const CHUNK_MAGIC = 0x668e33ef;
const CHUNK_BYTES = 20;
const CHUNK_DONE = 1;
const CHUNK_IS_ERROR = 0x8000;

/** A connection in the transmission phase. One call at a time. */
export class IdleClient {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #wake: (() => void) | undefined;
  #ended: string | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#received.push(data);
      this.#receivedBytes += data.length;
      this.#wake?.();
    });
    const end = (why: string): void => {
      this.#ended ??= why;
      this.#wake?.();
    };
    socket.on('error', (error) => end(error.message));
    socket.on('close', () => end('the server closed the connection'));
  }

  /** Connects to an export and asks for structured replies. Throws BenchFailure if the server refuses. */
  static async open(address: Address, exportName = ''): Promise<IdleClient> {
    const socket =
      address.kind === 'unix' ? connect(address.path) : connect({ host: address.host, port: address.port });
    const client = new IdleClient(socket);
    await client.#take(GREETING_BYTES);
    const flags = Buffer.alloc(4);
    flags.writeUInt32BE(CLIENT_FLAGS);
    // GO: u32 length of the name, the name (empty is the default export), u16 number of information requests, which is none.
    const name = Buffer.from(exportName);
    const go = Buffer.alloc(6 + name.length);
    go.writeUInt32BE(name.length);
    name.copy(go, 4);
    socket.write(Buffer.concat([flags, option(OPTION_STRUCTURED_REPLY), option(OPTION_GO, go)]));
    await client.#acknowledged();
    await client.#acknowledged();
    return client;
  }

  /** Reads of so many bytes each, all asked for at once, from `offset` on. */
  async readMany(count: number, bytes: number, offset: number): Promise<void> {
    const requests = Array.from({ length: count }, (_, index) =>
      request(COMMAND_READ, index, offset + index * bytes, bytes),
    );
    this.#socket.write(Buffer.concat(requests));
    for (let done = 0; done < count; ) if (await this.#replyEnds(bytes)) done++;
  }

  async write(data: Buffer, offset: number): Promise<void> {
    this.#socket.write(request(COMMAND_WRITE, 0, offset, data.length));
    this.#socket.write(data);
    while (!(await this.#replyEnds(0)));
  }

  /** Without a farewell. */
  close(): void {
    this.#socket.destroy();
  }

  /** Takes a simple reply or one chunk off the connection; true if the request is answered with it. */
  async #replyEnds(simplePayloadBytes: number): Promise<boolean> {
    const head = await this.#take(SIMPLE_BYTES);
    const magic = head.readUInt32BE(0);
    if (magic === SIMPLE_MAGIC) {
      const error = head.readUInt32BE(4);
      if (error !== 0) throw new BenchFailure(`the server answered with error ${error}`);
      await this.#take(simplePayloadBytes);
      return true;
    }
    if (magic !== CHUNK_MAGIC) throw new BenchFailure(`no reply begins with 0x${magic.toString(16)}`);
    const rest = await this.#take(CHUNK_BYTES - SIMPLE_BYTES);
    await this.#take(rest.readUInt32BE(0));
    if ((head.readUInt16BE(6) & CHUNK_IS_ERROR) !== 0) {
      throw new BenchFailure('the server answered with an error chunk');
    }
    return (head.readUInt16BE(4) & CHUNK_DONE) !== 0;
  }

  async #acknowledged(): Promise<void> {
    for (;;) {
      const head = await this.#take(OPTION_REPLY_BYTES);
      const type = head.readUInt32BE(12);
      await this.#take(head.readUInt32BE(16));
      if (type === REPLY_ACK) return;
      if (type >= REPLY_IS_ERROR) {
        throw new BenchFailure(
          `the server refused option ${head.readUInt32BE(8)} with 0x${type.toString(16)}`,
        );
      }
    }
  }

  async #take(bytes: number): Promise<Buffer> {
    while (this.#receivedBytes < bytes) {
      if (this.#ended !== undefined) throw new BenchFailure(this.#ended);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if ((this.#received[0]?.length ?? 0) < bytes) this.#received = [Buffer.concat(this.#received)];
    const all = this.#received[0] ?? Buffer.alloc(0);
    this.#receivedBytes -= bytes;
    if (all.length === bytes) this.#received.shift();
    else this.#received[0] = all.subarray(bytes);
    return all.subarray(0, bytes);
  }
}

/** u64 "IHAVEOPT", u32 option, u32 length, data. */
function option(number: number, data = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(16);
  head.write('IHAVEOPT', 'latin1');
  head.writeUInt32BE(number, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

/** u32 magic, u16 flags, u16 type, u64 cookie, u64 offset, u32 length. */
function request(command: number, cookie: number, offset: number, length: number): Buffer {
  const made = Buffer.alloc(REQUEST_BYTES);
  made.writeUInt32BE(REQUEST_MAGIC);
  made.writeUInt16BE(command, 6);
  made.writeUInt32BE(cookie, 12);
  made.writeBigUInt64BE(BigInt(offset), 16);
  made.writeUInt32BE(length, 24);
  return made;
}
