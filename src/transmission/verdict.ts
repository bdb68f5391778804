import {
  CMD_BLOCK_STATUS,
  CMD_CACHE,
  CMD_FLAG_DF,
  CMD_FLAG_FAST_ZERO,
  CMD_FLAG_FUA,
  CMD_FLAG_NO_HOLE,
  CMD_FLAG_PAYLOAD_LEN,
  CMD_FLAG_REQ_ONE,
  CMD_FLUSH,
  CMD_READ,
  CMD_TRIM,
  CMD_WRITE,
  CMD_WRITE_ZEROES,
  MAXIMUM_PAYLOAD_BYTES,
  NBD_EINVAL,
  NBD_ENOSPC,
  NBD_EPERM,
  NBD_ESHUTDOWN,
  NBD_SUCCESS,
} from '../protocol/constants.js';
import { commandName } from '../protocol/names.js';
import { type Client, REPLIES_EXTENDED, REPLIES_STRUCTURED } from './client.js';

/** What the protocol says of a request before anything is looked up. */
export const VERDICT_OK = 0;
export const VERDICT_UNKNOWN_COMMAND = 1;
export const VERDICT_FLAGS = 2;
export const VERDICT_READ_ONLY = 3;
export const VERDICT_TOO_LONG = 4;
/** Beyond the end, of a command that reads or gives back; and of one that would need more space (X8). */
export const VERDICT_OUTSIDE = 5;
export const VERDICT_NO_SPACE = 6;
export const VERDICT_NO_CONTEXTS = 7;
export const VERDICT_EMPTY = 8;
export const VERDICT_CONTEXT_LIST = 9;
export const VERDICT_SHUTDOWN = 10;

/** The error that goes with each verdict. */
const ERRORS: readonly number[] = [
  NBD_SUCCESS,
  NBD_EINVAL,
  NBD_EINVAL,
  NBD_EPERM,
  NBD_EINVAL,
  NBD_EINVAL,
  NBD_ENOSPC,
  NBD_EINVAL,
  NBD_EINVAL,
  NBD_EINVAL,
  NBD_ESHUTDOWN,
];

/** Flags that each command takes on every connection, by command number; FUA is fine with all of them (X9). */
const FLAGS: readonly number[] = [
  CMD_FLAG_FUA, // READ
  CMD_FLAG_FUA, // WRITE
  0, // DISC has no reply and never gets here
  CMD_FLAG_FUA, // FLUSH
  CMD_FLAG_FUA, // TRIM
  CMD_FLAG_FUA, // CACHE
  CMD_FLAG_FUA | CMD_FLAG_NO_HOLE | CMD_FLAG_FAST_ZERO, // WRITE_ZEROES
  CMD_FLAG_FUA | CMD_FLAG_REQ_ONE, // BLOCK_STATUS
];

/**
 * Judges a request by the protocol alone (X7–X9). `length` is the range's for BLOCK_STATUS with a payload; `inside`:
 * it does not reach beyond the export (see {@link isInside}).
 */
export function judge(
  client: Client,
  command: number,
  flags: number,
  length: number,
  inside: boolean,
): number {
  if (client.refusing) return VERDICT_SHUTDOWN;
  if (command >= FLAGS.length) return VERDICT_UNKNOWN_COMMAND;
  if ((flags & ~allowedFlags(client, command)) !== 0) return VERDICT_FLAGS;
  const { readOnly } = client.target;
  switch (command) {
    case CMD_READ:
      if (!inside) return VERDICT_OUTSIDE;
      return length <= MAXIMUM_PAYLOAD_BYTES ? VERDICT_OK : VERDICT_TOO_LONG;
    case CMD_WRITE:
      if (readOnly) return VERDICT_READ_ONLY;
      if (length > MAXIMUM_PAYLOAD_BYTES) return VERDICT_TOO_LONG;
      return inside ? VERDICT_OK : VERDICT_NO_SPACE;
    case CMD_WRITE_ZEROES:
      if (readOnly) return VERDICT_READ_ONLY;
      return inside ? VERDICT_OK : VERDICT_NO_SPACE;
    case CMD_TRIM:
      if (readOnly) return VERDICT_READ_ONLY;
      return inside ? VERDICT_OK : VERDICT_OUTSIDE;
    case CMD_BLOCK_STATUS:
      if (client.contexts === 0) return VERDICT_NO_CONTEXTS;
      if (length === 0) return VERDICT_EMPTY;
      return inside ? VERDICT_OK : VERDICT_OUTSIDE;
    case CMD_CACHE:
      return inside ? VERDICT_OK : VERDICT_OUTSIDE;
    case CMD_FLUSH:
      return VERDICT_OK;
    default:
      return VERDICT_UNKNOWN_COMMAND;
  }
}

/** Whether a range lies within the client's export. */
export function isInside(client: Client, offset: number, length: number): boolean {
  return offset + length <= client.target.sizeBytes;
}

/** DF needs chunks (X6); PAYLOAD_LEN belongs to extended headers, and to what has a payload there. */
function allowedFlags(client: Client, command: number): number {
  let flags = FLAGS[command]!;
  if (command === CMD_READ && client.replies >= REPLIES_STRUCTURED) flags |= CMD_FLAG_DF;
  if (client.replies === REPLIES_EXTENDED) {
    if (command === CMD_WRITE || (command === CMD_BLOCK_STATUS && client.contexts !== 0)) {
      flags |= CMD_FLAG_PAYLOAD_LEN;
    }
  }
  return flags;
}

/** The error for the wire. */
export function errorOf(verdict: number): number {
  return ERRORS[verdict]!;
}

/** The verdict in words, for the person at the client's end; ASCII. */
export function explain(
  verdict: number,
  client: Client,
  command: number,
  flags: number,
  offset: number,
  length: number,
): string {
  const name = commandName(command);
  switch (verdict) {
    case VERDICT_UNKNOWN_COMMAND:
      return `there is no ${name}`;
    case VERDICT_FLAGS: {
      const wrong = flags & ~allowedFlags(client, command);
      return `${name} does not take flags 0x${wrong.toString(16)} here`;
    }
    case VERDICT_READ_ONLY:
      return `${name}: the export is read-only`;
    case VERDICT_TOO_LONG:
      return `${name} of ${length} bytes: ${MAXIMUM_PAYLOAD_BYTES} are the most at a time`;
    case VERDICT_OUTSIDE:
    case VERDICT_NO_SPACE:
      return `${name} of ${length} bytes at ${offset}: the export has ${client.target.sizeBytes} bytes`;
    case VERDICT_NO_CONTEXTS:
      return `${name} without a meta context: select one with SET_META_CONTEXT`;
    case VERDICT_EMPTY:
      return `${name} of 0 bytes: ask for at least 1`;
    case VERDICT_CONTEXT_LIST:
      return `${name}: the payload is not a length and a list of different selected contexts`;
    case VERDICT_SHUTDOWN:
      return 'the server is shutting down';
    default:
      return `${name} is refused`;
  }
}
