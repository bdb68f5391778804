/**
 * Any options in any order against a model of what the specification says of them, in a few lines: what each is
 * answered, and what the transmission phase is handed in the end.
 */
import fc from 'fast-check';
import t from 'tap';
import { Negotiation } from '../../src/negotiation/negotiation.js';
import {
  ACK,
  ERR_EXT_HEADER_REQD,
  ERR_INVALID,
  ERR_TOO_BIG,
  ERR_UNKNOWN,
  EXTENDED_HEADERS,
  GO,
  INFO,
  infoData,
  LIST,
  LIST_META_CONTEXT,
  META_CONTEXT,
  metaData,
  option,
  outline,
  REP_INFO,
  SET_META_CONTEXT,
  STRUCTURED_REPLY,
  text,
  u32,
} from './bytes.js';
import { DIRECTORY, play, playPieces } from './session.js';

const MAXIMUM_QUERIES = 4;
const HELD_BYTES = 2 * 65_536;

/** Contexts by the names under which a client may know their export. */
const CONTEXTS: Readonly<Record<string, readonly [number, string][]>> = {
  '': [
    [1, 'base:allocation'],
    [2, 'aionbd:changed'],
  ],
  disk: [
    [1, 'base:allocation'],
    [2, 'aionbd:changed'],
  ],
  zwei: [
    [5, 'x-größe:c'],
    [9, 'base:allocation'],
    [0xfffffffe, 'x-größe:a:b'],
  ],
};

interface Step {
  readonly option: number;
  readonly bytes: Uint8Array;
  /** Undefined where the data is nonsense. */
  readonly asks?: { readonly name: string; readonly queries: readonly string[] };
}

const name = fc.constantFrom('', 'disk', 'zwei', 'nowhere');
const query = fc.constantFrom(
  'base:allocation',
  'aionbd:changed',
  'x-größe:c',
  'x-größe:a:b',
  'base:',
  'aionbd:',
  'x-größe:',
  'x-größe:a:',
  'qemu:dirty-bitmap:b',
  '',
);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .constantFrom(STRUCTURED_REPLY, EXTENDED_HEADERS)
    .map((number) => ({ option: number, bytes: option(number), asks: { name: '', queries: [] } })),
  fc
    .constantFrom(STRUCTURED_REPLY, EXTENDED_HEADERS, LIST_META_CONTEXT, SET_META_CONTEXT, INFO, GO)
    .map((number) => ({ option: number, bytes: option(number, text('nonsense')) })),
  fc
    .tuple(fc.constantFrom(LIST_META_CONTEXT, SET_META_CONTEXT), name, fc.array(query, { maxLength: 6 }))
    .map(([number, name, queries]) => ({
      option: number,
      bytes: option(number, metaData(name, ...queries)),
      asks: { name, queries },
    })),
  fc
    .tuple(fc.constantFrom(INFO, GO), fc.constantFrom('disk', 'nowhere'))
    .filter(([number, name]) => number === INFO || name === 'nowhere')
    .map(([number, name]) => ({
      option: number,
      bytes: option(number, infoData(name)),
      asks: { name, queries: [] },
    })),
);

class Model {
  replies = 'simple';
  of: string | undefined;
  ids: readonly number[] = [];

  answer({ option, asks }: Step): number[] {
    if (option === SET_META_CONTEXT) {
      this.of = undefined;
      this.ids = [];
    }
    const isMeta = option === LIST_META_CONTEXT || option === SET_META_CONTEXT;
    if (asks === undefined || (isMeta && this.replies === 'simple')) return [ERR_INVALID];
    if (option === EXTENDED_HEADERS) this.replies = 'extended';
    if (option === EXTENDED_HEADERS) return [ACK];
    if (option === STRUCTURED_REPLY && this.replies === 'extended') return [ERR_EXT_HEADER_REQD];
    if (option === STRUCTURED_REPLY) this.replies = 'structured';
    if (option === STRUCTURED_REPLY) return [ACK];
    if (asks.queries.length > MAXIMUM_QUERIES) return [ERR_TOO_BIG];
    const contexts = CONTEXTS[asks.name];
    if (contexts === undefined) return [ERR_UNKNOWN];
    if (!isMeta) return [REP_INFO, ACK];

    const all = option === LIST_META_CONTEXT && asks.queries.length === 0;
    const wild = option === LIST_META_CONTEXT ? [/^base:$/, /^aionbd:$/, /^x-größe:$/] : [];
    const wanted = contexts.filter(([, context]) =>
      asks.queries.some(
        (query) => query === context || wild.some((each) => each.test(query) && context.startsWith(query)),
      ),
    );
    if (option === SET_META_CONTEXT) {
      this.of = asks.name;
      this.ids = wanted.map(([id]) => id);
    }
    return [...(all ? contexts : wanted).map(() => META_CONTEXT), ACK];
  }
}

