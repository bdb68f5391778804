import t from 'tap';
import { DEFAULT_LIMITS } from '../../src/negotiation/limits.js';
import { Negotiation } from '../../src/negotiation/negotiation.js';
import {
  ABORT,
  ACK,
  ERR_INVALID,
  ERR_TOO_BIG,
  ERR_UNSUP,
  EXPORT_NAME,
  GO,
  INFO,
  infoData,
  join,
  LIST,
  option,
  optionHeader,
  outline,
  readReplies,
  reply,
  STARTTLS,
  u32,
} from './bytes.js';
import { closeReason, DIRECTORY, directoryOf, offer, play, playPieces } from './session.js';

/** Options as pieces, so that no two are in one piece. */
function* oneByOne(...options: readonly Uint8Array[]): Generator<Uint8Array> {
  yield u32(3);
  yield* options;
}

/** An option whose data comes in pieces of 64 KiB. */
function* inPieces(number: number, dataBytes: number): Generator<Uint8Array> {
  yield optionHeader(number, dataBytes);
  const piece = Buffer.alloc(65_536, 0x5a);
  for (let left = dataBytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
}

t.test('H18: the last option allowed is answered and the one after it closes the connection', async (t) => {
  const limits = { maximumOptions: 3 };
  const options = [option(77), option(78), option(ABORT)];
  t.strictSame(outline(play(options, { limits }).output), [
    [77, ERR_UNSUP],
    [78, ERR_UNSUP],
    [ABORT, ACK],
  ]);
  const tooMany = play([option(77), option(78), option(79), option(ABORT)], { limits });
  t.match(closeReason(tooMany), 'more than 3 options');
  t.equal(readReplies(tooMany.output).length, 3);
});

t.test('H18: by default 65536 options are answered', async (t) => {
  const negotiation = new Negotiation(DIRECTORY);
  negotiation.push(u32(3));
  const hundreds = join(...Array.from({ length: 256 }, () => option(STARTTLS)));
  let answers = 0;
  for (let round = 0; round < 256; round++) answers += readReplies(negotiation.push(hundreds).output).length;
  t.equal(answers, 65_536);
  t.match(negotiation.push(option(LIST)), { output: { length: 0 }, next: { kind: 'close' } });
});

t.test(
  'H6: option data at the limit is understood, one byte more is ERR_TOO_BIG, both in sync',
  async (t) => {
    const limits = { maximumOptionDataBytes: 100 };
    const types = Array.from({ length: 45 }, (_, index) => 100 + index);
    t.equal(infoData('disk', ...types).length, 100);
    for (const number of [INFO, GO]) {
      const fits = play([option(number, infoData('disk', ...types))], { limits });
      t.strictSame(outline(fits.output).at(-1), [number, ACK]);

      const data = join(infoData('disk', ...types), Buffer.alloc(1));
      const excess = play([option(number, data), option(ABORT)], { limits });
      t.strictSame(outline(excess.output), [
        [number, ERR_TOO_BIG],
        [ABORT, ACK],
      ]);
      t.match(readReplies(excess.output)[0]?.data.toString(), '101 bytes of data, more than 100');
    }
  },
);

t.test('H5: EXPORT_NAME over that limit closes the connection on its header', async (t) => {
  const limits = { maximumOptionDataBytes: 100 };
  const atLimit = play([optionHeader(EXPORT_NAME, 100)], { limits });
  t.equal(atLimit.next.kind, 'continue');
  const excess = play([optionHeader(EXPORT_NAME, 101)], { limits });
  t.match(closeReason(excess), '101 bytes of data, more than 100');
});

t.test('by default INFO with the longest name and thousands of types is understood', async (t) => {
  const name = 'n'.repeat(4096);
  const types = Array.from({ length: (65_536 - 4096 - 6) / 2 }, (_, index) => index);
  const data = infoData(name, ...types);
  t.equal(data.length, DEFAULT_LIMITS.maximumOptionDataBytes);
  const { output } = play([option(INFO, data)], { directory: directoryOf([offer(name)]) });
  t.strictSame(outline(output).at(-1), [INFO, ACK]);
});

t.test(
  'H6: data is skipped up to a limit, and an option that claims more closes the connection',
  async (t) => {
    const limits = { maximumSkippedBytes: 1000 };
    for (const [number, error] of [
      [77, ERR_UNSUP],
      [LIST, ERR_INVALID],
    ] as const) {
      const skipped = play([option(number, Buffer.alloc(1000)), option(ABORT)], { limits });
      t.strictSame(outline(skipped.output), [
        [number, error],
        [ABORT, ACK],
      ]);
      const excess = play([optionHeader(number, 1001)], { limits });
      t.match(closeReason(excess), '1001 bytes of data, more than 1000');
      t.equal(excess.output.length, 0);
    }
    t.match(closeReason(play([optionHeader(ABORT, 1001)], { limits })), 'ABORT with 1001 bytes');
  },
);

t.test('H6: by default 64 MiB are skipped in hardly any memory, and one byte more closes', async (t) => {
  for (const [number, error] of [
    [77, ERR_UNSUP],
    [GO, ERR_TOO_BIG],
  ] as const) {
    const negotiation = new Negotiation(DIRECTORY);
    negotiation.push(u32(3));
    const { output } = playPieces(negotiation, inPieces(number, 64 * 1024 * 1024));
    t.strictSame(outline(output), [[number, error]]);
    t.ok(negotiation.heldBytes <= 64, `${negotiation.heldBytes} bytes held`);
    t.strictSame(Buffer.from(negotiation.push(option(ABORT)).output), reply(ABORT, ACK));
    t.match(closeReason(play([optionHeader(number, 64 * 1024 * 1024 + 1)])), '67108865 bytes');
  }
});

t.test('memory grows with the data that has come, not with the length that was claimed', async (t) => {
  const negotiation = new Negotiation(DIRECTORY);
  negotiation.push(join(u32(3), optionHeader(GO, 65_536)));
  t.ok(negotiation.heldBytes <= 64);
  negotiation.push(Buffer.alloc(1000));
  t.ok(negotiation.heldBytes <= 2000);
  negotiation.push(Buffer.alloc(64_535));
  t.ok(negotiation.heldBytes <= 131_072);
  negotiation.push(Buffer.alloc(1));
  t.equal(negotiation.heldBytes, 0, 'and is given back');
});

t.test('options sent ahead of their answers are served until too many answers are waiting', async (t) => {
  const list = option(LIST);
  const answerBytes = play([list]).output.length;
  const limits = { maximumPipelinedAnswerBytes: 2 * answerBytes };

  const enough = play([list, list, option(ABORT)], { limits });
  t.match(enough.next, { kind: 'close', orderly: true });
  const excess = play([list, list, list, option(ABORT)], { limits });
  t.match(closeReason(excess), `more than ${2 * answerBytes} bytes of answers`);
  t.equal(excess.output.length, 3 * answerBytes, 'what was answered is sent');

  const patient = playPieces(new Negotiation(DIRECTORY, limits), oneByOne(list, list, list, option(ABORT)));
  t.match(patient.next, { kind: 'close', orderly: true }, 'one that waits for its answers has no such limit');
});
