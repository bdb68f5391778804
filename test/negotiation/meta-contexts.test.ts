/** LIST_META_CONTEXT and SET_META_CONTEXT: what is listed, what is selected, and what a failure leaves. */
import t from 'tap';
import type { ExportOffer } from '../../src/negotiation/directory.js';
import type { NegotiatedState } from '../../src/negotiation/step.js';
import {
  ABORT,
  ACK,
  ERR_INVALID,
  ERR_SHUTDOWN,
  ERR_TOO_BIG,
  ERR_UNKNOWN,
  EXPORT_NAME,
  EXTENDED_HEADERS,
  GO,
  INFO,
  infoData,
  join,
  LIST,
  LIST_META_CONTEXT,
  META_CONTEXT,
  metaData,
  option,
  outline,
  readReplies,
  reply,
  SET_META_CONTEXT,
  STARTTLS,
  STRUCTURED_REPLY,
  text,
  u32,
} from './bytes.js';
import { DIRECTORY, DISK, directoryOf, offer, play, type Setting } from './session.js';

const structured = option(STRUCTURED_REPLY);
const extended = option(EXTENDED_HEADERS);
const ALLOCATION = 'base:allocation';
const CHANGED = 'aionbd:changed';

type Query = string | Uint8Array;

function list(name: string | Uint8Array, ...queries: readonly Query[]): Buffer {
  return option(LIST_META_CONTEXT, metaData(name, ...queries));
}

function set(name: string | Uint8Array, ...queries: readonly Query[]): Buffer {
  return option(SET_META_CONTEXT, metaData(name, ...queries));
}

/** One META_CONTEXT reply's data. */
function context(id: number, name: string): Buffer {
  return join(u32(id), text(name));
}

/** The answer to one option after structured replies have been granted. */
function answerTo(asked: Uint8Array, setting: Setting = {}): Buffer {
  const { output, next } = play([structured, asked], setting);
  t.equal(next.kind, 'continue');
  return output.subarray(20);
}

/** Names that LIST tells. */
function listed(name: string, ...queries: readonly Query[]): string[] {
  return readReplies(answerTo(list(name, ...queries)))
    .filter(({ type }) => type === META_CONTEXT)
    .map(({ data }) => data.toString('utf8', 4));
}

/** Ids and names that SET tells. */
function selected(name: string, ...queries: readonly Query[]): [number, string][] {
  return readReplies(answerTo(set(name, ...queries)))
    .filter(({ type }) => type === META_CONTEXT)
    .map(({ data }) => [data.readUInt32BE(0), data.toString('utf8', 4)]);
}

/** What the transmission phase is handed after these options and a GO to `name`. */
function handedOver(name: string, options: readonly Uint8Array[], setting: Setting = {}): NegotiatedState {
  const { next } = play([...options, option(GO, infoData(name))], setting);
  if (next.kind !== 'transmission') throw new Error(`not transmission but ${next.kind}`);
  return next.negotiated;
}

t.test('H14: LIST without queries tells every context of the export, with id 0, then ACK', async (t) => {
  t.strictSame(
    answerTo(list('disk')),
    join(
      reply(LIST_META_CONTEXT, META_CONTEXT, context(0, ALLOCATION)),
      reply(LIST_META_CONTEXT, META_CONTEXT, context(0, CHANGED)),
      reply(LIST_META_CONTEXT, ACK),
    ),
  );
  t.strictSame(listed(''), [ALLOCATION, CHANGED], 'of the default export too');
  t.strictSame(listed('zwei'), ['x-größe:c', ALLOCATION, 'x-größe:a:b'], 'of each export its own');
});

t.test('H14: a full name lists its context, a namespace with an empty leaf all in it', async (t) => {
  t.strictSame(listed('disk', ALLOCATION), [ALLOCATION]);
  t.strictSame(listed('disk', CHANGED), [CHANGED]);
  t.strictSame(listed('disk', 'base:'), [ALLOCATION]);
  t.strictSame(listed('disk', 'aionbd:'), [CHANGED]);
  t.strictSame(listed('zwei', 'x-größe:'), ['x-größe:c', 'x-größe:a:b']);
  t.strictSame(listed('disk', 'base:', 'aionbd:'), [ALLOCATION, CHANGED]);
  t.strictSame(listed('disk', CHANGED, 'base:', ALLOCATION, 'aionbd:'), [ALLOCATION, CHANGED], 'each once');
});

