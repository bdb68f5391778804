import {
  CMD_CACHE,
  CMD_FLAG_FUA,
  CMD_FLAG_NO_HOLE,
  CMD_FLUSH,
  CMD_READ,
  CMD_TRIM,
  CMD_WRITE,
  CMD_WRITE_ZEROES,
  MAXIMUM_PAYLOAD_BYTES,
  NBD_EINVAL,
  NBD_ENOSPC,
  NBD_EPERM,
  NBD_SUCCESS,
} from '../protocol/constants.js';

/** Flags each command takes, by command number; FUA is fine with all of them (X9). -1: no such command. */
const FLAGS_OF_COMMAND: readonly number[] = [
  CMD_FLAG_FUA, // READ
  CMD_FLAG_FUA, // WRITE
  -1, // DISC has no reply and never gets here
  CMD_FLAG_FUA, // FLUSH
  CMD_FLAG_FUA, // TRIM
  CMD_FLAG_FUA, // CACHE
  CMD_FLAG_FUA | CMD_FLAG_NO_HOLE, // WRITE_ZEROES
];

/** Judges a request by the protocol alone; nothing is looked up. Returns NBD_SUCCESS or the error to answer (X7–X9). */
export function validate(
  command: number,
  flags: number,
  offset: number,
  length: number,
  sizeBytes: number,
  readOnly: boolean,
): number {
  const allowed = command < FLAGS_OF_COMMAND.length ? FLAGS_OF_COMMAND[command]! : -1;
  if (allowed < 0) return NBD_EINVAL;
  if ((flags & ~allowed) !== 0) return NBD_EINVAL;
  const inside = offset + length <= sizeBytes;
  switch (command) {
    case CMD_READ:
      return inside && length <= MAXIMUM_PAYLOAD_BYTES ? NBD_SUCCESS : NBD_EINVAL;
    case CMD_WRITE:
      if (readOnly) return NBD_EPERM;
      if (length > MAXIMUM_PAYLOAD_BYTES) return NBD_EINVAL;
      return inside ? NBD_SUCCESS : NBD_ENOSPC;
    case CMD_WRITE_ZEROES:
      if (readOnly) return NBD_EPERM;
      return inside ? NBD_SUCCESS : NBD_ENOSPC;
    case CMD_TRIM:
      if (readOnly) return NBD_EPERM;
      return inside ? NBD_SUCCESS : NBD_EINVAL;
    case CMD_CACHE:
      return inside ? NBD_SUCCESS : NBD_EINVAL;
    case CMD_FLUSH:
      return NBD_SUCCESS;
    default:
      return NBD_EINVAL;
  }
}
