// The reader of replies against bytes made by hand: each rule broken once, in the way that the name says, and good
// replies of every kind that break none. The bytes come in pieces cut at random.

import t, { type Test } from 'tap';
import { chosenSeed, seededRandom } from '../support/random.js';
import { type Reply, ReplyReader, type Terms } from './reply-reader.js';
import {
  BLOCK_STATUS,
  CACHE,
  DF,
  EINVAL,
  EIO,
  ENOMEM,
  ENOSPC,
  ENOTSUP,
  EOVERFLOW,
  FAST_ZERO,
  FLUSH,
  MODES,
  type Mode,
  READ,
  REQ_ONE,
  type Request,
  statusPayload,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

const ALLOCATION = 1;
const CHANGED_CONTEXT = 2;
const CONTEXTS = new Map([
  [ALLOCATION, 'base:allocation'],
  [CHANGED_CONTEXT, 'aionbd:changed'],
]);
const EXPORT_BYTES = 1_000_000;
const COOKIE = 0xc0ffee0000000001n;

const seed = chosenSeed();
const chance = seededRandom(seed);
const random = (below: number) => Math.floor(chance() * below);

// ---- bytes by hand ----

type Field = readonly [bytes: 2 | 4 | 8, value: number | bigint] | Buffer | string;

const u16 = (value: number): Field => [2, value];
const u32 = (value: number): Field => [4, value];
const u64 = (value: number | bigint): Field => [8, value];

function bytes(...fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.map((field) => {
      if (typeof field === 'string') return Buffer.from(field);
      if (Buffer.isBuffer(field)) return field;
      const [size, value] = field as readonly [number, number | bigint];
      return Buffer.from(
        BigInt(value)
          .toString(16)
          .padStart(2 * size, '0'),
        'hex',
      );
    }),
  );
}

const zeroes = (length: number) => Buffer.alloc(length);

/** A request, and what chunks of its reply have in common. */
class Scene {
  readonly mode: Mode;
  readonly request: Request;

  constructor(mode: Mode, request: Omit<Request, 'cookie'>) {
    this.mode = mode;
    this.request = { cookie: COOKIE, ...request };
  }

  simple(error = 0, data: Buffer = zeroes(0), cookie = this.request.cookie): Buffer {
    return bytes(u32(0x67446698), u32(error), u64(cookie), data);
  }

  /** `flags`: 1 is DONE. */
  chunk(flags: number, type: number, ...payload: readonly Field[]): Buffer {
    const content = bytes(...payload);
    return this.header(flags, type, content.length, content);
  }

  header(flags: number, type: number, length: number, content: Buffer = zeroes(0)): Buffer {
    const { cookie, offset = 0 } = this.request;
    return this.mode === 'extended'
      ? bytes(u32(0x6e8a278c), u16(flags), u16(type), u64(cookie), u64(offset), u64(length), content)
      : bytes(u32(0x668e33ef), u16(flags), u16(type), u64(cookie), u32(length), content);
  }

  none(): Buffer {
    return this.chunk(1, 0);
  }

  data(flags: number, offset: number, length: number, byte = 0xda): Buffer {
    return this.chunk(flags, 1, u64(offset), Buffer.alloc(length, byte));
  }

  hole(flags: number, offset: number, length: number): Buffer {
    return this.chunk(flags, 2, u64(offset), u32(length));
  }

  error(flags: number, error: number, message = 'no'): Buffer {
    return this.chunk(flags, 0x8001, u32(error), u16(Buffer.byteLength(message)), message);
  }

  errorAt(flags: number, error: number, offset: number | bigint, message = 'no'): Buffer {
    const length = Buffer.byteLength(message);
    return this.chunk(flags, 0x8002, u32(error), u16(length), message, u64(offset));
  }

  status(
    flags: number,
    context: number,
    ...extents: readonly (readonly [number, number | bigint])[]
  ): Buffer {
    return this.mode === 'extended'
      ? this.chunk(
          flags,
          6,
          u32(context),
          u32(extents.length),
          ...extents.flatMap(([l, s]) => [u64(l), u64(s)]),
        )
      : this.chunk(flags, 5, u32(context), ...extents.flatMap(([l, s]) => [u32(l), u32(Number(s))]));
  }
}

interface Heard {
  readonly replies: readonly Reply[];
  readonly fault: string | undefined;
  readonly outstanding: number;
}

