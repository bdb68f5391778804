import fc from 'fast-check';
import t from 'tap';
import { Negotiation } from '../../src/negotiation/negotiation.js';
import { DIRECTORY, type Played, playBytes, playPieces, SHUTTING_DOWN } from './session.js';
import { SESSIONS } from './sessions.js';

/** Cuts at the given offsets, which may repeat and be in any order. */
function cut(input: Uint8Array, offsets: readonly number[]): Uint8Array[] {
  const edges = [0, ...[...offsets].sort((a, b) => a - b), input.length];
  return edges.slice(1).map((edge, index) => input.subarray(edges[index], edge));
}

function sameAs(expected: Played, actual: Played): boolean {
  return (
    actual.consumed === expected.consumed &&
    actual.output.equals(expected.output) &&
    JSON.stringify(actual.next) === JSON.stringify(expected.next)
  );
}

for (const { name, input, ends } of SESSIONS) {
  t.test(`${name}: every split gives the same answers`, async (t) => {
    for (const directory of [DIRECTORY, SHUTTING_DOWN]) {
      const whole = playBytes(input, { directory });
      if (directory === DIRECTORY) t.equal(whole.next.kind, ends, `it ends in ${ends}`);
      const replay = (pieces: Uint8Array[]) => playPieces(new Negotiation(directory), pieces);

      t.ok(sameAs(whole, replay(Array.from(input, (byte) => Uint8Array.of(byte)))), 'byte by byte');

      const differing = Array.from(input.keys()).filter((at) => !sameAs(whole, replay(cut(input, [at]))));
      t.strictSame(differing, [], 'two parts, cut anywhere');

      fc.assert(
        fc.property(fc.array(fc.nat(input.length), { maxLength: 12 }), (offsets) =>
          sameAs(whole, replay(cut(input, offsets))),
        ),
        { numRuns: 200 },
      );
    }
  });
}
