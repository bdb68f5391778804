/** Plays a client against the state machine the way a connection does. */
import type { ExportDirectory, ExportOffer } from '../../src/negotiation/directory.js';
import type { NegotiationLimits } from '../../src/negotiation/limits.js';
import { Negotiation } from '../../src/negotiation/negotiation.js';
import type { NegotiatedState, NegotiationNext } from '../../src/negotiation/step.js';
import { join, u32 } from './bytes.js';

export function offer(name: string, overrides: Partial<ExportOffer> = {}): ExportOffer {
  return {
    name,
    description: '',
    sizeBytes: 1_000_003,
    transmissionFlags: 0x016d,
    minimumBlockBytes: 1,
    preferredBlockBytes: 4096,
    maximumPayloadBytes: 33_554_432,
    metaContexts: [
      { id: 1, name: 'base:allocation' },
      { id: 2, name: 'aionbd:changed' },
    ],
    ...overrides,
  };
}

/** What a client of fixed newstyle with NO_ZEROES has agreed on before its first option. */
export function agreed(overrides: Partial<NegotiatedState> = {}): NegotiatedState {
  return {
    fixedNewstyle: true,
    noZeroes: true,
    blockSizesAgreed: false,
    replies: 'simple',
    metaContexts: [],
    metaContextsOf: undefined,
    ...overrides,
  };
}

export const DISK = offer('disk', { description: 'the first one' });
export const SECOND = offer('zwei', {
  sizeBytes: 2 ** 52 + 4096,
  transmissionFlags: 0x0003,
  minimumBlockBytes: 512,
  metaContexts: [
    { id: 9, name: 'base:allocation' },
    { id: 0xfffffffe, name: 'x-größe:a:b' },
    { id: 5, name: 'x-größe:c' },
  ],
});

/** Exports in order; the first is the default. */
export function directoryOf(offers: readonly ExportOffer[], shuttingDown = false): ExportDirectory {
  return {
    list: () => offers,
    find: (name) => (name === '' ? offers[0] : offers.find((each) => each.name === name)),
    shuttingDown,
  };
}

export const DIRECTORY = directoryOf([DISK, SECOND]);
export const SHUTTING_DOWN = directoryOf([DISK, SECOND], true);

export interface Played {
  readonly output: Buffer;
  readonly consumed: number;
  readonly next: NegotiationNext;
}

/** Pushes the pieces one by one until the handshake is over. Each is overwritten once it has been pushed. */
export function playPieces(negotiation: Negotiation, pieces: Iterable<Uint8Array>): Played {
  const outputs: Uint8Array[] = [];
  let consumed = 0;
  let next: NegotiationNext = { kind: 'continue' };
  for (const piece of pieces) {
    const buffer = Uint8Array.from(piece);
    const step = negotiation.push(buffer);
    buffer.fill(0xee);
    if (step.consumed > piece.length) throw new Error(`consumed ${step.consumed} of ${piece.length} bytes`);
    if (step.next.kind === 'continue' && step.consumed !== piece.length) {
      throw new Error(`consumed only ${step.consumed} of ${piece.length} bytes`);
    }
    outputs.push(step.output);
    consumed += step.consumed;
    next = step.next;
    if (next.kind !== 'continue') break;
  }
  return { output: join(...outputs), consumed, next };
}

export interface Setting {
  readonly directory?: ExportDirectory;
  readonly limits?: Partial<NegotiationLimits>;
}

/** Everything in one piece, client flags included. */
export function playBytes(input: Uint8Array, { directory = DIRECTORY, limits = {} }: Setting = {}): Played {
  return playPieces(new Negotiation(directory, limits), [input]);
}

/** A fixed-newstyle client (flags 3) that sends these options in one piece. */
export function play(options: readonly Uint8Array[], setting: Setting = {}): Played {
  return playBytes(join(u32(3), ...options), setting);
}

/** Why it was closed; fails if it was not. */
export function closeReason(played: Played): string {
  if (played.next.kind !== 'close') throw new Error(`not closed but ${played.next.kind}`);
  return played.next.reason;
}