/** What a reader makes of the bytes, cut anywhere. */
function hear(
  scene: Scene,
  input: Buffer,
  terms: Partial<Terms> = {},
  others: readonly Request[] = [],
): Heard {
  const replies: Reply[] = [];
  const contexts = scene.mode === 'simple' ? new Map<number, string>() : CONTEXTS;
  const reader = new ReplyReader((reply) => replies.push(reply), {
    mode: scene.mode,
    contexts,
    sizeBytes: EXPORT_BYTES,
    ...terms,
  });
  for (const request of [scene.request, ...others]) reader.expect(request);
  const way = random(3);
  for (let at = 0; at < input.length; ) {
    const length = way === 0 ? 1 : way === 1 ? input.length : 1 + random(40);
    reader.push(input.subarray(at, at + length));
    at += length;
  }
  return { replies, fault: reader.fault, outstanding: reader.outstanding };
}

const SPLITS = 5;

/** These bytes break this rule and no other. */
function breaks(
  t: Test,
  rule: RegExp,
  scene: Scene,
  pieces: readonly Buffer[],
  terms: Partial<Terms> = {},
): void {
  for (let split = 0; split < SPLITS; split++) {
    const { fault, replies } = hear(scene, Buffer.concat(pieces), terms);
    if (fault === undefined || !rule.test(fault) || replies.length > 0 || split === SPLITS - 1) {
      t.match(fault ?? 'no fault', rule, `${scene.mode}: ${rule.source}`);
      t.equal(replies.length, 0, 'and it is no reply');
      if (/^\^?SHOULD/.test(rule.source)) {
        const lenient = hear(scene, Buffer.concat(pieces), { ...terms, lenient: true });
        t.equal(lenient.fault, undefined, 'which may be let pass');
      }
      return;
    }
  }
}

/** These bytes are a reply with nothing wrong. */
function holds(t: Test, what: string, scene: Scene, pieces: readonly Buffer[], expected: object): void {
  for (let split = 0; split < SPLITS; split++) {
    const { fault, replies, outstanding } = hear(scene, Buffer.concat(pieces));
    if (fault !== undefined || replies.length !== 1 || outstanding !== 0 || split === SPLITS - 1) {
      t.equal(fault, undefined, `${scene.mode}: ${what}`);
      t.match(replies, [{ cookie: COOKIE, ...expected }], 'and is heard as it was said');
      t.equal(outstanding, 0);
      return;
    }
  }
}

const CHUNKED: readonly Mode[] = ['structured', 'extended'];
const read = (mode: Mode, flags = 0, offset = 4096, length = 4096) =>
  new Scene(mode, { type: READ, flags, offset, length });
const status = (mode: Mode, flags = 0, offset = 4096, length = 65_536) =>
  new Scene(mode, { type: BLOCK_STATUS, flags, offset, length });

t.comment(`seed ${seed}`);

// ---- whose message it is ----

t.test('magics, each in the modes that have it', (t) => {
  for (const mode of MODES) {
    const scene = new Scene(mode, { type: FLUSH });
    for (const magic of [0, 0x25609513, 0x21e41c71, 0x96744668, 0x67446699]) {
      breaks(t, /^a reply began with 0x/, scene, [bytes(u32(magic), zeroes(40))]);
    }
  }
  const structured = new Scene('structured', { type: FLUSH }).none();
  const extended = new Scene('extended', { type: FLUSH }).none();
  breaks(t, /^a structured reply, in simple mode/, new Scene('simple', { type: FLUSH }), [structured]);
  breaks(t, /^an extended reply, in simple mode/, new Scene('simple', { type: FLUSH }), [extended]);
  breaks(t, /^an extended reply, in structured mode/, new Scene('structured', { type: FLUSH }), [extended]);
  breaks(t, /^a structured reply, in extended mode/, new Scene('extended', { type: FLUSH }), [structured]);
  for (const type of [FLUSH, WRITE, 99, READ, BLOCK_STATUS]) {
    const scene = new Scene('extended', { type });
    breaks(t, /^a simple reply, in extended mode/, scene, [scene.simple()]);
    breaks(t, /^a simple reply, in extended mode/, scene, [scene.simple(EINVAL)]);
  }
  t.end();
});

t.test('cookies that nobody sent, and replies that had ended', (t) => {
  for (const mode of MODES) {
    const scene = new Scene(mode, { type: FLUSH });
    const stranger = new Scene(mode, { type: FLUSH });
    Object.assign(stranger.request, { cookie: 5n });
    const end = (s: Scene) => (mode === 'simple' ? s.simple() : s.none());
    breaks(t, /^a reply to cookie 0x5, which nobody asked for/, scene, [end(stranger)]);
    const twice = hear(scene, Buffer.concat([end(scene), end(scene)]));
    t.match(twice.fault, /^something more for cookie .*, whose reply had ended/, `${mode}: a second reply`);
    t.equal(twice.replies.length, 1, 'after the first');
  }
  for (const mode of CHUNKED) {
    const scene = read(mode);
    const after = hear(scene, Buffer.concat([scene.hole(1, 4096, 4096), scene.data(0, 4096, 512)]));
    t.match(
      after.fault,
      /^something more for cookie .*, whose reply had ended/,
      `${mode}: a chunk after DONE`,
    );
    t.equal(after.replies.length, 1);
  }
  t.end();
});

