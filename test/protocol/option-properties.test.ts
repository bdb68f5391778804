// What a client sends during the handshake, with any lengths: it is understood exactly if they add up, and never throws.

import fc from 'fast-check';
import t from 'tap';
import {
  decodeClientFlags,
  decodeInfoRequest,
  decodeMetaContextRequest,
  decodeOptionHeader,
} from '../../src/protocol/option.js';

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const text = fc.uint8Array({ maxLength: 30 });

/** Lengths that nearly fit are the ones to get wrong. */
const lie = fc.oneof(fc.constant(0), fc.integer({ min: -9, max: 9 }), u32);

function be(value: number, bytes: number): Buffer {
  return Buffer.from(
    (value >>> 0)
      .toString(16)
      .padStart(8, '0')
      .slice(-2 * bytes),
    'hex',
  );
}

/** Somewhere in a larger buffer, which the decoders must not look at. */
function within(data: Buffer, lead: number): Uint8Array {
  const all = Buffer.concat([Buffer.alloc(lead, 0xff), data, Buffer.alloc(7, 0xff)]);
  return new Uint8Array(all.buffer, all.byteOffset + lead, data.length);
}

/** Some bytes more or less than there should be. */
function resize(data: Buffer, by: number): Buffer {
  return by < 0 ? data.subarray(0, Math.max(0, data.length + by)) : Buffer.concat([data, Buffer.alloc(by)]);
}

t.test('H2, H6: flags and option headers of any bytes', async (t) => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 24 });
  const magic = fc.constantFrom('IHAVEOPT', 'IHAVEOPS', 'JHAVEOPT', 'ihaveopt');
  const header = fc
    .tuple(magic, u32, u32)
    .map(([word, option, length]) => Buffer.concat([Buffer.from(word), be(option, 4), be(length, 4)]));
  const property = fc.property(fc.oneof(bytes, header), fc.nat(9), (raw, lead) => {
    const data = Buffer.from(raw);
    const decoded = decodeOptionHeader(within(data, lead));
    if (decodeClientFlags(within(data.subarray(0, 4), lead)) !== data.readUInt32BE(0)) return false;
    if (data.toString('latin1', 0, 8) !== 'IHAVEOPT') return decoded === undefined;
    return decoded?.option === data.readUInt32BE(8) && decoded.dataBytes === data.readUInt32BE(12);
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }));
});

t.test('H9: INFO and GO are understood exactly if their lengths add up', async (t) => {
  const outcomes = new Set<boolean>();
  const resized = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: -8, max: 8 }));
  const property = fc.property(
    text,
    fc.array(u16, { maxLength: 6 }),
    lie,
    fc.oneof(fc.constant(0), fc.integer({ min: -2, max: 2 })),
    resized,
    fc.nat(9),
    (name, types, nameLie, countLie, by, lead) => {
      const count = Math.max(0, types.length + countLie);
      const nameLength = (name.length + nameLie) >>> 0;
      const parts = [be(nameLength, 4), name, be(count, 2), ...types.map((type) => be(type, 2))];
      const data = resize(Buffer.concat(parts), by);
      const decoded = decodeInfoRequest(within(data, lead));
      const expected = readInfo(data);
      outcomes.add(expected !== undefined);
      if (expected === undefined || decoded === undefined) return expected === decoded;
      const sameTypes =
        [...decoded.informationTypes].sort().join() === [...new Set(expected.types)].sort().join();
      return Buffer.from(decoded.name).equals(expected.name) && sameTypes;
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 3000 }));
  t.equal(outcomes.size, 2, 'both kinds were met');
});

t.test('H16: so are LIST_META_CONTEXT and SET_META_CONTEXT', async (t) => {
  const outcomes = new Set<boolean>();
  const query = fc.tuple(text, fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, lie));
  const resized = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: -8, max: 8 }));
  const property = fc.property(
    text,
    fc.array(query, { maxLength: 5 }),
    fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, lie),
    fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, lie),
    resized,
    fc.nat(9),
    (name, queries, nameLie, countLie, by, lead) => {
      const parts = queries.flatMap(([bytes, off]) => [be(bytes.length + off, 4), Buffer.from(bytes)]);
      const head = [be(name.length + nameLie, 4), Buffer.from(name), be(queries.length + countLie, 4)];
      const data = resize(Buffer.concat([...head, ...parts]), by);
      const decoded = decodeMetaContextRequest(within(data, lead));
      const expected = readMeta(data);
      outcomes.add(expected !== undefined);
      if (expected === undefined || decoded === undefined) return expected === decoded;
      const found = [decoded.name, ...decoded.queries].map((bytes) => Buffer.from(bytes).toString('hex'));
      return found.join() === expected.map((bytes) => bytes.toString('hex')).join();
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 3000 }));
  t.equal(outcomes.size, 2, 'both kinds were met');
});

t.test('bytes of any kind are understood or not, and nothing else happens', async (t) => {
  const property = fc.property(fc.uint8Array({ maxLength: 60 }), (raw) => {
    const data = Buffer.from(raw);
    const info = decodeInfoRequest(raw);
    const meta = decodeMetaContextRequest(raw);
    return (
      (info !== undefined) === (readInfo(data) !== undefined) &&
      (meta !== undefined) === (readMeta(data) !== undefined)
    );
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 3000 }));
});

// u32 name length · name · u16 count · u16 × count
function readInfo(data: Buffer): { name: Buffer; types: number[] } | undefined {
  if (data.length < 6) return undefined;
  const end = 4 + data.readUInt32BE(0);
  if (end + 2 > data.length || end + 2 + 2 * data.readUInt16BE(end) !== data.length) return undefined;
  const types: number[] = [];
  for (let at = end + 2; at < data.length; at += 2) types.push(data.readUInt16BE(at));
  return { name: data.subarray(4, end), types };
}

// u32 name length · name · u32 count · (u32 length · query) × count
function readMeta(data: Buffer): Buffer[] | undefined {
  const strings: Buffer[] = [];
  let rest = data;
  let left = 1;
  for (let isName = true; left > 0; left--) {
    if (rest.length < 4 || rest.readUInt32BE(0) > rest.length - 4) return undefined;
    const length = rest.readUInt32BE(0);
    strings.push(rest.subarray(4, 4 + length));
    rest = rest.subarray(4 + length);
    if (!isName) continue;
    if (rest.length < 4) return undefined;
    left += rest.readUInt32BE(0);
    rest = rest.subarray(4);
    isName = false;
  }
  return rest.length === 0 ? strings : undefined;
}