/** Queries that name nothing. */
const IGNORED: readonly Query[] = [
  '',
  ':',
  'base',
  'base:allocation ',
  'base:Allocation',
  'BASE:',
  'base:allocation:',
  'base::',
  'allocation',
  ':allocation',
  'qemu:',
  'qemu:allocation-depth',
  'qemu:dirty-bitmap:b0',
  'x-nothing:',
  'aionbd:nothing',
  'base:\0',
  `${ALLOCATION}\0`,
  `\ufeff${ALLOCATION}`,
  'q'.repeat(4096),
  'q'.repeat(4097),
  `base:${'q'.repeat(20_000)}`,
  Buffer.from([0xff]),
  join(text(ALLOCATION), Buffer.from([0xc3])),
];

/** Fit for a sentence. */
function shown(query: Query): string {
  return JSON.stringify(query.toString().slice(0, 40));
}

t.test('H14: queries of unknown namespaces and leaves, or that are no strings, match nothing', async (t) => {
  for (const query of IGNORED) {
    t.strictSame(answerTo(list('disk', query)), reply(LIST_META_CONTEXT, ACK), shown(query));
    t.strictSame(listed('disk', query, CHANGED, query), [CHANGED]);
  }
});

t.test('H16: SET passes over the same queries and goes on with the next', async (t) => {
  for (const query of [...IGNORED, 'base:', 'aionbd:']) {
    t.strictSame(answerTo(set('disk', query)), reply(SET_META_CONTEXT, ACK), shown(query));
    t.strictSame(selected('disk', query, CHANGED, query), [[2, CHANGED]]);
  }
});

t.test('a context whose name is 4096 bytes long can be asked for', async (t) => {
  const name = `x-long:${'n'.repeat(4089)}`;
  const directory = directoryOf([offer('disk', { metaContexts: [{ id: 7, name }] })]);
  const replies = readReplies(answerTo(set('disk', name), { directory }));
  t.strictSame(replies[0]?.data, context(7, name));
});

t.test('H15: SET tells what it selects with the ids of the export, then ACK', async (t) => {
  t.strictSame(
    answerTo(set('disk', ALLOCATION, CHANGED)),
    join(
      reply(SET_META_CONTEXT, META_CONTEXT, context(1, ALLOCATION)),
      reply(SET_META_CONTEXT, META_CONTEXT, context(2, CHANGED)),
      reply(SET_META_CONTEXT, ACK),
    ),
  );
});

t.test(
  'H15: ids are unique: a context counts once however often it is asked for, in order of id',
  async (t) => {
    t.strictSame(selected('disk', CHANGED, ALLOCATION, CHANGED, ALLOCATION), [
      [1, ALLOCATION],
      [2, CHANGED],
    ]);
    t.strictSame(selected('zwei', ALLOCATION, 'x-größe:a:b', 'x-größe:c'), [
      [5, 'x-größe:c'],
      [9, ALLOCATION],
      [0xfffffffe, 'x-größe:a:b'],
    ]);
    const state = handedOver('zwei', [structured, set('zwei', ALLOCATION, 'x-größe:a:b', 'x-größe:c')]);
    t.strictSame(state.metaContexts, [5, 9, 0xfffffffe]);
  },
);

t.test('H15: zero queries select none, and so does a SET that matches nothing', async (t) => {
  for (const none of [set('disk'), set('disk', 'base:'), set('disk', 'qemu:allocation-depth')]) {
    t.strictSame(answerTo(none), reply(SET_META_CONTEXT, ACK));
    const state = handedOver('disk', [structured, set('disk', ALLOCATION), none]);
    t.match(state, { metaContexts: [], metaContextsOf: 'disk' });
    t.equal(state.metaContexts.length, 0);
  }
});

t.test('H14, H15: without structured replies or extended headers both are ERR_INVALID', async (t) => {
  for (const [number, asked] of [
    [LIST_META_CONTEXT, list('disk')],
    [LIST_META_CONTEXT, list('disk', 'base:')],
    [SET_META_CONTEXT, set('disk', ALLOCATION)],
    [SET_META_CONTEXT, set('nowhere')],
    [SET_META_CONTEXT, option(SET_META_CONTEXT, text('nonsense'))],
  ] as const) {
    const { output } = play([
      asked,
      option(STRUCTURED_REPLY, text('data')),
      asked,
      option(LIST, text('sync')),
    ]);
    t.strictSame(outline(output), [
      [number, ERR_INVALID],
      [STRUCTURED_REPLY, ERR_INVALID],
      [number, ERR_INVALID],
      [LIST, ERR_INVALID],
    ]);
  }
  t.strictSame(handedOver('disk', [set('disk', ALLOCATION), structured]).metaContexts, []);
});

