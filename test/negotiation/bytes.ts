/**
 * The wire by hand: nothing here comes from src/protocol, so that a mistake there is not made twice. Numbers are spelled
 * as the specification spells them.
 */
export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

export function u32(value: number): Buffer {
  return Buffer.from([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
}

export function u64(value: number | bigint): Buffer {
  return Buffer.from(BigInt(value).toString(16).padStart(16, '0'), 'hex');
}

export function text(value: string): Buffer {
  return Buffer.from(value, 'utf8');
}

export function join(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}

// ---- what a client sends

export const FIXED = 1;
export const NO_ZEROES = 2;

export const EXPORT_NAME = 1;
export const ABORT = 2;
export const LIST = 3;
export const STARTTLS = 5;
export const INFO = 6;
export const GO = 7;
export const STRUCTURED_REPLY = 8;
export const LIST_META_CONTEXT = 9;
export const SET_META_CONTEXT = 10;
export const EXTENDED_HEADERS = 11;

/** An option's header, with whatever length it claims. */
export function optionHeader(option: number, dataBytes: number): Buffer {
  return join(text('IHAVEOPT'), u32(option), u32(dataBytes));
}

export function option(number: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return join(optionHeader(number, data.length), data);
}

/** Data of INFO and GO. */
export function infoData(name: string | Uint8Array, ...types: readonly number[]): Buffer {
  const nameBytes = typeof name === 'string' ? text(name) : name;
  return join(u32(nameBytes.length), nameBytes, u16(types.length), ...types.map(u16));
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function metaData(name: string | Uint8Array, ...queries: readonly (string | Uint8Array)[]): Buffer {
  const strings = [name, ...queries].map((each) => (typeof each === 'string' ? text(each) : each));
  const [first, ...rest] = strings.map((each) => join(u32(each.length), each));
  return join(first!, u32(rest.length), ...rest);
}

// ---- what a server sends

export const ACK = 1;
export const SERVER = 2;
export const REP_INFO = 3;
export const META_CONTEXT = 4;
export const ERR_UNSUP = 2 ** 31 + 1;
export const ERR_INVALID = 2 ** 31 + 3;
export const ERR_UNKNOWN = 2 ** 31 + 6;
export const ERR_SHUTDOWN = 2 ** 31 + 7;
export const ERR_TOO_BIG = 2 ** 31 + 9;
export const ERR_EXT_HEADER_REQD = 2 ** 31 + 10;

export function reply(toOption: number, type: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return join(Buffer.from('0003e889045565a9', 'hex'), u32(toOption), u32(type), u32(data.length), data);
}

export interface Reply {
  readonly option: number;
  readonly type: number;
  readonly data: Buffer;
}

/** Takes a server's output apart; throws if it is not whole replies. */
export function readReplies(output: Uint8Array): Reply[] {
  const bytes = Buffer.from(output);
  const replies: Reply[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.toString('hex', at, at + 8) !== '0003e889045565a9') throw new Error(`no reply at byte ${at}`);
    const end = at + 20 + bytes.readUInt32BE(at + 16);
    if (end > bytes.length) throw new Error(`reply at byte ${at} is cut short`);
    replies.push({
      option: bytes.readUInt32BE(at + 8),
      type: bytes.readUInt32BE(at + 12),
      data: bytes.subarray(at + 20, end),
    });
    at = end;
  }
  return replies;
}

/** The replies as pairs of option and type, which is what most tests are about. */
export function outline(output: Uint8Array): [number, number][] {
  return readReplies(output).map(({ option, type }) => [option, type]);
}
