/** The numbers once more, grouped as the specification groups them, to catch a slip of the pen. */
import t from 'tap';
import * as wire from '../../src/protocol/constants.js';

const CONSTANTS: Readonly<Record<string, number>> = wire;

/** Names with this prefix, in the order of their values, without it. */
function withPrefix(prefix: string, except: readonly string[] = []): [string, number][] {
  return Object.entries(CONSTANTS)
    .filter(([name]) => name.startsWith(prefix) && !except.some((other) => name.startsWith(other)))
    .filter(([name]) => !/_(BYTES|HIGH|LOW)$/.test(name))
    .map(([name, value]): [string, number] => [name.slice(prefix.length), value])
    .sort(([, a], [, b]) => a - b);
}

function spell(high: number, low: number): string {
  return [high, low].map((word) => word.toString(16).padStart(8, '0')).join('');
}

/** `A B C` as bits 0, 1, 2. */
function bits(names: string): [string, number][] {
  return names.split(' ').map((name, index) => [name, 2 ** index]);
}

/** `A B C` as first, first + 1, first + 2. */
function counted(first: number, names: string): [string, number][] {
  return names.split(' ').map((name, index) => [name, first + index]);
}

t.test('the magics of the handshake', async (t) => {
  const { INIT_MAGIC_HIGH, INIT_MAGIC_LOW, OPTION_MAGIC_HIGH, OPTION_MAGIC_LOW } = wire;
  t.equal(Buffer.from(spell(INIT_MAGIC_HIGH, INIT_MAGIC_LOW), 'hex').toString(), 'NBDMAGIC');
  t.equal(Buffer.from(spell(OPTION_MAGIC_HIGH, OPTION_MAGIC_LOW), 'hex').toString(), 'IHAVEOPT');
  t.equal(spell(wire.OPTION_REPLY_MAGIC_HIGH, wire.OPTION_REPLY_MAGIC_LOW), '0003e889045565a9');
});

t.test('the magics of the transmission phase are none of the reserved ones', async (t) => {
  const magics = [
    wire.REQUEST_MAGIC,
    wire.SIMPLE_REPLY_MAGIC,
    wire.STRUCTURED_REPLY_MAGIC,
    wire.EXTENDED_REQUEST_MAGIC,
    wire.EXTENDED_REPLY_MAGIC,
  ];
  t.strictSame(
    magics.map((magic) => magic.toString(16)),
    ['25609513', '67446698', '668e33ef', '21e41c71', '6e8a278c'],
  );
});

t.test('options and their replies', async (t) => {
  t.strictSame(
    withPrefix('OPT_'),
    counted(
      1,
      'EXPORT_NAME ABORT LIST PEEK_EXPORT STARTTLS INFO GO STRUCTURED_REPLY LIST_META_CONTEXT ' +
        'SET_META_CONTEXT EXTENDED_HEADERS',
    ),
  );
  t.strictSame(withPrefix('REP_', ['REP_ERR', 'REP_FLAG']), counted(1, 'ACK SERVER INFO META_CONTEXT'));
  t.equal(wire.REP_FLAG_ERROR, 2 ** 31);
  t.strictSame(
    withPrefix('REP_ERR_'),
    counted(
      2 ** 31 + 1,
      'UNSUP POLICY INVALID PLATFORM TLS_REQD UNKNOWN SHUTDOWN BLOCK_SIZE_REQD TOO_BIG EXT_HEADER_REQD',
    ),
  );
  t.strictSame(withPrefix('INFO_'), counted(0, 'EXPORT NAME DESCRIPTION BLOCK_SIZE'));
});

t.test('flags are the bits of the specification', async (t) => {
  t.strictSame(withPrefix('HANDSHAKE_FLAG_'), bits('FIXED_NEWSTYLE NO_ZEROES'));
  t.strictSame(
    withPrefix('FLAG_'),
    bits(
      'HAS_FLAGS READ_ONLY SEND_FLUSH SEND_FUA ROTATIONAL SEND_TRIM SEND_WRITE_ZEROES SEND_DF CAN_MULTI_CONN ' +
        'SEND_RESIZE SEND_CACHE SEND_FAST_ZERO BLOCK_STATUS_PAYLOAD',
    ),
  );
  t.strictSame(withPrefix('CMD_FLAG_'), bits('FUA NO_HOLE DF REQ_ONE FAST_ZERO PAYLOAD_LEN'));
  t.strictSame(withPrefix('REPLY_FLAG_'), bits('DONE'));
  t.strictSame(withPrefix('STATE_'), bits('HOLE ZERO'));
});

t.test('commands and chunks', async (t) => {
  t.strictSame(
    withPrefix('CMD_', ['CMD_FLAG']),
    counted(0, 'READ WRITE DISC FLUSH TRIM CACHE WRITE_ZEROES BLOCK_STATUS RESIZE'),
  );
  t.strictSame(withPrefix('REPLY_TYPE_'), [
    ...counted(0, 'NONE OFFSET_DATA OFFSET_HOLE'),
    ...counted(5, 'BLOCK_STATUS BLOCK_STATUS_EXT'),
    ...counted(2 ** 15 + 1, 'ERROR ERROR_OFFSET'),
  ]);
});

t.test('the eight errors of the wire have the numbers of Linux', async (t) => {
  t.strictSame(withPrefix('NBD_E', []), [
    ['PERM', 1],
    ['IO', 5],
    ['NOMEM', 12],
    ['INVAL', 22],
    ['NOSPC', 28],
    ['OVERFLOW', 75],
    ['NOTSUP', 95],
    ['SHUTDOWN', 108],
  ]);
});

t.test('limits', async (t) => {
  t.equal(wire.MAXIMUM_STRING_BYTES, 4096);
  t.equal(wire.MAXIMUM_PAYLOAD_BYTES, 2 ** 25);
  t.equal(wire.MAXIMUM_EXTENTS_PER_CHUNK, 2 ** 20);
  t.equal(wire.UNLIMITED_PAYLOAD, 2 ** 32 - 1);
});
