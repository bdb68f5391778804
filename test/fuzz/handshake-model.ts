// What a handshake has to come to, from the specification alone: the replies to every option that is whole, what is
// agreed on, and how it ends. Fed with the same bytes as the server, split as one likes.

import { isUtf8 } from 'node:buffer';
import { join, text, u16, u32, u64 } from '../negotiation/bytes.js';
import type { Mode } from '../transmission/wire.js';

export interface ModelExport {
  readonly name: string;
  readonly description: string;
  readonly sizeBytes: number;
  readonly transmissionFlags: number;
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes: number;
  readonly maximumPayloadBytes: number;
  readonly metaContexts: readonly { readonly id: number; readonly name: string }[];
}

export interface ModelLimits {
  readonly maximumOptions: number;
  readonly maximumOptionDataBytes: number;
  readonly maximumMetaQueries: number;
  readonly maximumSkippedBytes: number;
}

/** The replies to one option: those that inform, in any order, and then the one that is final. */
export interface Answer {
  readonly option: number;
  readonly informs: readonly { readonly type: number; readonly data: Buffer }[];
  readonly final: number;
}

export type Ending =
  | { readonly kind: 'close'; readonly orderly: boolean }
  | {
      readonly kind: 'transmission';
      readonly target: ModelExport;
      readonly contexts: readonly number[];
      readonly blockSizesAgreed: boolean;
      /** Of the answer to EXPORT_NAME, which has no header; else empty. */
      readonly raw: Buffer;
    };

const [EXPORT_NAME, ABORT, LIST, INFO, GO, STRUCTURED, LIST_META, SET_META, EXTENDED] = [
  1, 2, 3, 6, 7, 8, 9, 10, 11,
];
const ACK = 1;
const [SERVER, REP_INFO, META_CONTEXT] = [2, 3, 4];
const UNSUP = 0x80000001;
const INVALID = 0x80000003;
const UNKNOWN = 0x80000006;
const SHUTDOWN = 0x80000007;
const TOO_BIG = 0x80000009;
const EXT_HEADER_REQD = 0x8000000a;
const NO_DATA: ReadonlySet<number> = new Set([LIST!, STRUCTURED!, EXTENDED!]);
const HAS_DATA: ReadonlySet<number> = new Set([EXPORT_NAME!, INFO!, GO!, LIST_META!, SET_META!]);
const SEND_DF = 1 << 7;
const BLOCK_STATUS_PAYLOAD = 1 << 12;

export class HandshakeModel {
  readonly answers: Answer[] = [];
  ending: Ending | undefined;
  /** Bytes of what was fed that the handshake has used. */
  consumed = 0;
  fixed = false;
  noZeroes = false;
  replies: Mode = 'simple';
  contextsOf: string | undefined;
  contexts: readonly number[] = [];
  readonly #exports: readonly ModelExport[];
  readonly #limits: ModelLimits;
  readonly #shuttingDown: boolean;
  #held: Buffer = Buffer.alloc(0);
  #wanted = 4;
  #header: { readonly option: number; readonly length: number } | undefined;
  #sawFlags = false;
  #options = 0;
  #skip = 0;

  /** The first export is the default. */
  constructor(exports: readonly ModelExport[], limits: ModelLimits, shuttingDown = false) {
    this.#exports = exports;
    this.#limits = limits;
    this.#shuttingDown = shuttingDown;
  }

