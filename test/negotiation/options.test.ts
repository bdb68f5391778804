import t from 'tap';
import { Negotiation } from '../../src/negotiation/negotiation.js';
import {
  ABORT,
  ACK,
  ERR_INVALID,
  ERR_SHUTDOWN,
  ERR_UNSUP,
  EXPORT_NAME,
  EXTENDED_HEADERS,
  GO,
  INFO,
  infoData,
  join,
  LIST,
  LIST_META_CONTEXT,
  metaData,
  option,
  outline,
  readReplies,
  reply,
  SERVER,
  SET_META_CONTEXT,
  STARTTLS,
  STRUCTURED_REPLY,
  text,
  u32,
} from './bytes.js';
import { closeReason, directoryOf, offer, play, SHUTTING_DOWN } from './session.js';

t.test(
  'H6: an unknown option is consumed, answered ERR_UNSUP and the next option is understood',
  async (t) => {
    for (const number of [0, 4, 77, 0x7fffffff, 0x80000000, 0xffffffff]) {
      for (const dataBytes of [0, 1, 16, 100_000]) {
        const { output, next } = play([option(number, Buffer.alloc(dataBytes, 'IHAVEOPT')), option(LIST)]);
        t.strictSame(outline(output), [
          [number, ERR_UNSUP],
          [LIST, SERVER],
          [LIST, SERVER],
          [LIST, ACK],
        ]);
        t.equal(next.kind, 'continue');
      }
    }
  },
);

t.test('T1: STARTTLS without TLS is answered ERR_UNSUP, with and without data', async (t) => {
  const { output } = play([option(STARTTLS), option(STARTTLS, text('data')), option(ABORT)]);
  t.strictSame(outline(output), [
    [STARTTLS, ERR_UNSUP],
    [STARTTLS, ERR_UNSUP],
    [ABORT, ACK],
  ]);
});

t.test('H6: an option that does not begin with IHAVEOPT closes the connection', async (t) => {
  const good = option(LIST);
  for (let at = 0; at < 8; at++) {
    const bad = Buffer.from(good);
    bad[at]! ^= 1;
    const played = play([bad]);
    t.match(closeReason(played), 'IHAVEOPT');
    t.equal(played.output.length, 0);
  }
});

t.test('H7: ABORT is answered ACK and the connection is closed in good order', async (t) => {
  const played = play([option(ABORT)]);
  t.strictSame(played.output, reply(ABORT, ACK));
  t.match(played.next, { kind: 'close', orderly: true, reason: /ABORT/ });
});

t.test('H7: data of ABORT is ignored, even a lot of it, and nothing after it is looked at', async (t) => {
  for (const dataBytes of [1, 4096, 1_000_000]) {
    const abort = option(ABORT, Buffer.alloc(dataBytes, 7));
    const played = play([abort, option(LIST)]);
    t.strictSame(played.output, reply(ABORT, ACK));
    t.equal(played.consumed, 4 + abort.length);
  }
});

t.test('H8: LIST answers one SERVER for each export, in order, with its description, then ACK', async (t) => {
  const { output, next } = play([option(LIST)]);
  t.strictSame(
    output,
    join(
      reply(LIST, SERVER, join(u32(4), text('disk'), text('the first one'))),
      reply(LIST, SERVER, join(u32(4), text('zwei'))),
      reply(LIST, ACK),
    ),
  );
  t.equal(next.kind, 'continue');
});

t.test('H8: LIST of no exports is an ACK', async (t) => {
  t.strictSame(play([option(LIST)], { directory: directoryOf([]) }).output, reply(LIST, ACK));
});

t.test('H8: LIST of five thousand exports with long names arrives whole', async (t) => {
  const offers = Array.from({ length: 5000 }, (_, index) =>
    offer(`größe-${index}-${'x'.repeat(index % 100)}`),
  );
  const replies = readReplies(play([option(LIST)], { directory: directoryOf(offers) }).output);
  t.equal(replies.length, 5001);
  const expected = offers.map(({ name }) => join(u32(text(name).length), text(name)));
  t.ok(replies.slice(0, -1).every(({ data }, index) => data.equals(expected[index]!)));
});

t.test('H8: LIST with data is answered ERR_INVALID and stays in sync', async (t) => {
  for (const dataBytes of [1, 65_536, 65_537, 1_000_000]) {
    const { output } = play([option(LIST, Buffer.alloc(dataBytes)), option(ABORT)]);
    t.strictSame(outline(output), [
      [LIST, ERR_INVALID],
      [ABORT, ACK],
    ]);
  }
});

