// The parser and every way in which a session's bytes can arrive: same answers, same image.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { scratch } from '../support/files.js';
import { start } from './in-process.js';
import { RawClient } from './raw-client.js';
import type { Reply } from './reply-reader.js';
import { areSame, digest, isAfter, record, SESSION_CONTEXTS, type Session } from './session.js';
import { type PeerTerms, Simulation } from './simulation.js';
import { headerBytes, MODES, type Mode } from './wire.js';

const CASES: readonly { readonly title: string; readonly unitBytes: number; readonly mode: Mode }[] = [
  { title: 'buffered', unitBytes: 0, mode: 'simple' },
  { title: 'direct, 512-byte units', unitBytes: 512, mode: 'simple' },
  { title: 'direct, 4 KiB units', unitBytes: 4096, mode: 'simple' },
  { title: 'direct, 4 KiB units', unitBytes: 4096, mode: 'structured' },
  { title: 'buffered', unitBytes: 0, mode: 'extended' },
  { title: 'direct, 512-byte units', unitBytes: 512, mode: 'extended' },
];

/** A header, and some more. */
const NEAR_BYTES = 40;

/** Plays a session in pieces on a simulation that is used again and again; '' if the answers are as expected. */
class Player {
  readonly #simulation: Simulation;
  readonly #session: Session;
  readonly #terms: PeerTerms;
  readonly whole: readonly Reply[];

  constructor(session: Session, unitBytes: number) {
    this.#session = session;
    this.#terms = { replies: session.mode, metaContexts: SESSION_CONTEXTS[session.mode] };
    this.#simulation = new Simulation({ sizeBytes: session.sizeBytes, unitBytes });
    const { replies, trouble } = this.#play([session.bytes]);
    if (trouble) throw new Error(trouble);
    this.whole = replies;
  }

  /** What differs from the session in one piece. */
  differs(pieces: readonly Uint8Array[]): string {
    const { replies, trouble } = this.#play(pieces);
    if (trouble) return trouble;
    return areSame(replies, this.whole) ? '' : `the answers are\n${digest(replies)}`;
  }

