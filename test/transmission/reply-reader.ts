// Takes a server's half of the transmission phase apart, in pieces of any size, in each of the three modes, and finds
// the first rule that it breaks. Written from the specification's text alone, as wire.ts is.

import { BrokenRule, broken } from './broken-rule.js';
import { Outstanding, type Reply, type Terms } from './outstanding.js';
import { type Extent, MOST_EXTENTS } from './status-report.js';
import { BLOCK_STATUS, type Mode, type Request } from './wire.js';

export type { Reply, Terms } from './outstanding.js';
export type { Range } from './read-content.js';
export type { Extent } from './status-report.js';

export const SIMPLE_MAGIC = 0x67446698;
export const STRUCTURED_MAGIC = 0x668e33ef;
export const EXTENDED_MAGIC = 0x6e8a278c;

const MAGIC_BYTES = 4;
const SIMPLE_BYTES = 16;
const STRUCTURED_BYTES = 20;
const EXTENDED_BYTES = 32;

const DONE = 1 << 0;
export const NONE = 0;
export const OFFSET_DATA = 1;
export const OFFSET_HOLE = 2;
export const STATUS = 5;
export const STATUS_EXT = 6;
export const ERROR = 0x8001;
export const ERROR_OFFSET = 0x8002;

/** No more than this of a message is waited for: the longest that there can be, and the fields around it. */
const LONGEST_ERROR = 6 + 65_535 + 8;

const MAGICS: ReadonlyMap<number, { readonly what: string; readonly modes: readonly Mode[] }> = new Map([
  [SIMPLE_MAGIC, { what: 'a simple reply', modes: ['simple', 'structured'] }],
  [STRUCTURED_MAGIC, { what: 'a structured reply', modes: ['structured'] }],
  [EXTENDED_MAGIC, { what: 'an extended reply', modes: ['extended'] }],
]);

const SIMPLE_TERMS: Terms = { mode: 'simple', contexts: new Map() };

/**
 * Which reply belongs to what, and how much data a simple one has, only the client knows, so every request is to be
 * announced by {@link expect}. Anything that was not asked for is a fault.
 */
export class ReplyReader {
  /** Change it only while nothing is in flight. */
  terms: Terms;
  /** The first thing that was wrong with what came. What comes after it is not looked at. */
  fault: string | undefined;
  readonly #onReply: (reply: Reply) => void;
  /** Requests not yet answered by their cookies; several with the same one in the order in which they were sent. */
  readonly #expected = new Map<bigint, Outstanding[]>();
  readonly #answered = new Set<bigint>();
  #outstanding = 0;
  readonly #header = Buffer.alloc(EXTENDED_BYTES);
  /** What is filled now, and what is to be done when it is full. */
  #wanted: Buffer = this.#header.subarray(0, MAGIC_BYTES);
  #filled = 0;
  #then: () => void = () => this.#magic();
  #atMagic = true;

  constructor(onReply: (reply: Reply) => void, terms: Terms = SIMPLE_TERMS) {
    this.#onReply = onReply;
    this.terms = terms;
  }

  /** Requests not yet answered. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Between two messages. */
  get atBoundary(): boolean {
    return this.#atMagic && this.#filled === 0;
  }

  expect(request: Request): void {
    const expected = new Outstanding(request, this.terms);
    const same = this.#expected.get(request.cookie);
    if (same) same.push(expected);
    else this.#expected.set(request.cookie, [expected]);
    this.#outstanding++;
  }

  push(chunk: Buffer): void {
    if (this.fault !== undefined) return;
    try {
      for (let at = 0; at < chunk.length; ) {
        const n = chunk.copy(this.#wanted, this.#filled, at);
        this.#filled += n;
        at += n;
        if (this.#filled === this.#wanted.length) this.#then();
      }
    } catch (error) {
      if (!(error instanceof BrokenRule)) throw error;
      this.fault = error.message;
    }
  }

  #fill(wanted: Buffer, then: () => void): void {
    this.#wanted = wanted;
    this.#filled = 0;
    this.#then = then;
    this.#atMagic = false;
    if (wanted.length === 0) then();
  }

  #next(): void {
    this.#fill(this.#header.subarray(0, MAGIC_BYTES), () => this.#magic());
    this.#atMagic = true;
  }

