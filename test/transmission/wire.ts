// The transmission phase's bytes as the specification has them (doc/proto.md, "Transmission phase"), written without a
// look at our own encoders: what the server and these lines agree on, they agree on because both read the same text.

export const READ = 0;
export const WRITE = 1;
export const DISC = 2;
export const FLUSH = 3;
export const TRIM = 4;
export const CACHE = 5;
export const WRITE_ZEROES = 6;
export const BLOCK_STATUS = 7;

export const FUA = 1 << 0;
export const NO_HOLE = 1 << 1;

export const EPERM = 1;
export const EIO = 5;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ESHUTDOWN = 108;

export const HEADER_BYTES = 28;
export const REPLY_BYTES = 16;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;

export interface Request {
  readonly type: number;
  readonly flags?: number;
  readonly cookie: bigint;
  readonly offset?: number | bigint;
  readonly length?: number;
  /** Follows the header, whatever `length` says. */
  readonly payload?: Uint8Array;
  readonly magic?: number;
}

// u32 magic · u16 flags · u16 type · u64 cookie · u64 offset · u32 length · payload of a WRITE
export function requestBytes(request: Request): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(request.magic ?? REQUEST_MAGIC, 0);
  header.writeUInt16BE(request.flags ?? 0, 4);
  header.writeUInt16BE(request.type, 6);
  header.writeBigUInt64BE(request.cookie, 8);
  header.writeBigUInt64BE(BigInt(request.offset ?? 0), 16);
  header.writeUInt32BE(request.length ?? request.payload?.length ?? 0, 24);
  return request.payload ? Buffer.concat([header, request.payload]) : header;
}

export interface Reply {
  readonly cookie: bigint;
  readonly error: number;
  /** Empty unless a READ succeeded. */
  readonly data: Buffer;
}

/**
 * Takes simple replies apart: u32 magic · u32 error · u64 cookie · data of a READ that succeeded. How much data that is
 * only the client knows, so every request is to be announced by {@link expect}. Anything that was not asked for is a fault.
 */
export class ReplyReader {
  /** Data that a success carries, by the cookies of requests not yet answered. */
  readonly #expected = new Map<bigint, number[]>();
  readonly #onReply: (reply: Reply) => void;
  readonly #header = Buffer.alloc(REPLY_BYTES);
  #headerFilled = 0;
  #data: Buffer | undefined;
  #dataFilled = 0;
  #outstanding = 0;
  /** The first thing that was wrong with what came. */
  fault: string | undefined;

  constructor(onReply: (reply: Reply) => void) {
    this.#onReply = onReply;
  }

  /** Requests not yet answered. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Between two replies. */
  get atBoundary(): boolean {
    return this.#headerFilled === 0;
  }

  expect(request: Request): void {
    const bytes = request.type === READ ? (request.length ?? 0) : 0;
    const same = this.#expected.get(request.cookie);
    if (same) same.push(bytes);
    else this.#expected.set(request.cookie, [bytes]);
    this.#outstanding++;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.fault === undefined) {
      if (this.#headerFilled < REPLY_BYTES) {
        const n = chunk.copy(this.#header, this.#headerFilled, at);
        this.#headerFilled += n;
        at += n;
        if (this.#headerFilled < REPLY_BYTES) return;
        this.#begin();
      } else {
        const n = chunk.copy(this.#data!, this.#dataFilled, at);
        this.#dataFilled += n;
        at += n;
      }
      if (this.#data && this.#dataFilled === this.#data.length) this.#finish();
    }
  }

  #begin(): void {
    const magic = this.#header.readUInt32BE(0);
    const error = this.#header.readUInt32BE(4);
    const cookie = this.#header.readBigUInt64BE(8);
    const expected = this.#expected.get(cookie);
    if (magic !== REPLY_MAGIC) {
      this.fault = `a reply began with 0x${magic.toString(16)}`;
    } else if (!expected) {
      this.fault = `a reply to cookie 0x${cookie.toString(16)}, which nobody asked for or which was answered before`;
    } else {
      const bytes = expected.shift()!;
      if (expected.length === 0) this.#expected.delete(cookie);
      this.#data = Buffer.allocUnsafe(error === 0 ? bytes : 0);
      this.#dataFilled = 0;
    }
  }

  #finish(): void {
    const data = this.#data!;
    this.#data = undefined;
    this.#headerFilled = 0;
    this.#outstanding--;
    this.#onReply({
      error: this.#header.readUInt32BE(4),
      cookie: this.#header.readBigUInt64BE(8),
      data,
    });
  }
}
