import fc from 'fast-check';
import t from 'tap';
import {
  ACK,
  ERR_INVALID,
  ERR_TOO_BIG,
  ERR_UNKNOWN,
  ERR_UNSUP,
  GO,
  INFO,
  infoData,
  join,
  LIST,
  option,
  outline,
  REP_INFO,
  readReplies,
  reply,
  STARTTLS,
  text,
  u16,
  u32,
  u64,
} from './bytes.js';
import { agreed, DISK, directoryOf, offer, play } from './session.js';

const INFO_EXPORT = join(u16(0), u64(1_000_003), u16(0x016d));
const INFO_NAME = join(u16(1), text('disk'));
const INFO_DESCRIPTION = join(u16(2), text('the first one'));
const INFO_BLOCK_SIZE = join(u16(3), u32(1), u32(4096), u32(33_554_432));

t.test('H10: INFO that asks for nothing is told EXPORT, and the handshake goes on', async (t) => {
  const { output, next } = play([option(INFO, infoData('disk'))]);
  t.strictSame(output, join(reply(INFO, REP_INFO, INFO_EXPORT), reply(INFO, ACK)));
  t.equal(next.kind, 'continue');
});

t.test('H10: GO is told EXPORT and enters transmission, with no padding whatever was agreed', async (t) => {
  const go = option(GO, infoData('disk'));
  const { output, next, consumed } = play([go, text('a request')]);
  t.strictSame(output, join(reply(GO, REP_INFO, INFO_EXPORT), reply(GO, ACK)));
  t.strictSame(next, {
    kind: 'transmission',
    offer: DISK,
    negotiated: agreed(),
  });
  t.equal(consumed, 4 + go.length, 'the request behind it is untouched');
});

t.test('H10: NAME, DESCRIPTION and BLOCK_SIZE are told to those who ask', async (t) => {
  const cases: [number[], Uint8Array[]][] = [
    [[0], []],
    [[1], [INFO_NAME]],
    [[2], [INFO_DESCRIPTION]],
    [[3], [INFO_BLOCK_SIZE]],
    [
      [3, 2, 1, 0],
      [INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE],
    ],
  ];
  for (const number of [INFO, GO]) {
    for (const [types, expected] of cases) {
      const { output } = play([option(number, infoData('disk', ...types))]);
      const replies = [INFO_EXPORT, ...expected].map((data) => reply(number, REP_INFO, data));
      t.strictSame(output, join(...replies, reply(number, ACK)));
    }
  }
});

t.test('H9: unknown information types are ignored and duplicates do no harm', async (t) => {
  const { output } = play([option(INFO, infoData('disk', 9, 1, 0xffff, 1, 3, 3, 0, 9))]);
  const replies = [INFO_EXPORT, INFO_NAME, INFO_BLOCK_SIZE].map((data) => reply(INFO, REP_INFO, data));
  t.strictSame(output, join(...replies, reply(INFO, ACK)));
});

t.test('an empty description is not told', async (t) => {
  const { output } = play([option(INFO, infoData('zwei', 2))]);
  t.strictSame(outline(output), [
    [INFO, REP_INFO],
    [INFO, ACK],
  ]);
});

t.test('the empty name means the default export, and NAME tells its real name', async (t) => {
  const { output, next } = play([option(GO, infoData('', 1))]);
  t.strictSame(readReplies(output)[1]?.data, INFO_NAME);
  t.match(next, { offer: { name: 'disk' } });
});

t.test('X17: block sizes count as agreed only if GO itself asked for them', async (t) => {
  const asked = play([option(GO, infoData('disk', 3))]);
  t.match(asked.next, { negotiated: { blockSizesAgreed: true } });
  const onlyInfo = play([option(INFO, infoData('disk', 3)), option(GO, infoData('disk'))]);
  t.match(onlyInfo.next, { negotiated: { blockSizesAgreed: false } });
});

t.test('H11: GO after INFO with the same parameters tells the same', async (t) => {
  for (const name of ['', 'disk', 'zwei']) {
    const data = infoData(name, 0, 1, 2, 3);
    const replies = readReplies(play([option(INFO, data), option(GO, data)]).output);
    const told = (number: number) =>
      replies.filter((each) => each.option === number).map(({ type, data }) => [type, data.toString('hex')]);
    t.ok(told(INFO).length >= 4);
    t.strictSame(told(INFO), told(GO));
  }
});