t.test('replies to several requests, mixed with each other', (t) => {
  for (const mode of CHUNKED) {
    for (let round = 0; round < 200; round++) {
      const scenes = Array.from({ length: 5 }, (_, i) => {
        const scene = new Scene(mode, { type: READ, offset: 4096 * i, length: 2048 });
        Object.assign(scene.request, { cookie: COOKIE + BigInt(i) });
        return scene;
      });
      const queues = scenes.map((scene, i) => [
        scene.data(0, 4096 * i + 512, 512, i + 1),
        scene.hole(0, 4096 * i, 512),
        scene.data(0, 4096 * i + 1024, 1024, i + 2),
        scene.none(),
      ]);
      const mixed: Buffer[] = [];
      for (
        let left = queues.filter((q) => q.length > 0);
        left.length > 0;
        left = left.filter((q) => q.length > 0)
      ) {
        mixed.push(left[random(left.length)]!.shift()!);
      }
      const others = scenes.slice(1).map(({ request }) => request);
      const { fault, replies } = hear(scenes[0]!, Buffer.concat(mixed), {}, others);
      const right = replies.every(({ cookie, data, holes, pieces, chunks }) => {
        const i = Number(cookie - COOKIE);
        const wanted = [zeroes(512), Buffer.alloc(512, i + 1), Buffer.alloc(1024, i + 2)];
        const isHole = holes.length === 1 && holes[0]!.start === 4096 * i && holes[0]!.end === 4096 * i + 512;
        return data.equals(Buffer.concat(wanted)) && isHole && pieces === 3 && chunks === 4;
      });
      if (fault !== undefined || replies.length !== 5 || !right || round === 199) {
        t.equal(fault, undefined, `${mode}: no fault`);
        t.equal(replies.length, 5, 'five replies');
        t.ok(right, 'of the right data');
        break;
      }
    }
  }
  t.end();
});

// ---- simple replies ----

t.test('simple replies', (t) => {
  for (const mode of ['simple', 'structured'] as const) {
    for (const type of [WRITE, FLUSH, TRIM, CACHE, WRITE_ZEROES]) {
      const scene = new Scene(mode, { type, length: 4096 });
      holds(t, `success of command ${type}`, scene, [scene.simple()], { error: 0, chunks: 1 });
    }
    const zero = new Scene(mode, { type: WRITE_ZEROES, length: 4096 });
    breaks(t, /^the error 2, which the wire does not know/, zero, [zero.simple(2)]);
  }
  const scene = read('simple');
  const data = Buffer.alloc(4096, 0x67);
  holds(t, 'data', scene, [scene.simple(0, data)], { error: 0, data });
  holds(t, 'an error without data', scene, [scene.simple(EIO)], { error: EIO, data: zeroes(0) });
  const beyond = read('simple', 0, EXPORT_BYTES - 1, 2);
  breaks(t, /^content for a READ that goes beyond the end of the export/, beyond, [
    beyond.simple(0, zeroes(2)),
  ]);
  const question = status('simple');
  breaks(t, /^SHOULD: BLOCK_STATUS does not succeed without a context/, question, [question.simple()]);
  holds(t, 'BLOCK_STATUS is refused', question, [question.simple(EINVAL)], { error: EINVAL });

  const structured = read('structured');
  breaks(t, /^a simple reply to READ, with structured replies/, structured, [structured.simple(0, data)]);
  breaks(t, /^a simple reply to READ, with structured replies/, structured, [structured.simple(EINVAL)]);
  const asked = status('structured');
  breaks(t, /^a simple reply tells of a successful BLOCK_STATUS/, asked, [asked.simple()]);
  const flush = new Scene('structured', { type: FLUSH });
  breaks(t, /^SHOULD: an error in a simple reply, without words/, flush, [flush.simple(EIO)]);
  const write = new Scene('structured', { type: WRITE, payload: zeroes(512) });
  breaks(t, /^a simple reply to a request that has chunks already/, write, [
    write.errorAt(0, EIO, 0),
    write.simple(EIO),
  ]);
  t.end();
});

// ---- chunks of any kind ----