t.test('both work with extended headers alone', async (t) => {
  t.strictSame(outline(play([extended, list('disk'), set('disk', CHANGED)]).output), [
    [EXTENDED_HEADERS, ACK],
    [LIST_META_CONTEXT, META_CONTEXT],
    [LIST_META_CONTEXT, META_CONTEXT],
    [LIST_META_CONTEXT, ACK],
    [SET_META_CONTEXT, META_CONTEXT],
    [SET_META_CONTEXT, ACK],
  ]);
  t.match(handedOver('disk', [extended, set('disk', CHANGED)]), { replies: 'extended', metaContexts: [2] });
});

t.test('H15: an export that does not exist is ERR_UNKNOWN; names are judged as GO judges them', async (t) => {
  const cases: [string | Uint8Array, number][] = [
    ['nowhere', ERR_UNKNOWN],
    ['Disk', ERR_UNKNOWN],
    ['\ufeffdisk', ERR_UNKNOWN],
    [Buffer.from('646900736b', 'hex'), ERR_INVALID],
    [Buffer.from('c328', 'hex'), ERR_INVALID],
    ['n'.repeat(4096), ERR_UNKNOWN],
    ['n'.repeat(4097), ERR_TOO_BIG],
  ];
  for (const [name, error] of cases) {
    t.strictSame(outline(play([option(GO, infoData(name))]).output), [[GO, error]]);
    for (const number of [LIST_META_CONTEXT, SET_META_CONTEXT]) {
      const asked = option(number, metaData(name, ALLOCATION));
      t.strictSame(outline(answerTo(asked)), [[number, error]]);
    }
  }
  const directory = { ...DIRECTORY, find: () => undefined };
  t.strictSame(
    outline(answerTo(set(''), { directory })),
    [[SET_META_CONTEXT, ERR_UNKNOWN]],
    'no default export',
  );
});

t.test('H16: lengths that do not add up are ERR_INVALID, and the next option is understood', async (t) => {
  const good = metaData('disk', ALLOCATION, CHANGED);
  const queriesAt = 4 + 4 + 4;
  const patched = (at: number, value: number) => {
    const bad = Buffer.from(good);
    bad.writeUInt32BE(value, at);
    return bad;
  };
  const cases: Uint8Array[] = [
    Buffer.alloc(0),
    Buffer.alloc(7),
    u32(0),
    join(u32(0), u32(1)),
    join(u32(0), u32(0xffffffff)),
    join(u32(1), u32(0)),
    good.subarray(0, -1),
    good.subarray(0, -CHANGED.length),
    good.subarray(0, -CHANGED.length - 1),
    good.subarray(0, -CHANGED.length - 4),
    join(good, Buffer.alloc(1)),
    join(good, u32(0)),
    // The name's length, the count, the first query's and the last query's.
    ...[0, 3, 5, good.length - 8, good.length - 4, 0x80000004, 0xffffffff].map((value) => patched(0, value)),
    ...[0, 1, 3, 0x80000002, 0xffffffff].map((value) => patched(8, value)),
    ...[0, ALLOCATION.length - 1, ALLOCATION.length + 1, good.length, 0xffffffff].map((value) =>
      patched(queriesAt, value),
    ),
    ...[0, CHANGED.length - 1, CHANGED.length + 1, 0x80000000 + CHANGED.length, 0xffffffff].map((value) =>
      patched(queriesAt + 4 + ALLOCATION.length, value),
    ),
  ];
  for (const number of [LIST_META_CONTEXT, SET_META_CONTEXT]) {
    for (const data of cases) {
      const { output } = play([structured, option(number, data), option(LIST, text('sync'))]);
      t.strictSame(
        outline(output).slice(1),
        [
          [number, ERR_INVALID],
          [LIST, ERR_INVALID],
        ],
        Buffer.from(data).toString('hex'),
      );
    }
  }
});

