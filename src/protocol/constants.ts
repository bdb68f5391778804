/**
 * Every number of the NBD protocol that appears on the wire, and the limits the specification sets. Nothing here is
 * ours: names are the specification's without `NBD_`, except the error numbers, which keep it so that they cannot be
 * mistaken for Linux's.
 *
 * Integers on the wire are big-endian. A 64-bit magic is two 32-bit words, `_HIGH` first on the wire.
 */

// ---- Handshake -----------------------------------------------------------------------------------------------

/** "NBDM" and "AGIC": the first eight bytes a server sends. */
export const INIT_MAGIC_HIGH = 0x4e42444d;
export const INIT_MAGIC_LOW = 0x41474943;

/** "IHAV" and "EOPT": the second eight bytes a server sends, and the first eight of every option of the client. */
export const OPTION_MAGIC_HIGH = 0x49484156;
export const OPTION_MAGIC_LOW = 0x454f5054;

/** The first eight bytes of every reply to an option. */
export const OPTION_REPLY_MAGIC_HIGH = 0x0003e889;
export const OPTION_REPLY_MAGIC_LOW = 0x045565a9;

/** Handshake flags of the server (16 bits); the client's (32 bits) are the same bits. */
export const HANDSHAKE_FLAG_FIXED_NEWSTYLE = 1 << 0;
export const HANDSHAKE_FLAG_NO_ZEROES = 1 << 1;

export const OPT_EXPORT_NAME = 1;
export const OPT_ABORT = 2;
export const OPT_LIST = 3;
/** Withdrawn from the specification. */
export const OPT_PEEK_EXPORT = 4;
export const OPT_STARTTLS = 5;
export const OPT_INFO = 6;
export const OPT_GO = 7;
export const OPT_STRUCTURED_REPLY = 8;
export const OPT_LIST_META_CONTEXT = 9;
export const OPT_SET_META_CONTEXT = 10;
export const OPT_EXTENDED_HEADERS = 11;

export const REP_ACK = 1;
export const REP_SERVER = 2;
export const REP_INFO = 3;
export const REP_META_CONTEXT = 4;

/** Set in the type of every option reply that is an error. Unsigned: `1 << 31` would be negative. */
export const REP_FLAG_ERROR = 0x80000000;
export const REP_ERR_UNSUP = 0x80000001;
export const REP_ERR_POLICY = 0x80000002;
export const REP_ERR_INVALID = 0x80000003;
export const REP_ERR_PLATFORM = 0x80000004;
export const REP_ERR_TLS_REQD = 0x80000005;
export const REP_ERR_UNKNOWN = 0x80000006;
export const REP_ERR_SHUTDOWN = 0x80000007;
export const REP_ERR_BLOCK_SIZE_REQD = 0x80000008;
export const REP_ERR_TOO_BIG = 0x80000009;
export const REP_ERR_EXT_HEADER_REQD = 0x8000000a;

export const INFO_EXPORT = 0;
export const INFO_NAME = 1;
export const INFO_DESCRIPTION = 2;
export const INFO_BLOCK_SIZE = 3;

// ---- Transmission --------------------------------------------------------------------------------------------

export const REQUEST_MAGIC = 0x25609513;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;
export const EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Transmission flags (16 bits): what an export can do. */
export const FLAG_HAS_FLAGS = 1 << 0;
export const FLAG_READ_ONLY = 1 << 1;
export const FLAG_SEND_FLUSH = 1 << 2;
export const FLAG_SEND_FUA = 1 << 3;
export const FLAG_ROTATIONAL = 1 << 4;
export const FLAG_SEND_TRIM = 1 << 5;
export const FLAG_SEND_WRITE_ZEROES = 1 << 6;
export const FLAG_SEND_DF = 1 << 7;
export const FLAG_CAN_MULTI_CONN = 1 << 8;
/** Experimental (extension-resize). */
export const FLAG_SEND_RESIZE = 1 << 9;
export const FLAG_SEND_CACHE = 1 << 10;
export const FLAG_SEND_FAST_ZERO = 1 << 11;
/** Only with extended headers. */
export const FLAG_BLOCK_STATUS_PAYLOAD = 1 << 12;

export const CMD_READ = 0;
export const CMD_WRITE = 1;
export const CMD_DISC = 2;
export const CMD_FLUSH = 3;
export const CMD_TRIM = 4;
export const CMD_CACHE = 5;
export const CMD_WRITE_ZEROES = 6;
export const CMD_BLOCK_STATUS = 7;
/** Experimental (extension-resize). */
export const CMD_RESIZE = 8;