t.test('flags, types and lengths of chunks', (t) => {
  for (const mode of CHUNKED) {
    const scene = read(mode);
    for (const flags of [2, 3, 0x8001, 0xffff]) {
      breaks(t, /^a chunk with unknown flags, 0x/, scene, [scene.chunk(flags, 0)]);
    }
    for (const type of [3, 4, 7, 255, 256, 0x8000, 0x8003, 0xffff]) {
      breaks(t, /^a chunk of the unknown type 0x/, scene, [scene.chunk(1, type, u32(5), u16(0))]);
    }
    breaks(t, /^NONE with 1 bytes/, scene, [scene.chunk(1, 0, zeroes(1))]);
    breaks(t, /^NONE without DONE/, scene, [scene.chunk(0, 0)]);
    breaks(t, /^OFFSET_DATA with 8 bytes/, scene, [scene.chunk(0, 1, u64(4096))]);
    breaks(t, /^OFFSET_DATA with 0 bytes/, scene, [scene.chunk(0, 1)]);
    breaks(t, /^OFFSET_HOLE with 11 bytes/, scene, [scene.chunk(0, 2, zeroes(11))]);
    breaks(t, /^OFFSET_HOLE with 16 bytes/, scene, [scene.chunk(0, 2, zeroes(16))]);
    breaks(t, /^ERROR with 5 bytes/, scene, [scene.chunk(1, 0x8001, zeroes(5))]);
    breaks(t, /^ERROR_OFFSET with 13 bytes/, scene, [scene.chunk(1, 0x8002, zeroes(13))]);
    breaks(t, /^ERROR with 4294967295 bytes/, scene, [scene.header(1, 0x8001, 0xffffffff)]);
  }
  const scene = new Scene('extended', { type: FLUSH, offset: 77 });
  const elsewhere = new Scene('extended', { type: FLUSH, offset: 78 });
  breaks(t, /^an extended reply with the offset 78, not 77/, scene, [elsewhere.none()]);
  t.end();
});

t.test('success of what has no content', (t) => {
  for (const mode of CHUNKED) {
    for (const type of [WRITE, FLUSH, TRIM, CACHE, WRITE_ZEROES]) {
      const scene = new Scene(mode, { type, offset: 512, length: 512 });
      holds(t, `command ${type}`, scene, [scene.none()], { error: 0, chunks: 1, message: '' });
    }
    const empty = read(mode, 0, 4096, 0);
    holds(t, 'a READ of nothing', empty, [empty.none()], { error: 0, data: zeroes(0) });
  }
  t.end();
});

// ---- content of a READ ----