t.test('H16: of data cut anywhere only the whole is understood', async (t) => {
  const good = metaData('disk', ALLOCATION, '', CHANGED);
  for (const number of [LIST_META_CONTEXT, SET_META_CONTEXT]) {
    const wrong = Array.from(good.keys()).filter(
      (length) => outline(answerTo(option(number, good.subarray(0, length))))[0]?.[1] !== ERR_INVALID,
    );
    t.strictSame(wrong, []);
    t.strictSame(outline(answerTo(option(number, good))).at(-1), [number, ACK]);
  }
});

t.test('H15: SET replaces what was selected before', async (t) => {
  const state = (...options: Uint8Array[]) => handedOver('disk', [structured, ...options]).metaContexts;
  t.strictSame(state(set('disk', ALLOCATION)), [1]);
  t.strictSame(state(set('disk', ALLOCATION), set('disk', CHANGED)), [2]);
  t.strictSame(state(set('disk', ALLOCATION, CHANGED), set('disk', ALLOCATION)), [1]);
  t.strictSame(state(set('disk', ALLOCATION), set('zwei', ALLOCATION)), [], 'for another export too');
  t.strictSame(state(set('zwei', ALLOCATION), set('disk', CHANGED)), [2]);
});

t.test('H15: a SET that fails in any way leaves nothing selected', async (t) => {
  const failing: [string, Uint8Array, number][] = [
    ['lengths', option(SET_META_CONTEXT, join(metaData('disk', ALLOCATION), Buffer.alloc(1))), ERR_INVALID],
    ['no data', option(SET_META_CONTEXT), ERR_INVALID],
    ['unknown export', set('nowhere', ALLOCATION), ERR_UNKNOWN],
    ['a name that is no string', set(Buffer.from([0xff]), ALLOCATION), ERR_INVALID],
    ['a name that is too long', set('n'.repeat(4097), ALLOCATION), ERR_TOO_BIG],
    ['too many queries', set('disk', ...Array<string>(1025).fill(ALLOCATION)), ERR_TOO_BIG],
    ['too much data', option(SET_META_CONTEXT, Buffer.alloc(65_537)), ERR_TOO_BIG],
  ];
  for (const [title, failed, error] of failing) {
    for (const mode of [structured, extended]) {
      const options = [mode, set('disk', ALLOCATION), failed];
      t.strictSame(outline(play(options).output).at(-1), [SET_META_CONTEXT, error], title);
      t.match(handedOver('disk', options), { metaContexts: [], metaContextsOf: undefined }, title);
      t.strictSame(handedOver('disk', options).metaContexts, [], title);
    }
  }
});

t.test('H15, H17: nor does one that fails because the server shuts down', async (t) => {
  let asked = 0;
  const directory = {
    ...DIRECTORY,
    // The third option is refused, the others are not.
    get shuttingDown() {
      asked += 1;
      return asked === 3;
    },
  };
  const options = [structured, set('disk', ALLOCATION), set('disk', ALLOCATION)];
  const { output, next } = play([...options, option(GO, infoData('disk'))], { directory });
  t.strictSame(outline(output)[3], [SET_META_CONTEXT, ERR_SHUTDOWN]);
  t.match(next, { kind: 'transmission', negotiated: { metaContextsOf: undefined } });
  t.strictSame(next.kind === 'transmission' && next.negotiated.metaContexts, []);
});

t.test('what was selected outlives every other option, successful or not', async (t) => {
  const others = [
    option(LIST),
    option(LIST, text('data')),
    option(INFO, infoData('zwei', 1, 3)),
    option(INFO, text('nonsense')),
    option(STARTTLS),
    option(77, text('unknown')),
    structured,
    option(STRUCTURED_REPLY, text('data')),
    option(EXTENDED_HEADERS, text('data')),
    list('zwei', ALLOCATION),
    list('nowhere'),
    option(LIST_META_CONTEXT, text('nonsense')),
    option(LIST_META_CONTEXT, Buffer.alloc(100_000)),
    extended,
  ];
  const state = handedOver('disk', [structured, set('disk', CHANGED), ...others]);
  t.match(state, { replies: 'extended', metaContexts: [2], metaContextsOf: 'disk' });
});

t.test('H12: a GO that fails leaves the selection as it was', async (t) => {
  const failing = [
    option(GO, infoData('nowhere', 3)),
    option(GO, text('nonsense')),
    option(GO, infoData(Buffer.from([0xff]))),
    option(GO, Buffer.alloc(100_000)),
  ];
  const state = handedOver('disk', [structured, set('disk', ALLOCATION, CHANGED), ...failing]);
  t.match(state, { metaContexts: [1, 2], metaContextsOf: 'disk', blockSizesAgreed: false });
});