t.test('exports may come and go between two options', async (t) => {
  const offers = [offer('old')];
  const directory = directoryOf(offers);
  const changing = {
    ...directory,
    list: () => {
      const now = [...offers];
      offers.push(offer('new'));
      return now;
    },
  };
  const { output } = play([option(LIST), option(LIST), option(INFO, infoData('new'))], {
    directory: changing,
  });
  t.equal(outline(output).filter(([, type]) => type === SERVER).length, 3);
  t.strictSame(outline(output).at(-1), [INFO, ACK]);
});

t.test('H17: during shutdown every option but ABORT is answered ERR_SHUTDOWN', async (t) => {
  const { output, next } = play(
    [
      option(LIST),
      option(LIST, text('data')),
      option(INFO, infoData('disk')),
      option(GO, infoData('disk')),
      option(GO, text('?')),
      option(STRUCTURED_REPLY),
      option(STRUCTURED_REPLY, text('data')),
      option(LIST_META_CONTEXT, metaData('disk')),
      option(SET_META_CONTEXT, metaData('disk')),
      option(SET_META_CONTEXT, text('?')),
      option(EXTENDED_HEADERS),
      option(STARTTLS),
      option(77, text('data')),
      option(INFO, Buffer.alloc(100_000)),
      option(ABORT),
    ],
    { directory: SHUTTING_DOWN },
  );
  t.strictSame(outline(output), [
    [LIST, ERR_SHUTDOWN],
    [LIST, ERR_SHUTDOWN],
    [INFO, ERR_SHUTDOWN],
    [GO, ERR_SHUTDOWN],
    [GO, ERR_SHUTDOWN],
    [STRUCTURED_REPLY, ERR_SHUTDOWN],
    [STRUCTURED_REPLY, ERR_SHUTDOWN],
    [LIST_META_CONTEXT, ERR_SHUTDOWN],
    [SET_META_CONTEXT, ERR_SHUTDOWN],
    [SET_META_CONTEXT, ERR_SHUTDOWN],
    [EXTENDED_HEADERS, ERR_SHUTDOWN],
    [STARTTLS, ERR_SHUTDOWN],
    [77, ERR_SHUTDOWN],
    [INFO, ERR_SHUTDOWN],
    [ABORT, ACK],
  ]);
  t.match(next, { kind: 'close', orderly: true });
});

t.test('H18: every error reply carries a short message in English', async (t) => {
  const { output } = play([
    option(77),
    option(LIST, text('data')),
    option(GO, text('?')),
    option(GO, infoData('nowhere')),
    option(GO, infoData(Buffer.from([0xff]))),
    option(GO, infoData(Buffer.alloc(5000, 'n'))),
    option(GO, Buffer.alloc(100_000)),
    option(GO, infoData('\u{1f4be}'.repeat(1000))),
    option(LIST_META_CONTEXT, metaData('disk')),
    option(SET_META_CONTEXT, metaData('disk')),
    option(EXTENDED_HEADERS, text('data')),
    option(EXTENDED_HEADERS),
    option(STRUCTURED_REPLY, text('data')),
    option(STRUCTURED_REPLY),
    option(LIST_META_CONTEXT, text('?')),
    option(SET_META_CONTEXT, metaData('nowhere')),
    option(SET_META_CONTEXT, metaData('disk', ...Array<string>(1025).fill('base:'))),
  ]);
  const replies = readReplies(output).filter(({ type }) => type !== ACK);
  t.equal(replies.length, 16);
  for (const { type, data } of replies) {
    t.ok(type >= 2 ** 31);
    const message = data.toString('utf8');
    t.match(message, /^[\x20-\x7e\u{1f4be}…]{10,200}$/u);
  }
});

t.test('a handshake that is over consumes nothing more and repeats how it ended', async (t) => {
  for (const last of [option(ABORT), option(GO, infoData('disk')), option(EXPORT_NAME, text('nowhere'))]) {
    const negotiation = new Negotiation(directoryOf([offer('disk')]));
    const step = negotiation.push(join(u32(3), last));
    t.not(step.next.kind, 'continue');
    t.strictSame(negotiation.push(option(LIST)), { output: new Uint8Array(0), consumed: 0, next: step.next });
  }
});
