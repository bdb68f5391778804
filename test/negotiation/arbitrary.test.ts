/** Clients that send anything at all. */
import fc from 'fast-check';
import t from 'tap';
import { Negotiation } from '../../src/negotiation/negotiation.js';
import { infoData, join, metaData, option, optionHeader, readReplies, text, u32 } from './bytes.js';
import { DIRECTORY, playPieces, SHUTTING_DOWN } from './session.js';

const LIMITS = {
  maximumOptions: 20,
  maximumOptionDataBytes: 200,
  maximumSkippedBytes: 400,
  maximumPipelinedAnswerBytes: 4096,
};

/** Twice the limit on an option's data, see `heldBytes`. */
const HELD_BYTES = 2 * LIMITS.maximumOptionDataBytes;

const optionNumber = fc.oneof(fc.nat(12), fc.nat(0xffffffff));
const anyBytes = fc.uint8Array({ maxLength: 300 });

const query = fc.constantFrom('base:allocation', 'aionbd:changed', 'base:', 'x:', '');

/** Mostly what a client might send, with mistakes. */
const fragment = fc.oneof(
  anyBytes,
  fc.tuple(optionNumber, anyBytes).map(([number, data]) => option(number, data)),
  fc.tuple(optionNumber, fc.nat(500)).map(([number, dataBytes]) => optionHeader(number, dataBytes)),
  fc
    .tuple(
      optionNumber,
      fc.constantFrom('', 'disk', 'zwei', 'nowhere'),
      fc.array(fc.nat(5), { maxLength: 5 }),
    )
    .map(([number, name, types]) => option(number, infoData(name, ...types))),
  fc
    .tuple(
      fc.constantFrom(9, 10),
      fc.constantFrom('', 'disk', 'nowhere'),
      fc.array(fc.oneof(query, fc.uint8Array({ maxLength: 20 })), { maxLength: 12 }),
    )
    .map(([number, name, queries]) => option(number, metaData(name, ...queries))),
  fc.constantFrom(option(8), option(11)),
  fc.constantFrom(option(3), option(1, text('disk')), option(1, text('nowhere'))),
);

const stream = fc
  .tuple(fc.oneof(fc.constantFrom(0, 1, 2, 3), fc.nat(0xffffffff)), fc.array(fragment, { maxLength: 25 }))
  .map(([flags, fragments]) => [u32(flags), ...fragments]);

t.test('bytes of any kind never throw, never loop and keep little memory', async (t) => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(anyBytes, { maxLength: 8 }), (shuttingDown, pieces) => {
      const negotiation = new Negotiation(shuttingDown ? SHUTTING_DOWN : DIRECTORY, LIMITS);
      playPieces(negotiation, pieces);
      return negotiation.heldBytes <= HELD_BYTES;
    }),
    { numRuns: 1000 },
  );
  t.pass('for a thousand clients');
});

t.test('nor do options with mistakes, and the answers are whole replies up to EXPORT_NAME', async (t) => {
  const endings = new Set<string>();
  fc.assert(
    fc.property(fc.boolean(), stream, (shuttingDown, pieces) => {
      const negotiation = new Negotiation(shuttingDown ? SHUTTING_DOWN : DIRECTORY, LIMITS);
      const { output, next, consumed } = playPieces(negotiation, pieces);
      endings.add(next.kind);
      if (next.kind === 'continue' && consumed !== join(...pieces).length) return false;
      const padding = next.kind === 'transmission' && output.length > 0 ? exportNameBytes(output) : 0;
      readReplies(output.subarray(0, output.length - padding));
      return negotiation.heldBytes <= HELD_BYTES;
    }),
    { numRuns: 2000 },
  );
  t.strictSame([...endings].sort(), ['close', 'continue', 'transmission'], 'every ending has been met');
});

t.test('options sent ahead never make more answers than the limit and one answer', async (t) => {
  const limits = { maximumPipelinedAnswerBytes: 512 };
  const oneAnswerBytes = 200;
  const pipelined = fc.array(fc.constantFrom(option(3), option(77)), { maxLength: 60 });
  let longestBytes = 0;
  fc.assert(
    fc.property(pipelined, (options) => {
      const { output } = playPieces(new Negotiation(DIRECTORY, limits), [join(u32(3), ...options)]);
      longestBytes = Math.max(longestBytes, output.length);
      return output.length <= 512 + oneAnswerBytes;
    }),
    { numRuns: 200 },
  );
  t.ok(longestBytes > 512, 'and the limit has been met');
});

/** Length of the answer to EXPORT_NAME at the end of the output; 0 if transmission began by GO. */
function exportNameBytes(output: Buffer): number {
  const ack = output.subarray(-20).toString('hex');
  if (ack.startsWith('0003e889045565a9') && ack.endsWith('0000000100000000')) return 0;
  const padded = output.length >= 134 && output.subarray(-124).every((byte) => byte === 0);
  return padded ? 134 : 10;
}