  /** How many bytes are missing to what has begun; 0 between two options. */
  get missing(): number {
    if (this.ending) return 0;
    if (this.#skip > 0) return this.#skip;
    const isBetween = this.#sawFlags && this.#header === undefined && this.#held.length === 0;
    return isBetween ? 0 : this.#wanted - this.#held.length;
  }

  feed(bytes: Buffer): undefined {
    for (let at = 0; at < bytes.length && !this.ending; ) {
      const used = this.#use(bytes.subarray(at));
      at += used;
      this.consumed += used;
    }
  }

  #use(bytes: Buffer): number {
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.length);
      this.#skip -= skipped;
      if (this.#skip === 0) this.#whole(undefined);
      return skipped;
    }
    const used = Math.min(this.#wanted - this.#held.length, bytes.length);
    this.#held =
      this.#held.length === 0 ? bytes.subarray(0, used) : join(this.#held, bytes.subarray(0, used));
    if (this.#held.length === this.#wanted) {
      const taken = this.#held;
      this.#held = Buffer.alloc(0);
      if (!this.#sawFlags) this.#flags(taken.readUInt32BE(0));
      else if (this.#header === undefined) this.#begin(taken);
      else this.#whole(taken);
    }
    return used;
  }

  #flags(flags: number): undefined {
    this.#sawFlags = true;
    this.#wanted = 16;
    if ((flags & ~3) !== 0) this.#close();
    this.fixed = (flags & 1) !== 0;
    this.noZeroes = (flags & 2) !== 0;
  }

  #begin(header: Buffer): undefined {
    if (header.toString('latin1', 0, 8) !== 'IHAVEOPT') return this.#close();
    const option = header.readUInt32BE(8);
    const length = header.readUInt32BE(12);
    const { maximumOptions, maximumOptionDataBytes, maximumSkippedBytes } = this.#limits;
    this.#options++;
    if (this.#options > maximumOptions) return this.#close();
    if (!this.fixed && option !== EXPORT_NAME) return this.#close();
    if (length > (option === EXPORT_NAME ? maximumOptionDataBytes : maximumSkippedBytes))
      return this.#close();
    this.#header = { option, length };
    if (length === 0) this.#whole(Buffer.alloc(0));
    else if (HAS_DATA.has(option) && length <= maximumOptionDataBytes) this.#wanted = length;
    else this.#skip = length;
  }

  /** An option has come whole; undefined for data that was too much, or of no interest. */
  #whole(data: Buffer | undefined): undefined {
    const { option, length } = this.#header!;
    this.#header = undefined;
    this.#wanted = 16;
    if (option === SET_META) this.#forget();
    if (option === ABORT) {
      this.#answer(option, ACK);
      this.ending = { kind: 'close', orderly: true };
    } else if (this.#shuttingDown) {
      if (option === EXPORT_NAME) this.#close();
      else this.#answer(option, SHUTDOWN);
    } else if (NO_DATA.has(option) && length > 0) this.#answer(option, INVALID);
    else if (HAS_DATA.has(option) && data === undefined) this.#answer(option, TOO_BIG);
    else this.#known(option, data ?? Buffer.alloc(0));
  }

