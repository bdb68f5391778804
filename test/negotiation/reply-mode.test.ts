/** STRUCTURED_REPLY and EXTENDED_HEADERS: in every state, and what they do to the transmission flags. */
import t from 'tap';
import type { NegotiatedState } from '../../src/negotiation/step.js';
import {
  ACK,
  ERR_EXT_HEADER_REQD,
  ERR_INVALID,
  ERR_UNKNOWN,
  EXPORT_NAME,
  EXTENDED_HEADERS,
  GO,
  INFO,
  infoData,
  join,
  metaData,
  option,
  outline,
  readReplies,
  reply,
  SET_META_CONTEXT,
  STRUCTURED_REPLY,
  text,
  u16,
  u32,
  u64,
} from './bytes.js';
import { agreed, closeReason, DISK, play, playBytes, SHUTTING_DOWN } from './session.js';

const SEND_DF = 0x0080;
const BLOCK_STATUS_PAYLOAD = 0x1000;

const structured = option(STRUCTURED_REPLY);
const extended = option(EXTENDED_HEADERS);
const goDisk = option(GO, infoData('disk'));

/** What the transmission phase is handed after these options and a GO. */
function handedOver(...options: readonly Uint8Array[]): NegotiatedState {
  const { next } = play([...options, goDisk]);
  if (next.kind !== 'transmission') throw new Error(`not transmission but ${next.kind}`);
  return next.negotiated;
}

/** Transmission flags as INFO, GO and EXPORT_NAME tell them, in this order, after these options. */
function toldFlags(name: string, ...options: readonly Uint8Array[]): number[] {
  const byInformation = [INFO, GO].map((number) => {
    const replies = readReplies(play([...options, option(number, infoData(name))]).output);
    return replies.find(({ option, type }) => option === number && type === 3)!.data.readUInt16BE(10);
  });
  const { output, next } = play([...options, option(EXPORT_NAME, text(name))]);
  return next.kind === 'transmission'
    ? [...byInformation, output.readUInt16BE(output.length - 2)]
    : byInformation;
}

t.test('H13: STRUCTURED_REPLY is granted, and again when it is repeated', async (t) => {
  const { output, next } = play([structured, structured]);
  t.strictSame(output, join(reply(STRUCTURED_REPLY, ACK), reply(STRUCTURED_REPLY, ACK)));
  t.equal(next.kind, 'continue');
  t.strictSame(handedOver(structured), agreed({ replies: 'structured' }));
  t.strictSame(handedOver(structured, structured), agreed({ replies: 'structured' }));
});

t.test('without it, replies are simple', async (t) => {
  t.strictSame(handedOver(), agreed({ replies: 'simple' }));
});

t.test('H13: with data it is ERR_INVALID, changes nothing and stays in sync', async (t) => {
  for (const dataBytes of [1, 16, 100_000]) {
    const wrong = option(STRUCTURED_REPLY, Buffer.alloc(dataBytes, 1));
    t.strictSame(outline(play([wrong, structured]).output), [
      [STRUCTURED_REPLY, ERR_INVALID],
      [STRUCTURED_REPLY, ACK],
    ]);
    t.equal(handedOver(wrong).replies, 'simple');
    t.equal(handedOver(structured, wrong).replies, 'structured');
    t.equal(handedOver(extended, wrong).replies, 'extended');
  }
});

t.test(
  'E8: EXTENDED_HEADERS is granted, with or without structured replies before, and repeated',
  async (t) => {
    const ack = reply(EXTENDED_HEADERS, ACK);
    t.strictSame(play([extended]).output, ack);
    t.strictSame(play([extended, extended]).output, join(ack, ack));
    t.strictSame(play([structured, extended]).output, join(reply(STRUCTURED_REPLY, ACK), ack));
    for (const options of [[extended], [extended, extended], [structured, extended]]) {
      t.strictSame(handedOver(...options), agreed({ replies: 'extended' }));
    }
  },
);

t.test('E8: EXTENDED_HEADERS with data is ERR_INVALID, changes nothing and stays in sync', async (t) => {
  const wrong = option(EXTENDED_HEADERS, text('data'));
  t.strictSame(outline(play([wrong, extended]).output), [
    [EXTENDED_HEADERS, ERR_INVALID],
    [EXTENDED_HEADERS, ACK],
  ]);
  t.equal(handedOver(wrong).replies, 'simple');
  t.equal(handedOver(structured, wrong).replies, 'structured');
  t.equal(handedOver(extended, wrong).replies, 'extended');
});