  #play(pieces: readonly Uint8Array[]): { replies: Reply[]; trouble: string } {
    const simulation = this.#simulation;
    this.#session.before.copy(simulation.image);
    const peer = simulation.connect(this.#terms);
    for (const request of this.#session.requests) peer.reader.expect(request);
    for (const piece of pieces) peer.push(piece);
    simulation.run();
    const troubles = [...simulation.faults];
    if (peer.reader.fault) troubles.push(peer.reader.fault);
    if (peer.reader.outstanding > 0) troubles.push(`${peer.reader.outstanding} requests have no reply`);
    if (!simulation.isAtRest) troubles.push('something was not given back');
    if (!isAfter(this.#session, simulation.image)) troubles.push('the image differs');
    return { replies: peer.replies, trouble: troubles.join('; ') };
  }
}

function cut(input: Uint8Array, offsets: readonly number[]): Uint8Array[] {
  const edges = [0, ...[...offsets].sort((a, b) => a - b), input.length];
  return edges
    .slice(1)
    .map((edge, index) => input.subarray(edges[index], edge))
    .filter((piece) => piece.length > 0);
}

/** The first few of what is wrong, for a failure's diagnostics. */
function firstDifferences(player: Player, session: Session, positions: Iterable<number>): string[] {
  const differences: string[] = [];
  for (const at of positions) {
    const difference = player.differs(cut(session.bytes, [at]));
    if (difference && differences.push(`cut at ${at}: ${difference}`) > 3) break;
  }
  return differences;
}

/**
 * Where to cut a session in two: with simple replies at each byte near headers and the ends of payloads, and within
 * payloads at every third, another one for each case, so at each byte in one of them. What comes in the middle of a
 * payload is the same in all modes, so in the others not there.
 */
function cutPlaces({ mode, bytes, edges }: Session, turn: number): number[] {
  if (mode === 'simple') {
    const near = new Set(
      edges.flatMap((edge) => Array.from({ length: 2 * NEAR_BYTES }, (_, i) => edge - NEAR_BYTES + i)),
    );
    return [...bytes.keys()].filter((at) => at % 3 === turn % 3 || near.has(at));
  }
  const near = edges.flatMap((edge) =>
    [-1, 0, 1, 4, 5, 6, 8, 16, 23, 24, 27, 28, 29, 31, 32, 33, 40].map((d) => edge + d),
  );
  return thinned(
    [...new Set(near)].filter((at) => at < bytes.length),
    600,
  );
}

/** About `most` of the places, from everywhere. */
function thinned(places: readonly number[], most: number): number[] {
  const every = Math.max(1, Math.round(places.length / most));
  return places.filter((_, index) => index % every === 0);
}

for (const [turn, { title, unitBytes, mode }] of CASES.entries()) {
  t.test(`a session on an export that is ${title}, ${mode} replies, cut`, (t) => {
    const session = record(false, mode);
    const player = new Player(session, unitBytes);
    const errors = session.requests.map(
      ({ cookie }) => player.whole.find((reply) => reply.cookie === cookie)?.error,
    );
    t.ok(errors.includes(0) && errors.includes(22) && errors.includes(28), 'it has successes and refusals');
    t.equal(player.differs(Array.from(session.bytes, (byte) => Uint8Array.of(byte))), '', 'byte by byte');
    const places = cutPlaces(session, turn);
    t.strictSame(firstDifferences(player, session, places), [], `in two parts, at ${places.length} places`);

    const large = record(true, mode);
    const largePlayer = new Player(large, unitBytes);
    const nearEdges = large.edges.flatMap((edge) =>
      [-29, -28, -27, -15, -14, -13, -5, -4, -1, 0, 1, 4, 27, 28, 29, 31, 32, 33, 512, 4095, 4096, 4097].map(
        (d) => edge + d,
      ),
    );
    const inside = [...new Set(nearEdges)].filter((at) => at > 0 && at < large.bytes.length);
    const positions = thinned(inside, 300);
    t.strictSame(
      firstDifferences(largePlayer, large, positions),
      [],
      `with large payloads, in two parts, at ${positions.length} places near the ends of headers and payloads`,
    );
    t.equal(largePlayer.differs(cut(large.bytes, large.edges)), '', 'each header and each payload by itself');
    const everyNth = (n: number) =>
      Array.from({ length: Math.floor(large.bytes.length / n) }, (_, i) => i * n);
    for (const n of [headerBytes(mode), 999, 4096, 65_536]) {
      t.equal(largePlayer.differs(cut(large.bytes, everyNth(n))), '', `in pieces of ${n} bytes`);
    }
    fc.assert(
      fc.property(fc.array(fc.nat(large.bytes.length), { maxLength: 40 }), (offsets) => {
        const difference = largePlayer.differs(cut(large.bytes, offsets));
        if (difference) throw new Error(difference);
      }),
      { numRuns: mode === 'simple' ? 100 : 50 },
    );
    t.pass('in up to 41 parts, anywhere');
    t.end();
  });
}

for (const mode of MODES) {
  t.test(`a session over a real socket, ${mode} replies`, async (t) => {
    const session = record(false, mode);
    const contexts = mode === 'simple' ? [] : ['base:allocation', 'aionbd:changed'];
    const play = async (direct: 'on' | 'off', pieces: readonly Uint8Array[]) => {
      const path = join(scratch(t), 'disk');
      writeFileSync(path, session.before);
      const { server, address } = await start(t, { exports: [{ name: '', path, direct }] });
      const client = await RawClient.open(address, '', { replies: mode, contexts });
      const replies: Reply[] = [];
      client.onReply = (reply) => replies.push(reply);
      for (const request of session.requests) client.reader.expect(request);
      for (const piece of pieces) {
        client.write(piece);
        // One turn of the event loop, in which the server, who lives in the same one, takes the piece in.
        await new Promise(setImmediate);
      }
      await client.closesWithin(10_000);
      await server.close();
      const whatHappened = `${client.reader.fault ?? ''}${client.reader.outstanding} left\n${digest(replies)}`;
      return { whatHappened, isAfter: isAfter(session, readFileSync(path)) };
    };
    for (const direct of ['on', 'off'] as const) {
      const whole = await play(direct, [session.bytes]);
      t.ok(whole.isAfter, `direct=${direct}: the image is as expected`);
      t.match(whole.whatHappened, /^0 left/, 'and everything was answered');
      const answers = async (t: Test, pieces: readonly Uint8Array[], how: string) => {
        const played = await play(direct, pieces);
        t.equal(played.whatHappened, whole.whatHappened, `direct=${direct}, ${how}: the same answers`);
        t.ok(played.isAfter, `direct=${direct}, ${how}: the same image`);
      };
      await answers(
        t,
        Array.from(session.bytes, (byte) => Uint8Array.of(byte)),
        'byte by byte',
      );
      await answers(t, cut(session.bytes, session.edges), 'headers and payloads by themselves');
      await answers(
        t,
        cut(
          session.bytes,
          session.edges.map((edge) => edge + 14),
        ),
        'in the middle of every header',
      );
    }
  });
}