t.test('content: what fits together', (t) => {
  for (const mode of CHUNKED) {
    const scene = read(mode);
    const [a, b] = [Buffer.alloc(1024, 0xda), zeroes(3072)];
    const expected = {
      error: 0,
      data: Buffer.concat([a, b]),
      pieces: 2,
      holes: [{ start: 5120, end: 8192 }],
    };
    holds(
      t,
      'in order, DONE on the last',
      scene,
      [scene.data(0, 4096, 1024), scene.hole(1, 5120, 3072)],
      expected,
    );
    holds(
      t,
      'in order, and NONE',
      scene,
      [scene.data(0, 4096, 1024), scene.hole(0, 5120, 3072), scene.none()],
      {
        ...expected,
        chunks: 3,
      },
    );
    holds(t, 'the other way round', scene, [scene.hole(0, 5120, 3072), scene.data(1, 4096, 1024)], expected);
    holds(t, 'a hole only', scene, [scene.hole(1, 4096, 4096)], { data: zeroes(4096) });
    const df = read(mode, DF);
    holds(t, 'one chunk under DF', df, [df.data(0, 4096, 4096), df.none()], {
      data: Buffer.alloc(4096, 0xda),
    });
    const odd = read(mode, 0, 999_001, 999);
    holds(t, 'odd ends of the request', odd, [odd.data(0, 999_424, 576), odd.hole(1, 999_001, 423)], {
      error: 0,
      data: Buffer.concat([zeroes(423), Buffer.alloc(576, 0xda)]),
    });
    const many = read(mode, 0, 0, 64 * 512);
    const order = Array.from({ length: 64 }, (_, i) => i);
    for (let i = 63; i > 0; i--) {
      const j = random(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    const shuffled = order.map((i) => (i % 3 ? many.data(0, 512 * i, 512, i) : many.hole(0, 512 * i, 512)));
    const whole = Buffer.concat(Array.from({ length: 64 }, (_, i) => Buffer.alloc(512, i % 3 ? i : 0)));
    holds(t, 'many in any order', many, [...shuffled, many.none()], { data: whole, pieces: 64 });
  }
  t.end();
});

t.test('content: what does not', (t) => {
  for (const mode of CHUNKED) {
    const scene = read(mode);
    for (const type of [WRITE, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS, 99]) {
      const other = new Scene(mode, { type, offset: 0, length: 4096 });
      const rule = new RegExp(`^a content chunk as a reply to command ${type}`);
      breaks(t, rule, other, [other.data(0, 0, 512)]);
      breaks(t, rule, other, [other.hole(0, 0, 512)]);
    }
    const outside = /^a content chunk .* outside of the request/;
    for (const [offset, length] of [
      [3584, 512],
      [3584, 1024],
      [7680, 1024],
      [8192, 512],
      [0, 512],
    ] as const) {
      breaks(t, outside, scene, [scene.data(0, offset, length)]);
      breaks(t, outside, scene, [scene.hole(0, offset, length)]);
    }
    breaks(t, outside, scene, [scene.chunk(0, 2, u64(2n ** 64n - 512n), u32(512))]);
    breaks(t, /^a content chunk of nothing/, scene, [scene.hole(0, 4096, 0)]);
    const overlaps = /^a content chunk .* overlaps with an earlier one/;
    breaks(t, overlaps, scene, [scene.data(0, 4096, 1024), scene.data(0, 4608, 1024)]);
    breaks(t, overlaps, scene, [scene.data(0, 4096, 1024), scene.hole(0, 4096, 1024)]);
    breaks(t, overlaps, scene, [scene.hole(0, 4608, 512), scene.hole(0, 4096, 4096)]);
    breaks(t, overlaps, scene, [
      scene.hole(0, 6144, 512),
      scene.hole(0, 4096, 512),
      scene.data(0, 5120, 1536),
    ]);
    const df = read(mode, DF);
    breaks(t, /^a second content chunk under DF/, df, [df.data(0, 4096, 2048), df.data(1, 6144, 2048)]);
    breaks(t, /^a second content chunk under DF/, df, [df.hole(0, 4096, 2048), df.data(1, 6144, 2048)]);
    const gap = (at: number) => new RegExp(`^a READ succeeds, but nothing was said of byte ${at} of it`);
    breaks(t, gap(0), scene, [scene.none()]);
    breaks(t, gap(0), scene, [scene.data(1, 4608, 3584)]);
    breaks(t, gap(512), scene, [scene.hole(0, 4096, 512), scene.data(1, 5120, 3072)]);
    breaks(t, gap(3584), scene, [scene.data(0, 4096, 3584), scene.none()]);
    const round = /^SHOULD: content chunks are multiples of 512 bytes/;
    breaks(t, round, scene, [scene.data(0, 4096, 1000), scene.data(1, 5096, 3096)]);
    breaks(t, round, scene, [scene.hole(0, 4096, 1), scene.hole(1, 4097, 4095)]);
    const large = read(mode, 0, 0, 40 * 1024 * 1024);
    const header = large.header(0, 1, 8 + 32 * 1024 * 1024 + 1, bytes(u64(0)));
    breaks(t, /^a chunk with 33554433 bytes of data/, large, [header], { sizeBytes: 2 ** 30 });
    const beyond = read(mode, 0, EXPORT_BYTES - 512, 1024);
    const rule = /^content for a READ that goes beyond the end of the export/;
    breaks(t, rule, beyond, [beyond.hole(0, EXPORT_BYTES - 512, 512)]);
  }
  t.end();
});

// ---- errors ----

t.test('errors: what may be', (t) => {
  for (const mode of CHUNKED) {
    for (const type of [READ, WRITE, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS, 99]) {
      const scene = new Scene(mode, { type, offset: 0, length: 4096 });
      const said = { error: ENOSPC, message: 'kein Platz für mehr ☹', data: zeroes(0), chunks: 1 };
      holds(t, `ERROR for command ${type}`, scene, [scene.error(1, ENOSPC, said.message)], said);
      holds(t, 'and then NONE', scene, [scene.error(0, EIO), scene.none()], { error: EIO, chunks: 2 });
      holds(t, 'without words', scene, [scene.error(1, ENOMEM, '')], { error: ENOMEM, message: '' });
      if (type === FLUSH || type === 99) continue;
      holds(t, 'ERROR_OFFSET', scene, [scene.errorAt(1, EIO, 4095, 'bad')], { error: EIO, message: 'bad' });
      const two = [scene.errorAt(0, EIO, 0, 'first'), scene.errorAt(1, ENOSPC, 512, 'second')];
      holds(t, 'two at two offsets', scene, two, { error: EIO, message: 'first' });
    }
    const scene = read(mode);
    holds(t, 'content before', scene, [scene.data(0, 4096, 1024), scene.error(1, EIO)], {
      error: EIO,
      pieces: 1,
    });
    holds(t, 'and after', scene, [scene.error(0, EIO), scene.hole(1, 4096, 1024)], { error: EIO, pieces: 1 });
    const padded = [scene.data(0, 4096, 1024), scene.data(0, 5120, 1024), scene.errorAt(0, EIO, 4096)];
    holds(t, 'two in two chunks', scene, [...padded, scene.errorAt(1, EIO, 6143)], { error: EIO, pieces: 2 });
    const zero = new Scene(mode, { type: WRITE_ZEROES, flags: FAST_ZERO, length: 4096 });
    holds(t, 'ENOTSUP for FAST_ZERO', zero, [zero.error(1, ENOTSUP)], { error: ENOTSUP });
    const df = read(mode, DF, 0, 65_537);
    holds(t, 'EOVERFLOW for a large READ with DF', df, [df.error(1, EOVERFLOW)], { error: EOVERFLOW });
    const trim = new Scene(mode, { type: TRIM, length: 2 ** 25 + 1 });
    holds(t, 'EOVERFLOW for a large TRIM', trim, [trim.error(1, EOVERFLOW)], { error: EOVERFLOW });
  }
  t.end();
});

t.test('errors: what may not', (t) => {
  for (const mode of CHUNKED) {
    const scene = read(mode);
    breaks(t, /^an error chunk with the error 0/, scene, [scene.error(1, 0)]);
    breaks(t, /^an error chunk with the error 0/, scene, [scene.errorAt(1, 0, 4096)]);
    for (const error of [2, 11, 95 * 256, 0xffffffff]) {
      breaks(t, /^the error \d+, which the wire does not know/, scene, [scene.error(1, error)]);
      breaks(t, /^the error \d+, which the wire does not know/, scene, [scene.errorAt(1, error, 4096)]);
    }
    const longer = /with a message of \d+ bytes in \d+ bytes/;
    breaks(t, longer, scene, [scene.chunk(1, 0x8001, u32(EIO), u16(4), 'abc')]);
    breaks(t, longer, scene, [scene.chunk(1, 0x8002, u32(EIO), u16(4), 'abc', u64(4096))]);
    const shorter = /with 1 bytes that nothing is known of/;
    breaks(t, shorter, scene, [scene.chunk(1, 0x8001, u32(EIO), u16(2), 'abc')]);
    breaks(t, shorter, scene, [scene.chunk(1, 0x8002, u32(EIO), u16(2), 'ab', u64(4096), zeroes(1))]);
    breaks(t, /^a message of 4097 bytes/, scene, [scene.error(1, EIO, 'x'.repeat(4097))]);
    breaks(t, /^SHOULD: be no longer than 256 bytes/, scene, [scene.error(1, EIO, 'x'.repeat(257))]);
    breaks(t, /^a message with a NUL in it/, scene, [scene.error(1, EIO, 'x\0')]);
    const latin = Buffer.from([0x66, 0xfc, 0x72]);
    breaks(t, /^a message that is not UTF-8/, scene, [scene.chunk(1, 0x8001, u32(EIO), u16(3), latin)]);
    for (const offset of [4095, 8192, 2n ** 64n - 1n]) {
      breaks(t, /^an error at \d+, outside of the request/, scene, [scene.errorAt(1, EIO, offset)]);
    }
    for (const type of [FLUSH, 99]) {
      const other = new Scene(mode, { type, length: 4096 });
      breaks(t, /^ERROR_OFFSET as a reply to command/, other, [other.errorAt(1, EIO, 0)]);
    }
    breaks(t, /^SHOULD: ERROR is the only error/, scene, [scene.error(0, EIO), scene.error(1, EIO)]);
    breaks(t, /^SHOULD: ERROR is the only error/, scene, [scene.errorAt(0, EIO, 4096), scene.error(1, EIO)]);
    const mixed = [scene.error(0, EIO), scene.errorAt(1, EIO, 4096)];
    breaks(t, /^SHOULD: an error with an offset is not mixed/, scene, mixed);
    const repeated = [scene.errorAt(0, EIO, 4096), scene.errorAt(1, EIO, 4096)];
    breaks(t, /^SHOULD: the offset of an error is not repeated/, scene, repeated);
    const inOne = [scene.data(0, 4096, 1024), scene.errorAt(0, EIO, 4096), scene.errorAt(1, EIO, 4608)];
    breaks(t, /^SHOULD: not more than one error lies within one content chunk/, scene, inOne);
    const late = [scene.errorAt(0, EIO, 4608), scene.data(1, 4096, 1024)];
    breaks(t, /^a content chunk covers the offset of an earlier error/, scene, late);

    const zero = new Scene(mode, { type: WRITE_ZEROES, length: 4096 });
    breaks(t, /^ENOTSUP for a WRITE_ZEROES without FAST_ZERO/, zero, [zero.error(1, ENOTSUP)]);
    breaks(t, /^SHOULD: ENOTSUP is not for command 0/, scene, [scene.error(1, ENOTSUP)]);
    const fast = new Scene(mode, { type: WRITE_ZEROES, flags: FAST_ZERO, length: 2 ** 30 });
    breaks(t, /^SHOULD: FAST_ZERO does not fail with EOVERFLOW/, fast, [fast.error(1, EOVERFLOW)]);
    const df = read(mode, DF, 0, 65_536);
    breaks(t, /^EOVERFLOW for a READ with DF of 65536 bytes/, df, [df.error(1, EOVERFLOW)]);
    const write = new Scene(mode, { type: WRITE, length: 65_536 });
    breaks(t, /^SHOULD: EOVERFLOW is not for command 1/, write, [write.error(1, EOVERFLOW)]);
  }
  const large = read('simple', 0, 0, 2 ** 26);
  breaks(t, /^SHOULD: EOVERFLOW is not for command 0/, large, [large.simple(EOVERFLOW)]);
  t.end();
});

// ---- block status ----

t.test('status: what may be', (t) => {
  for (const mode of CHUNKED) {
    const scene = status(mode);
    const changed = scene.status(0, CHANGED_CONTEXT, [512, 1]);
    const allocation = scene.status(0, ALLOCATION, [512, 0], [1024, 3], [65_536, 0]);
    const heard = {
      error: 0,
      contexts: new Map([
        [ALLOCATION, [{ length: 512n }, { length: 1024n, status: 3n }, { length: 65_536n, status: 0n }]],
        [CHANGED_CONTEXT, [{ length: 512n, status: 1n }]],
      ]),
    };
    holds(t, 'two contexts, one overshoots', scene, [changed, allocation, scene.none()], heard);
    holds(t, 'in the other order', scene, [allocation, scene.status(1, CHANGED_CONTEXT, [512, 1])], heard);
    holds(t, 'an error after one of them', scene, [changed, scene.error(1, EIO)], { error: EIO });
    const one = status(mode, REQ_ONE, 100, 65_536);
    holds(
      t,
      'REQ_ONE',
      one,
      [one.status(0, ALLOCATION, [65_536, 3]), one.status(1, CHANGED_CONTEXT, [412, 0])],
      {
        error: 0,
      },
    );
    const last = status(mode, 0, 4096, EXPORT_BYTES - 4096);
    const toTheEnd = [
      [512, 1],
      [EXPORT_BYTES - 4608, 0],
    ] as const;
    holds(t, 'to the odd end', last, [last.status(0, 2, ...toTheEnd), last.status(1, 1, [512, 0])], {
      error: 0,
    });
    const many = Array.from({ length: 4096 }, (_, i) => [512, i % 2] as const);
    const all = new Scene(mode, { type: BLOCK_STATUS, offset: 0, length: 4096 * 512 });
    const { fault, replies } = hear(
      all,
      Buffer.concat([all.status(0, 1, ...many), all.status(1, 2, ...many)]),
      { sizeBytes: 2 ** 22 },
    );
    t.equal(fault, undefined, `${mode}: many extents`);
    t.equal(replies[0]?.contexts.get(1)?.length, 4096);
  }
  const payload = statusPayload(4096, [CHANGED_CONTEXT]);
  const picked = new Scene('extended', { type: BLOCK_STATUS, offset: 512, payload });
  holds(t, 'by payload, one context', picked, [picked.status(1, CHANGED_CONTEXT, [4096, 0])], { error: 0 });
  t.end();
});

t.test('status: what may not', (t) => {
  for (const mode of CHUNKED) {
    const scene = status(mode);
    const extended = new Scene('extended', scene.request).status(1, ALLOCATION, [512, 0]);
    const compact = new Scene('structured', scene.request).status(1, ALLOCATION, [512, 0]);
    const wrong = mode === 'extended' ? compact.subarray(20) : extended.subarray(32);
    const type = mode === 'extended' ? 5 : 6;
    breaks(t, new RegExp(`^a status chunk of type ${type}, in ${mode} mode`), scene, [
      scene.chunk(1, type, wrong),
    ]);
    const other = read(mode);
    breaks(t, /^a status chunk as a reply to command 0/, other, [other.status(1, ALLOCATION, [512, 0])]);
    const mine = mode === 'extended' ? 6 : 5;
    const [fixed, each] = mode === 'extended' ? [8, 16] : [4, 8];
    for (const length of [0, 3, fixed - 1, fixed, fixed + 1, fixed + each - 1, fixed + each + 4]) {
      breaks(t, new RegExp(`^a status chunk with ${length} bytes`), scene, [
        scene.chunk(1, mine, zeroes(length)),
      ]);
    }
    breaks(t, /^a status chunk for context 3, which was not asked for/, scene, [
      scene.status(0, 3, [512, 0]),
    ]);
    const endless = scene.header(1, mine, fixed + each * 2 ** 22);
    breaks(t, /^a status chunk with 4194304 extents/, scene, [endless]);
    const once = scene.status(0, ALLOCATION, [512, 0]);
    breaks(t, /^a second status chunk for context 1/, scene, [once, once]);
    breaks(t, /^BLOCK_STATUS succeeds without a chunk for context 2/, scene, [once, scene.none()]);
    breaks(t, /^BLOCK_STATUS succeeds without a chunk for context 1/, scene, [scene.none()]);
    const none = /^SHOULD: BLOCK_STATUS does not succeed without a context/;
    breaks(t, none, scene, [scene.none()], { contexts: new Map() });
    breaks(t, /^an extent of nothing/, scene, [scene.status(0, ALLOCATION, [0, 0])]);
    breaks(t, /^an extent of nothing/, scene, [scene.status(0, ALLOCATION, [512, 0], [0, 3])]);
    const behind = /^an extent that begins behind the request/;
    breaks(t, behind, scene, [scene.status(0, ALLOCATION, [65_536, 0], [512, 3])]);
    breaks(t, behind, scene, [scene.status(0, ALLOCATION, [512, 3], [131_072, 0], [512, 3])]);
    const one = status(mode, REQ_ONE);
    breaks(t, /^2 extents under REQ_ONE/, one, [one.status(0, ALLOCATION, [512, 0], [512, 3])]);
    const tooLong = /^an extent longer than the request, under REQ_ONE/;
    breaks(t, tooLong, one, [one.status(0, ALLOCATION, [66_048, 0])]);
    const beyond = /^an extent beyond the end of the export/;
    breaks(t, beyond, scene, [scene.status(0, ALLOCATION, [2 ** 20, 0])]);
    breaks(t, /^SHOULD: neighbouring extents differ/, scene, [scene.status(0, 1, [512, 3], [512, 3])], {
      contexts: new Map([[1, 'base:allocation']]),
    });
    const bits = /^SHOULD: no unknown status flags in context/;
    breaks(t, bits, scene, [scene.status(1, ALLOCATION, [512, 4])], {
      contexts: new Map([[1, 'base:allocation']]),
    });
    breaks(t, bits, scene, [scene.status(1, 2, [512, 2])], { contexts: new Map([[2, 'aionbd:changed']]) });
    const round = /^SHOULD: extents are multiples of 512 bytes/;
    const only = { contexts: new Map([[1, 'base:allocation']]) };
    breaks(t, round, scene, [scene.status(1, ALLOCATION, [1000, 0], [24, 3])], only);
    breaks(t, round, scene, [scene.status(1, ALLOCATION, [1000, 0])], only);
    const large = { type: BLOCK_STATUS, offset: 0, length: 2 ** 30 };
    const vast = new Scene(mode, large);
    const extents = Array.from({ length: 2 ** 20 + 1 }, (_, i) => i % 2);
    const size = mode === 'extended' ? 16 : 8;
    const body = Buffer.alloc(extents.length * size);
    for (const [at, value] of extents.entries()) {
      body.writeUInt32BE(512, at * size + size / 2 - 4);
      body.writeUInt32BE(value, at * size + size - 4);
    }
    const count = mode === 'extended' ? [u32(extents.length)] : [];
    const chunk = vast.chunk(1, mine, u32(1), ...count, body);
    const reader = new ReplyReader(() => {}, { mode, ...only, sizeBytes: 2 ** 31 });
    reader.expect(vast.request);
    reader.push(chunk);
    t.match(reader.fault, /^SHOULD: not more than 2\^20 extents/, `${mode}: 2^20 + 1 extents`);
  }
  const scene = status('extended');
  const counted = scene.chunk(1, 6, u32(1), u32(2), u64(512), u64(0));
  breaks(t, /^a status chunk says that it has 2 extents, and has 1/, scene, [counted]);
  breaks(t, /^a status of more than 32 bits/, scene, [scene.status(1, ALLOCATION, [512, 2n ** 32n])]);
  const payload = statusPayload(4096, [CHANGED_CONTEXT]);
  const picked = new Scene('extended', { type: BLOCK_STATUS, offset: 512, payload });
  breaks(t, /^a status chunk for context 1, which was not asked for/, picked, [
    picked.status(1, 1, [512, 0]),
  ]);
  breaks(t, /^an extent that begins behind the request/, picked, [picked.status(1, 2, [4096, 0], [512, 1])]);
  t.end();
});