t.test('H15: contexts count only for the very name that is chosen in the end', async (t) => {
  const cases: [string, string, number[]][] = [
    ['disk', 'disk', [1]],
    ['', '', [1]],
    ['', 'disk', []],
    ['disk', '', []],
    ['disk', 'zwei', []],
    ['zwei', 'zwei', [9]],
  ];
  for (const [asked, chosen, expected] of cases) {
    const options = [structured, set(asked, ALLOCATION)];
    t.strictSame(handedOver(chosen, options).metaContexts, expected, `"${asked}", then GO "${chosen}"`);
    t.equal(handedOver(chosen, options).metaContextsOf, asked);
    const { next } = play([...options, option(EXPORT_NAME, text(chosen))]);
    t.strictSame(
      next.kind === 'transmission' && next.negotiated.metaContexts,
      expected,
      `"${asked}", then EXPORT_NAME "${chosen}"`,
    );
  }
});

t.test('a context that the export no longer has when it is chosen is not handed over', async (t) => {
  let now: ExportOffer = DISK;
  const directory = {
    ...DIRECTORY,
    find: () => {
      const found = now;
      now = offer('disk', { metaContexts: [{ id: 2, name: CHANGED }] });
      return found;
    },
  };
  const state = handedOver('disk', [structured, set('disk', ALLOCATION, CHANGED)], {
    directory,
  });
  t.strictSame(state.metaContexts, [2]);
});

t.test('H18: queries at the limit are served, one more is ERR_TOO_BIG, both in sync', async (t) => {
  const queries = (count: number) => [...Array<string>(count - 1).fill('q:'), ALLOCATION];
  for (const [limits, limit] of [
    [{ maximumMetaQueries: 3 }, 3],
    [{}, 1024],
  ] as const) {
    for (const number of [LIST_META_CONTEXT, SET_META_CONTEXT]) {
      const fits = option(number, metaData('disk', ...queries(limit)));
      t.strictSame(outline(answerTo(fits, { limits })), [
        [number, META_CONTEXT],
        [number, ACK],
      ]);
      const excess = option(number, metaData('disk', ...queries(limit + 1)));
      const { output } = play([structured, excess, option(ABORT)], { limits });
      t.strictSame(outline(output).slice(1), [
        [number, ERR_TOO_BIG],
        [ABORT, ACK],
      ]);
      t.match(readReplies(output)[1]?.data.toString(), `${limit + 1} queries are more than ${limit}`);
    }
  }
  t.strictSame(
    outline(answerTo(list('disk'), { limits: { maximumMetaQueries: 0 } })).at(-1),
    [LIST_META_CONTEXT, ACK],
    'LIST without queries has no such limit',
  );
});

t.test('H6: data at the limit is understood, one byte more is ERR_TOO_BIG, both in sync', async (t) => {
  for (const number of [LIST_META_CONTEXT, SET_META_CONTEXT]) {
    const data = (bytes: number) =>
      metaData('disk', CHANGED, 'q'.repeat(bytes - metaData('disk', CHANGED, '').length));
    for (const [limits, limit] of [
      [{ maximumOptionDataBytes: 100 }, 100],
      [{}, 65_536],
    ] as const) {
      t.equal(data(limit).length, limit);
      t.strictSame(outline(answerTo(option(number, data(limit)), { limits })), [
        [number, META_CONTEXT],
        [number, ACK],
      ]);
      const excess = play([structured, option(number, data(limit + 1)), option(ABORT)], { limits });
      t.strictSame(outline(excess.output).slice(1), [
        [number, ERR_TOO_BIG],
        [ABORT, ACK],
      ]);
    }
  }
});

t.test('H18: a refusal says which option, what was wrong and with which value', async (t) => {
  const message = (asked: Uint8Array) => readReplies(answerTo(asked))[0]?.data.toString();
  t.equal(message(set('nowhere')), 'SET_META_CONTEXT: there is no export "nowhere"');
  t.equal(
    message(option(LIST_META_CONTEXT, text('nonsense'))),
    'LIST_META_CONTEXT: the lengths inside the data do not add up to its 8 bytes',
  );
  t.equal(
    readReplies(play([set('disk')]).output)[0]?.data.toString(),
    'SET_META_CONTEXT: needs STRUCTURED_REPLY or EXTENDED_HEADERS first',
  );
});