/** Command flags (16 bits). */
export const CMD_FLAG_FUA = 1 << 0;
export const CMD_FLAG_NO_HOLE = 1 << 1;
export const CMD_FLAG_DF = 1 << 2;
export const CMD_FLAG_REQ_ONE = 1 << 3;
export const CMD_FLAG_FAST_ZERO = 1 << 4;
/** Only with extended headers. */
export const CMD_FLAG_PAYLOAD_LEN = 1 << 5;

/** Types of a structured (or extended) reply chunk. */
export const REPLY_TYPE_NONE = 0;
export const REPLY_TYPE_OFFSET_DATA = 1;
export const REPLY_TYPE_OFFSET_HOLE = 2;
export const REPLY_TYPE_BLOCK_STATUS = 5;
export const REPLY_TYPE_BLOCK_STATUS_EXT = 6;
export const REPLY_TYPE_ERROR = (1 << 15) + 1;
export const REPLY_TYPE_ERROR_OFFSET = (1 << 15) + 2;

/** Last chunk of its request. */
export const REPLY_FLAG_DONE = 1 << 0;

/** Extent flags of the context `base:allocation`. */
export const STATE_HOLE = 1 << 0;
export const STATE_ZERO = 1 << 1;

/** The errors a reply may carry, and no others. Success is 0. */
export const NBD_SUCCESS = 0;
export const NBD_EPERM = 1;
export const NBD_EIO = 5;
export const NBD_ENOMEM = 12;
export const NBD_EINVAL = 22;
export const NBD_ENOSPC = 28;
export const NBD_EOVERFLOW = 75;
export const NBD_ENOTSUP = 95;
export const NBD_ESHUTDOWN = 108;

// ---- Sizes, bytes --------------------------------------------------------------------------------------------

/** magic 8 · magic 8 · handshake flags 2 */
export const GREETING_BYTES = 18;
export const CLIENT_FLAGS_BYTES = 4;
/** magic 8 · option 4 · data length 4 */
export const OPTION_HEADER_BYTES = 16;
/** magic 8 · option 4 · reply type 4 · data length 4 */
export const OPTION_REPLY_HEADER_BYTES = 20;
/** size 8 · transmission flags 2, the answer to EXPORT_NAME; before the padding. */
export const EXPORT_NAME_REPLY_BYTES = 10;
/** Zeroes after the answer to EXPORT_NAME, unless NO_ZEROES was agreed (H3). */
export const EXPORT_NAME_PADDING_BYTES = 124;
/** type 2 · size 8 · transmission flags 2 */
export const INFO_EXPORT_BYTES = 12;
/** type 2 · minimum 4 · preferred 4 · maximum payload 4 */
export const INFO_BLOCK_SIZE_BYTES = 14;

/** magic 4 · flags 2 · type 2 · cookie 8 · offset 8 · length 4 */
export const REQUEST_HEADER_BYTES = 28;
/** magic 4 · flags 2 · type 2 · cookie 8 · offset 8 · length 8 */
export const EXTENDED_REQUEST_HEADER_BYTES = 32;
/** magic 4 · error 4 · cookie 8 */
export const SIMPLE_REPLY_BYTES = 16;
/** magic 4 · flags 2 · type 2 · cookie 8 · length 4 */
export const STRUCTURED_REPLY_HEADER_BYTES = 20;
/** magic 4 · flags 2 · type 2 · cookie 8 · offset 8 · length 8 */
export const EXTENDED_REPLY_HEADER_BYTES = 32;

// ---- Limits --------------------------------------------------------------------------------------------------

/** Any string of the protocol: an export's name, a description, a query, an error message. */
export const MAXIMUM_STRING_BYTES = 4096;
/** Largest payload every server takes, whatever it advertised and however small the export. */
export const MAXIMUM_PAYLOAD_BYTES = 32 * 1024 * 1024;
/** What holds when block sizes were not negotiated. */
export const DEFAULT_MINIMUM_BLOCK_BYTES = 1;
export const DEFAULT_PREFERRED_BLOCK_BYTES = 4096;
export const DEFAULT_MAXIMUM_PAYLOAD_BYTES = MAXIMUM_PAYLOAD_BYTES;
/** Bounds on what may be advertised: powers of two, the preferred size not below the minimum. */
export const LARGEST_MINIMUM_BLOCK_BYTES = 65536;
export const SMALLEST_PREFERRED_BLOCK_BYTES = 512;
/** As maximum payload: no limit. */
export const UNLIMITED_PAYLOAD = 0xffffffff;
/** A read with DF of up to this many bytes must be answered in one chunk (X6). */
export const DF_UNFRAGMENTED_BYTES = 65536;
/** Extents in one block status chunk. */
export const MAXIMUM_EXTENTS_PER_CHUNK = 1 << 20;

/** The port IANA registered for NBD. */
export const DEFAULT_PORT = 10809;