  #known(option: number, data: Buffer): undefined {
    switch (option) {
      case EXPORT_NAME:
        return this.#exportName(data);
      case LIST: {
        const servers = this.#exports.map(({ name, description }) => ({
          type: SERVER!,
          data: join(u32(text(name).length), text(name), text(description)),
        }));
        return this.#answer(option, ACK, servers);
      }
      case STRUCTURED:
        if (this.replies === 'extended') return this.#answer(option, EXT_HEADER_REQD);
        this.replies = 'structured';
        return this.#answer(option, ACK);
      case EXTENDED:
        this.replies = 'extended';
        return this.#answer(option, ACK);
      case INFO:
      case GO:
        return this.#info(option, data);
      case LIST_META:
      case SET_META:
        return this.#meta(option, data);
      default:
        return this.#answer(option, UNSUP);
    }
  }

  #exportName(data: Buffer): undefined {
    const found = this.#find(data);
    if (typeof found === 'number' || this.replies === 'extended') return this.#close();
    const flags = this.#flagsOf(found, data.toString());
    const raw = join(u64(found.sizeBytes), u16(flags), Buffer.alloc(this.noZeroes ? 0 : 124));
    this.#enter(found, data.toString(), false, raw);
  }

  // u32 name length · name · u16 count · u16 × count
  #info(option: number, data: Buffer): undefined {
    const nameBytes = data.length < 6 ? 0 : data.readUInt32BE(0);
    const isWhole =
      data.length >= 6 &&
      nameBytes <= data.length - 6 &&
      data.length === 6 + nameBytes + 2 * data.readUInt16BE(4 + nameBytes);
    if (!isWhole) return this.#answer(option, INVALID);
    const name = data.subarray(4, 4 + nameBytes);
    const target = this.#find(name);
    if (typeof target === 'number') return this.#answer(option, target);
    const asked = new Set<number>();
    for (let at = 6 + nameBytes; at < data.length; at += 2) asked.add(data.readUInt16BE(at));
    const infos = [join(u16(0), u64(target.sizeBytes), u16(this.#flagsOf(target, name.toString())))];
    if (asked.has(1)) infos.push(join(u16(1), text(target.name)));
    if (asked.has(2) && target.description !== '') infos.push(join(u16(2), text(target.description)));
    if (asked.has(3)) {
      const { minimumBlockBytes, preferredBlockBytes, maximumPayloadBytes } = target;
      infos.push(join(u16(3), u32(minimumBlockBytes), u32(preferredBlockBytes), u32(maximumPayloadBytes)));
    }
    this.#answer(
      option,
      ACK,
      infos.map((info) => ({ type: REP_INFO!, data: info })),
    );
    if (option === GO) this.#enter(target, name.toString(), asked.has(3), Buffer.alloc(0));
  }

  // u32 name length · name · u32 count · (u32 length · query) × count
  #meta(option: number, data: Buffer): undefined {
    if (this.replies === 'simple') return this.#answer(option, INVALID);
    const strings = readStrings(data);
    if (!strings) return this.#answer(option, INVALID);
    const [name, ...queries] = strings;
    if (queries.length > this.#limits.maximumMetaQueries) return this.#answer(option, TOO_BIG);
    const target = this.#find(name!);
    if (typeof target === 'number') return this.#answer(option, target);
    const asked = new Set(
      queries.filter((query) => isString(query) === undefined).map((query) => query.toString()),
    );
    const matches = ({ name: context }: { name: string }) =>
      asked.has(context) || (option === LIST_META && asked.has(`${context.split(':', 1)[0]}:`));
    const found = target.metaContexts.filter(
      (context) => (option === LIST_META && queries.length === 0) || matches(context),
    );
    if (option === SET_META) {
      this.contextsOf = name!.toString();
      this.contexts = found.map(({ id }) => id).sort((a, b) => a - b);
    }
    this.#answer(
      option,
      ACK,
      found.map((context) => ({
        type: META_CONTEXT!,
        data: join(u32(option === LIST_META ? 0 : context.id), text(context.name)),
      })),
    );
  }

  /** The export, or the error for a name that is none. */
  #find(name: Buffer): ModelExport | number {
    const error = isString(name);
    if (error !== undefined) return error;
    const wanted = name.toString();
    return (
      this.#exports.find((each) => each.name === wanted) ?? (wanted === '' ? this.#exports[0]! : UNKNOWN)
    );
  }

  #flagsOf(target: ModelExport, name: string): number {
    let flags = target.transmissionFlags;
    if (this.replies !== 'simple') flags |= SEND_DF;
    if (this.replies === 'extended' && this.#contextsFor(name).length > 0) flags |= BLOCK_STATUS_PAYLOAD;
    return flags;
  }

  #contextsFor(name: string): readonly number[] {
    return this.contextsOf === name ? this.contexts : [];
  }

  #enter(target: ModelExport, name: string, blockSizesAgreed: boolean, raw: Buffer): undefined {
    this.ending = { kind: 'transmission', target, contexts: this.#contextsFor(name), blockSizesAgreed, raw };
  }

  #forget(): undefined {
    this.contexts = [];
    this.contextsOf = undefined;
  }

  #close(): undefined {
    this.ending = { kind: 'close', orderly: false };
  }

  #answer(option: number, final: number, informs: Answer['informs'] = []): undefined {
    this.answers.push({ option, final, informs });
  }
}

/** The error for what is no string of the protocol. */
function isString(bytes: Buffer): number | undefined {
  if (bytes.length > 4096) return TOO_BIG;
  return bytes.includes(0) || !isUtf8(bytes) ? INVALID : undefined;
}

function readStrings(data: Buffer): Buffer[] | undefined {
  const strings: Buffer[] = [];
  let at = 0;
  const next = () => {
    if (data.length - at < 4 || data.readUInt32BE(at) > data.length - at - 4) return false;
    const start = at + 4;
    at = start + data.readUInt32BE(at);
    strings.push(data.subarray(start, at));
    return true;
  };
  if (!next() || data.length - at < 4) return undefined;
  const count = data.readUInt32BE(at);
  at += 4;
  for (let i = 0; i < count; i++) if (!next()) return undefined;
  return at === data.length ? strings : undefined;
}