  #magic(): void {
    const magic = this.#header.readUInt32BE(0);
    const { mode } = this.terms;
    const known = MAGICS.get(magic);
    if (!known) broken(`a reply began with 0x${magic.toString(16)}`);
    if (!known.modes.includes(mode)) broken(`${known.what}, in ${mode} mode`);
    const bytes =
      magic === SIMPLE_MAGIC ? SIMPLE_BYTES : magic === STRUCTURED_MAGIC ? STRUCTURED_BYTES : EXTENDED_BYTES;
    this.#fill(this.#header.subarray(MAGIC_BYTES, bytes), () =>
      magic === SIMPLE_MAGIC ? this.#simple() : this.#chunk(magic === EXTENDED_MAGIC),
    );
  }

  // u32 magic · u32 error · u64 cookie · data of a READ that succeeded
  #simple(): void {
    const request = this.#find(this.#header.readBigUInt64BE(8));
    this.#fill(request.simple(this.#header.readUInt32BE(4)), () => this.#finish(request));
  }

  // u32 magic · u16 flags · u16 type · u64 cookie · (extended: u64 offset ·) u32 or u64 length · payload
  #chunk(isExtended: boolean): void {
    const flags = this.#header.readUInt16BE(4);
    const type = this.#header.readUInt16BE(6);
    const request = this.#find(this.#header.readBigUInt64BE(8));
    const length = isExtended ? this.#header.readBigUInt64BE(24) : BigInt(this.#header.readUInt32BE(16));
    if ((flags & ~DONE) !== 0) broken(`a chunk with unknown flags, 0x${flags.toString(16)}`);
    if (isExtended && this.#header.readBigUInt64BE(16) !== request.offset)
      broken(`an extended reply with the offset ${this.#header.readBigUInt64BE(16)}, not ${request.offset}`);
    const isDone = (flags & DONE) !== 0;
    const over = () => {
      request.chunkEnds();
      if (isDone) this.#finish(request);
      else this.#next();
    };
    switch (type) {
      case NONE:
        if (length !== 0n) broken(`NONE with ${length} bytes`);
        if (!isDone) broken('NONE without DONE');
        over();
        break;
      case OFFSET_DATA:
        this.#offsetData(request, length, over);
        break;
      case OFFSET_HOLE:
        this.#offsetHole(request, length, over);
        break;
      case STATUS:
      case STATUS_EXT:
        this.#status(request, type, length, over);
        break;
      case ERROR:
      case ERROR_OFFSET:
        this.#error(request, type === ERROR_OFFSET, length, over);
        break;
      default:
        broken(`a chunk of the unknown type 0x${type.toString(16)}`);
    }
  }

  // u64 offset · data
  #offsetData(request: Outstanding, length: bigint, over: () => void): void {
    if (length < 9n) broken(`OFFSET_DATA with ${length} bytes`);
    this.#payload(8n, (fixed) => this.#fill(request.dataChunk(fixed.readBigUInt64BE(0), length - 8n), over));
  }

  // u64 offset · u32 length of the hole
  #offsetHole(request: Outstanding, length: bigint, over: () => void): void {
    if (length !== 12n) broken(`OFFSET_HOLE with ${length} bytes`);
    this.#payload(length, (payload) => {
      request.holeChunk(payload.readBigUInt64BE(0), payload.readUInt32BE(8));
      over();
    });
  }

  // compact: u32 context · (u32 length · u32 status) × n
  // extended: u32 context · u32 count · (u64 length · u64 status) × n
  #status(request: Outstanding, type: number, length: bigint, over: () => void): void {
    const isExtended = type === STATUS_EXT;
    if (isExtended !== (this.terms.mode === 'extended'))
      broken(`a status chunk of type ${type}, in ${this.terms.mode} mode`);
    if (request.type !== BLOCK_STATUS) broken(`a status chunk as a reply to command ${request.type}`);
    const [fixed, each] = isExtended ? [8n, 16n] : [4n, 8n];
    const count = (length - fixed) / each;
    if (length <= fixed || (length - fixed) % each !== 0n) broken(`a status chunk with ${length} bytes`);
    if (count > 2 * MOST_EXTENTS) broken(`a status chunk with ${count} extents`);
    this.#payload(length, (payload) => {
      if (isExtended && payload.readUInt32BE(4) !== Number(count))
        broken(`a status chunk says that it has ${payload.readUInt32BE(4)} extents, and has ${count}`);
      const extents: Extent[] = [];
      for (let at = Number(fixed); at < payload.length; at += Number(each)) {
        extents.push(
          isExtended
            ? { length: payload.readBigUInt64BE(at), status: payload.readBigUInt64BE(at + 8) }
            : { length: BigInt(payload.readUInt32BE(at)), status: BigInt(payload.readUInt32BE(at + 4)) },
        );
      }
      request.statusChunk(payload.readUInt32BE(0), extents);
      over();
    });
  }

  // u32 error · u16 length of the message · message · (ERROR_OFFSET: u64 offset)
  #error(request: Outstanding, hasOffset: boolean, length: bigint, over: () => void): void {
    const fixed = hasOffset ? 14 : 6;
    const what = hasOffset ? 'ERROR_OFFSET' : 'ERROR';
    if (length < fixed || length > LONGEST_ERROR) broken(`${what} with ${length} bytes`);
    this.#payload(length, (payload) => {
      const messageBytes = payload.readUInt16BE(4);
      if (messageBytes > payload.length - fixed)
        broken(`${what} with a message of ${messageBytes} bytes in ${payload.length} bytes`);
      if (messageBytes < payload.length - fixed)
        broken(`${what} with ${payload.length - fixed - messageBytes} bytes that nothing is known of`);
      const offset = hasOffset ? payload.readBigUInt64BE(6 + messageBytes) : undefined;
      request.errorChunk(payload.readUInt32BE(0), payload.subarray(6, 6 + messageBytes), offset);
      over();
    });
  }

  #payload(length: bigint, then: (payload: Buffer) => void): void {
    const payload = Buffer.alloc(Number(length));
    this.#fill(payload, () => then(payload));
  }

  #find(cookie: bigint): Outstanding {
    const request = this.#expected.get(cookie)?.[0];
    if (request) return request;
    const name = `0x${cookie.toString(16)}`;
    return broken(
      this.#answered.has(cookie)
        ? `something more for cookie ${name}, whose reply had ended`
        : `a reply to cookie ${name}, which nobody asked for`,
    );
  }

  #finish(request: Outstanding): void {
    const reply = request.finish();
    const same = this.#expected.get(request.cookie)!;
    same.shift();
    if (same.length === 0) this.#expected.delete(request.cookie);
    this.#answered.add(request.cookie);
    this.#outstanding--;
    this.#next();
    this.#onReply(reply);
  }
}