t.test('H13, H14, H15: any options in any order are answered as a model of the rules says', async (t) => {
  const met = new Set<string>();
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.constantFrom('', 'disk', 'zwei'), (steps, chosen) => {
      const model = new Model();
      const expected = steps.flatMap((each) => model.answer(each).map((type) => [each.option, type]));
      const limits = { maximumMetaQueries: MAXIMUM_QUERIES };
      const options = steps.map(({ bytes }) => bytes);
      const before = outline(play(options, { limits }).output);
      if (JSON.stringify(before) !== JSON.stringify(expected)) return false;

      const { next } = play([...options, option(GO, infoData(chosen))], { limits });
      if (next.kind !== 'transmission') return false;
      const { replies, metaContexts, metaContextsOf } = next.negotiated;
      const ids = model.of === chosen ? model.ids : [];
      met.add(`${replies} ${ids.length > 0 ? 'with' : 'without'} contexts`);
      return replies === model.replies && metaContextsOf === model.of && String(metaContexts) === String(ids);
    }),
    { numRuns: 3000 },
  );
  t.strictSame(
    [...met].sort(),
    [
      'extended with contexts',
      'extended without contexts',
      'simple without contexts',
      'structured with contexts',
      'structured without contexts',
    ],
    'every kind of ending has been met',
  );
});

/** Whether lengths inside the data of LIST_META_CONTEXT and SET_META_CONTEXT add up, and how many queries it has. */
function countQueries(data: Buffer): number | undefined {
  const afterString = (rest: Buffer): Buffer | undefined =>
    rest.length >= 4 && rest.length - 4 >= rest.readUInt32BE(0)
      ? rest.subarray(4 + rest.readUInt32BE(0))
      : undefined;
  let rest = afterString(data);
  if (rest === undefined || rest.length < 4) return undefined;
  const count = rest.readUInt32BE(0);
  rest = rest.subarray(4);
  for (let query = 0; query < count; query++) {
    rest = afterString(rest);
    if (rest === undefined) return undefined;
  }
  return rest.length === 0 ? count : undefined;
}

t.test('H16: data is understood exactly if its lengths add up, and what follows always is', async (t) => {
  const small = fc.oneof(fc.nat(6), fc.nat(0xffffffff));
  const whole = fc
    .tuple(name, fc.array(fc.oneof(query, fc.uint8Array({ maxLength: 30 })), { maxLength: 6 }))
    .map(([name, queries]) => metaData(name, ...queries));
  const damaged = fc
    .tuple(
      whole,
      fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 3 }),
      fc.integer({ min: -9, max: 9 }),
    )
    .map(([data, changes, extra]) => {
      const bytes = Buffer.concat([data, Buffer.alloc(Math.max(0, extra))]);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes.subarray(0, extra < 0 ? extra : bytes.length);
    });
  const words = fc.array(small, { maxLength: 12 }).map((values) => Buffer.concat(values.map(u32)));
  const anything = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
  const met = new Set<string>();
  fc.assert(
    fc.property(
      fc.constantFrom(LIST_META_CONTEXT, SET_META_CONTEXT),
      fc.oneof(whole, damaged, words, anything),
      (number, data) => {
        const limits = { maximumMetaQueries: MAXIMUM_QUERIES };
        const negotiation = new Negotiation(DIRECTORY, limits);
        const options = [option(STRUCTURED_REPLY), option(number, data), option(LIST, text('sync'))];
        const { output, next } = playPieces(negotiation, [u32(3), ...options]);
        const answers = outline(output);
        const last = answers.at(-2)?.[1];
        const queries = countQueries(data);
        const verdict = queries === undefined ? 'invalid' : queries > MAXIMUM_QUERIES ? 'too many' : 'sound';
        met.add(`${verdict} ${last}`);
        const fits =
          verdict === 'invalid'
            ? last === ERR_INVALID
            : verdict === 'too many'
              ? last === ERR_TOO_BIG
              : last === ACK || last === ERR_UNKNOWN || last === ERR_INVALID;
        const inSync = answers.at(-1)?.[0] === LIST && answers.at(-1)?.[1] === ERR_INVALID;
        return fits && inSync && next.kind === 'continue' && negotiation.heldBytes <= HELD_BYTES;
      },
    ),
    { numRuns: 5000 },
  );
  const needed = [
    `invalid ${ERR_INVALID}`,
    `too many ${ERR_TOO_BIG}`,
    `sound ${ACK}`,
    `sound ${ERR_UNKNOWN}`,
  ];
  t.strictSame(
    needed.filter((each) => !met.has(each)),
    [],
    'every verdict has been met',
  );
});

t.test('a count of four thousand million queries costs no memory and no time', async (t) => {
  const data = Buffer.concat([u32(0), u32(0xffffffff), Buffer.alloc(65_528)]);
  const before = process.memoryUsage().heapUsed;
  const { output } = play([option(STRUCTURED_REPLY), option(SET_META_CONTEXT, data)]);
  t.strictSame(outline(output)[1], [SET_META_CONTEXT, ERR_INVALID]);
  t.ok(process.memoryUsage().heapUsed - before < 32 * 1024 * 1024);
});
