/**
 * The one map from what Linux answered to what a reply may say. It loses information, so log the real errno
 * (`errnoName`) before the reply goes out.
 *
 * X16 lets an errno that no row names become EINVAL. That word blames the client's request, so every error that tells
 * of the disk, of the way to it or of a mistake of ours has a row that says EIO: those the block layer makes of a
 * failed request (ETIMEDOUT, ENOLINK, EREMOTEIO, EBADE, ENODATA, EILSEQ, ETIME, ENODEV …), those of a filesystem that
 * found itself damaged (EUCLEAN, EBADMSG) and those of a network filesystem (ESTALE, ECONNRESET …).
 *
 * ENOMEM stays what it is: "SHOULD NOT … if at all possible", and where the kernel had no memory it was not possible.
 */
import {
  CMD_FLAG_DF,
  CMD_FLAG_FAST_ZERO,
  NBD_EINVAL,
  NBD_EIO,
  NBD_ENOMEM,
  NBD_ENOSPC,
  NBD_ENOTSUP,
  NBD_EOVERFLOW,
  NBD_EPERM,
  NBD_ESHUTDOWN,
  NBD_SUCCESS,
} from './constants.js';

interface Row {
  readonly name: string;
  readonly wire: number;
}

/** Linux's number (asm-generic, so every architecture Node runs on but MIPS) → its name and the error on the wire. */
const ROWS: ReadonlyMap<number, Row> = new Map<number, Row>([
  [1, { name: 'EPERM', wire: NBD_EPERM }],
  [13, { name: 'EACCES', wire: NBD_EPERM }],
  [26, { name: 'ETXTBSY', wire: NBD_EPERM }],
  [30, { name: 'EROFS', wire: NBD_EPERM }],

  [27, { name: 'EFBIG', wire: NBD_ENOSPC }],
  [28, { name: 'ENOSPC', wire: NBD_ENOSPC }],
  [122, { name: 'EDQUOT', wire: NBD_ENOSPC }],

  [12, { name: 'ENOMEM', wire: NBD_ENOMEM }],
  [22, { name: 'EINVAL', wire: NBD_EINVAL }],
  [108, { name: 'ESHUTDOWN', wire: NBD_ESHUTDOWN }],
  // These two reach the wire only where the specification has a meaning for them: see wireError.
  [75, { name: 'EOVERFLOW', wire: NBD_EOVERFLOW }],
  [95, { name: 'EOPNOTSUPP', wire: NBD_ENOTSUP }],

  [2, { name: 'ENOENT', wire: NBD_EIO }],
  [4, { name: 'EINTR', wire: NBD_EIO }],
  [5, { name: 'EIO', wire: NBD_EIO }],
  [6, { name: 'ENXIO', wire: NBD_EIO }],
  [9, { name: 'EBADF', wire: NBD_EIO }],
  [11, { name: 'EAGAIN', wire: NBD_EIO }],
  [14, { name: 'EFAULT', wire: NBD_EIO }],
  [16, { name: 'EBUSY', wire: NBD_EIO }],
  [19, { name: 'ENODEV', wire: NBD_EIO }],
  [32, { name: 'EPIPE', wire: NBD_EIO }],
  [52, { name: 'EBADE', wire: NBD_EIO }],
  [61, { name: 'ENODATA', wire: NBD_EIO }],
  [62, { name: 'ETIME', wire: NBD_EIO }],
  [67, { name: 'ENOLINK', wire: NBD_EIO }],
  [70, { name: 'ECOMM', wire: NBD_EIO }],
  [71, { name: 'EPROTO', wire: NBD_EIO }],
  [74, { name: 'EBADMSG', wire: NBD_EIO }],
  [84, { name: 'EILSEQ', wire: NBD_EIO }],
  [100, { name: 'ENETDOWN', wire: NBD_EIO }],
  [101, { name: 'ENETUNREACH', wire: NBD_EIO }],
  [103, { name: 'ECONNABORTED', wire: NBD_EIO }],
  [104, { name: 'ECONNRESET', wire: NBD_EIO }],
  [105, { name: 'ENOBUFS', wire: NBD_EIO }],
  [107, { name: 'ENOTCONN', wire: NBD_EIO }],
  [109, { name: 'ETOOMANYREFS', wire: NBD_EIO }],
  [110, { name: 'ETIMEDOUT', wire: NBD_EIO }],
  [111, { name: 'ECONNREFUSED', wire: NBD_EIO }],
  [112, { name: 'EHOSTDOWN', wire: NBD_EIO }],
  [113, { name: 'EHOSTUNREACH', wire: NBD_EIO }],
  [116, { name: 'ESTALE', wire: NBD_EIO }],
  [117, { name: 'EUCLEAN', wire: NBD_EIO }],
  [121, { name: 'EREMOTEIO', wire: NBD_EIO }],
  [123, { name: 'ENOMEDIUM', wire: NBD_EIO }],
  [124, { name: 'EMEDIUMTYPE', wire: NBD_EIO }],
  [125, { name: 'ECANCELED', wire: NBD_EIO }],
  [126, { name: 'ENOKEY', wire: NBD_EIO }],
  [133, { name: 'EHWPOISON', wire: NBD_EIO }],

  // Known by name only; for the client they are unknown errors.
  [38, { name: 'ENOSYS', wire: NBD_EINVAL }],
]);

/**
 * What to answer when Linux answered `errno` (positive; 0 is success) to a request with these command flags (X16).
 * The result is one of the eight errors of the wire, or 0.
 *
 * EOVERFLOW is said only to a request with DF (X6) and ENOTSUP only to one with FAST_ZERO (X14), since nobody else
 * expects them; without the flag they are EINVAL.
 */
export function wireError(errno: number, commandFlags = 0): number {
  if (errno === 0) return NBD_SUCCESS;
  const wire = ROWS.get(errno)?.wire ?? NBD_EINVAL;
  if (wire === NBD_EOVERFLOW && (commandFlags & CMD_FLAG_DF) === 0) return NBD_EINVAL;
  if (wire === NBD_ENOTSUP && (commandFlags & CMD_FLAG_FAST_ZERO) === 0) return NBD_EINVAL;
  return wire;
}

/** Name of a Linux errno (positive) for a log line: `EREMOTEIO`, or `errno 999`. Errors of the wire are among them. */
export function errnoName(errno: number): string {
  return ROWS.get(errno)?.name ?? `errno ${errno}`;
}
