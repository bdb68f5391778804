/** What a client sends during the handshake, from bytes to meaning. */
import { OPTION_HEADER_BYTES, OPTION_MAGIC_HIGH, OPTION_MAGIC_LOW } from './constants.js';

export interface OptionHeader {
  readonly option: number;
  /** Length of the data that follows, as claimed. */
  readonly dataBytes: number;
}

/** Data of INFO and GO. */
export interface InfoRequest {
  /** Not decoded yet: whether it is a proper string is another question. */
  readonly name: Uint8Array;
  /** INFO_* types asked for, each once, unknown ones included. */
  readonly informationTypes: ReadonlySet<number>;
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface MetaContextRequest {
  /** The export's, not decoded yet. */
  readonly name: Uint8Array;
  /** Not decoded either: a query that is no proper string is for the reader to pass over. */
  readonly queries: readonly Uint8Array[];
}

/** The client's flags from its first four bytes (H2), unsigned. */
export function decodeClientFlags(bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(0);
}

// u64 magic · u32 option · u32 data length   (H6)

/** Reads the 16 bytes in front of every option; undefined if the magic is wrong. */
export function decodeOptionHeader(bytes: Uint8Array): OptionHeader | undefined {
  const view = viewOf(bytes.subarray(0, OPTION_HEADER_BYTES));
  if (view.getUint32(0) !== OPTION_MAGIC_HIGH || view.getUint32(4) !== OPTION_MAGIC_LOW) return undefined;
  return { option: view.getUint32(8), dataBytes: view.getUint32(12) };
}

// u32 name length · name · u16 count · u16 information type × count   (H9)

const INFO_REQUEST_FIXED_BYTES = 6;

/** Reads the data of INFO or GO; undefined if its lengths do not add up to exactly the data's. */
export function decodeInfoRequest(data: Uint8Array): InfoRequest | undefined {
  if (data.length < INFO_REQUEST_FIXED_BYTES) return undefined;
  const view = viewOf(data);
  const nameBytes = view.getUint32(0);
  if (nameBytes > data.length - INFO_REQUEST_FIXED_BYTES) return undefined;
  const typesAt = INFO_REQUEST_FIXED_BYTES + nameBytes;
  const count = view.getUint16(typesAt - 2);
  if (typesAt + 2 * count !== data.length) return undefined;

  const informationTypes = new Set<number>();
  for (let at = typesAt; at < data.length; at += 2) informationTypes.add(view.getUint16(at));
  return { name: data.subarray(4, 4 + nameBytes), informationTypes };
}

// u32 name length · name · u32 count · (u32 query length · query) × count   (H14, H15)

const META_REQUEST_FIXED_BYTES = 8;
const QUERY_FIXED_BYTES = 4;

/**
 * Reads the data of LIST_META_CONTEXT or SET_META_CONTEXT; undefined if its lengths do not add up to exactly the data's
 * (H16). What it makes is bounded by the data, whatever the data claims.
 */
export function decodeMetaContextRequest(data: Uint8Array): MetaContextRequest | undefined {
  if (data.length < META_REQUEST_FIXED_BYTES) return undefined;
  const view = viewOf(data);
  const nameBytes = view.getUint32(0);
  if (nameBytes > data.length - META_REQUEST_FIXED_BYTES) return undefined;
  const queriesAt = META_REQUEST_FIXED_BYTES + nameBytes;
  const count = view.getUint32(queriesAt - 4);

  const queries: Uint8Array[] = [];
  let at = queriesAt;
  while (queries.length < count) {
    if (data.length - at < QUERY_FIXED_BYTES) return undefined;
    const start = at + QUERY_FIXED_BYTES;
    const queryBytes = view.getUint32(at);
    if (queryBytes > data.length - start) return undefined;
    at = start + queryBytes;
    queries.push(data.subarray(start, at));
  }
  return at === data.length ? { name: data.subarray(4, 4 + nameBytes), queries } : undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