t.test(
  'E8: STRUCTURED_REPLY after extended headers is ERR_EXT_HEADER_REQD and takes nothing back',
  async (t) => {
    for (const before of [[extended], [structured, extended]]) {
      t.strictSame(outline(play([...before, structured]).output).at(-1), [
        STRUCTURED_REPLY,
        ERR_EXT_HEADER_REQD,
      ]);
      t.equal(handedOver(...before, structured).replies, 'extended');
    }
  },
);

t.test('E8: EXPORT_NAME after extended headers ends the connection without a byte of answer', async (t) => {
  const name = option(EXPORT_NAME, text('disk'));
  for (const before of [[extended], [structured, extended]]) {
    const played = play([...before, name]);
    t.match(closeReason(played), 'EXPORT_NAME after EXTENDED_HEADERS');
    t.match(played.next, { orderly: false });
    t.strictSame(played.output, play(before).output);
  }
  t.equal(play([structured, name]).next.kind, 'transmission', 'after structured replies it is served');
});

t.test('H3: EXPORT_NAME with structured replies is answered the same ten or 134 bytes', async (t) => {
  for (const [flags, padding] of [
    [3, 0],
    [1, 124],
  ] as const) {
    const { output, next } = playBytes(join(u32(flags), structured, option(EXPORT_NAME, text('disk'))));
    const answer = join(u64(1_000_003), u16(0x016d | SEND_DF), Buffer.alloc(padding));
    t.strictSame(output, join(reply(STRUCTURED_REPLY, ACK), answer));
    t.strictSame(next, {
      kind: 'transmission',
      offer: DISK,
      negotiated: agreed({ noZeroes: flags === 3, replies: 'structured' }),
    });
  }
});

t.test(
  'H11: INFO, GO and EXPORT_NAME tell the same flags, DF with structured or extended alone',
  async (t) => {
    t.strictSame(toldFlags('disk'), [0x016d, 0x016d, 0x016d]);
    t.strictSame(toldFlags('disk', structured), [0x01ed, 0x01ed, 0x01ed]);
    t.strictSame(toldFlags('disk', extended), [0x01ed, 0x01ed]);
    t.strictSame(toldFlags('zwei', structured, extended), [0x0083, 0x0083]);
  },
);

t.test('H11: BLOCK_STATUS_PAYLOAD is told with extended headers and contexts of the same name', async (t) => {
  const set = (name: string, ...queries: string[]) => option(SET_META_CONTEXT, metaData(name, ...queries));
  const disk = set('disk', 'base:allocation');
  const without = 0x016d | SEND_DF;
  const withPayload = without | BLOCK_STATUS_PAYLOAD;
  t.strictSame(
    toldFlags('disk', structured, disk),
    [without, without, without],
    'not with structured replies',
  );
  t.strictSame(toldFlags('disk', extended), [without, without], 'not without contexts');
  t.strictSame(toldFlags('disk', extended, disk), [withPayload, withPayload]);
  t.strictSame(toldFlags('disk', structured, disk, extended), [withPayload, withPayload], 'in any order');
  t.strictSame(toldFlags('', extended, disk), [without, without], 'not by another name of the export');
  t.strictSame(toldFlags('zwei', extended, disk), [0x0083, 0x0083], 'not for another export');
  t.strictSame(toldFlags('disk', extended, set('disk')), [without, without], 'not if none is selected');
  t.strictSame(toldFlags('disk', extended, disk, set('disk', 'base:')), [without, without]);
  t.strictSame(
    toldFlags('disk', extended, disk, set('nowhere')),
    [without, without],
    'not after a SET that failed',
  );
});

t.test('H12: a GO that fails leaves structured replies and extended headers as they were', async (t) => {
  const failing = [
    option(GO, infoData('nowhere', 3)),
    option(GO, text('nonsense')),
    option(GO, infoData(Buffer.from([0xff]))),
    option(GO, Buffer.alloc(100_000)),
  ];
  t.strictSame(outline(play(failing.slice(0, 1)).output), [[GO, ERR_UNKNOWN]]);
  t.strictSame(handedOver(...failing), agreed());
  t.strictSame(handedOver(structured, ...failing), agreed({ replies: 'structured' }));
  t.strictSame(handedOver(extended, ...failing), agreed({ replies: 'extended' }));
});

t.test('H17: during shutdown neither is granted', async (t) => {
  let shuttingDown = true;
  const directory = {
    ...SHUTTING_DOWN,
    get shuttingDown() {
      const now = shuttingDown;
      shuttingDown = false;
      return now;
    },
  };
  for (const refused of [structured, extended]) {
    shuttingDown = true;
    t.match(play([refused, goDisk], { directory }).next, { negotiated: { replies: 'simple' } });
  }
});