t.test('H10: an export that does not exist is ERR_UNKNOWN with no information before it', async (t) => {
  for (const number of [INFO, GO]) {
    const { output, next } = play([option(number, infoData('nowhere', 0, 1, 2, 3))]);
    const replies = readReplies(output);
    t.match(replies, [{ option: number, type: ERR_UNKNOWN }]);
    t.equal(replies.length, 1);
    t.match(replies[0]?.data.toString(), '"nowhere"');
    t.equal(next.kind, 'continue');
  }
});

t.test('H10: so is the default export where there is none', async (t) => {
  const directory = { ...directoryOf([DISK]), find: () => undefined };
  const [answer] = readReplies(play([option(GO, infoData(''))], { directory }).output);
  t.match(answer, { type: ERR_UNKNOWN });
  t.match(answer?.data.toString(), 'no default export');
});

t.test('H12: a GO that fails leaves what was negotiated intact', async (t) => {
  const { output, next } = play([
    option(GO, infoData('nowhere', 3)),
    option(GO, text('nonsense')),
    option(STARTTLS),
    option(GO, infoData('disk')),
  ]);
  t.strictSame(outline(output), [
    [GO, ERR_UNKNOWN],
    [GO, ERR_INVALID],
    [STARTTLS, ERR_UNSUP],
    [GO, REP_INFO],
    [GO, ACK],
  ]);
  t.match(next, { kind: 'transmission', negotiated: { noZeroes: true, blockSizesAgreed: false } });
});

t.test('H9: lengths that do not add up are ERR_INVALID, and the next option is understood', async (t) => {
  const good = infoData('disk', 1, 3);
  const cases: Uint8Array[] = [
    Buffer.alloc(0),
    Buffer.alloc(5),
    good.subarray(0, -1),
    good.subarray(0, -2),
    join(good, Buffer.alloc(1)),
    join(good, Buffer.alloc(2)),
    join(u32(5), good.subarray(4)),
    join(u32(3), good.subarray(4)),
    join(u32(good.length - 5), good.subarray(4)),
    join(u32(0xffffffff), good.subarray(4)),
    join(u32(0x80000004), good.subarray(4)),
    join(u32(0), u16(0xffff)),
    join(u32(0), u16(1)),
  ];
  for (const number of [INFO, GO]) {
    for (const data of cases) {
      const { output } = play([option(number, data), option(LIST, text('sync'))]);
      t.strictSame(
        outline(output),
        [
          [number, ERR_INVALID],
          [LIST, ERR_INVALID],
        ],
        Buffer.from(data).toString('hex'),
      );
    }
  }
});

t.test('H9: any change to the lengths inside is ERR_INVALID, whatever the name', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.array(fc.nat(0xffff), { maxLength: 5 }),
        fc.integer({ min: -50, max: 50 }).filter((off) => off !== 0),
        (name, types, off) => {
          const data = infoData(name, ...types);
          const claimed = name.length + off;
          data.writeUInt32BE(claimed >>> 0, 0);
          const typesAt = 6 + claimed;
          const fits = claimed >= 0 && typesAt <= data.length;
          // With another length the count is read elsewhere; by chance it may fit there.
          fc.pre(!fits || typesAt + 2 * data.readUInt16BE(typesAt - 2) !== data.length);
          return outline(play([option(INFO, data)]).output)[0]?.[1] === ERR_INVALID;
        },
      ),
    ),
  );
});

t.test('names with NUL or invalid UTF-8 are ERR_INVALID', async (t) => {
  const names = [
    '00',
    '646900736b',
    '6469736b00',
    'ff',
    'c328',
    'e28228',
    'c080',
    'eda080',
    'f4908080',
    'c3',
  ];
  for (const hex of names) {
    const { output } = play([option(GO, infoData(Buffer.from(hex, 'hex')))]);
    t.strictSame(outline(output), [[GO, ERR_INVALID]], hex);
  }
});

t.test('a name of 4096 bytes is served and one of 4097 is ERR_TOO_BIG', async (t) => {
  const longest = 'ü'.repeat(2048);
  const directory = directoryOf([offer(longest), offer(`${longest}x`)]);
  t.match(play([option(GO, infoData(longest))], { directory }).next, { offer: { name: longest } });
  const { output, next } = play([option(GO, infoData(`${longest}x`))], { directory });
  t.strictSame(outline(output), [[GO, ERR_TOO_BIG]]);
  t.equal(next.kind, 'continue');
});

t.test('names are compared byte for byte: no mark is dropped, nothing is normalised', async (t) => {
  const directory = directoryOf([offer('disk'), offer('\ufeffdisk'), offer('\u00e9'), offer('e\u0301')]);
  for (const { name } of directory.list()) {
    t.match(play([option(GO, infoData(name))], { directory }).next, { offer: { name } });
  }
});
