// Cases by grammar: what a client might send, with the edges of every field and lengths that lie.

import { MODES } from '../transmission/wire.js';
import { type Blob, blobOf } from './blob.js';
import type { FuzzCase, OptionData, OptionStep, RequestStep, Step } from './case.js';
import type { Random } from './random.js';

const OPTION_EDGES = [0, 4, 5, 12, 77, 0x7fffffff, 0x80000000, 0xffffffff];
const EXPORT_NAMES = ['disk', 'disk', 'disk', '', 'zwei', 'nowhere'];
const ODD_NAMES: readonly Blob[] = [
  blobOf('a'.repeat(4096)),
  blobOf('a'.repeat(4097)),
  blobOf('x'.repeat(257)),
  blobOf(Buffer.from('6469736b00', 'hex')),
  blobOf(Buffer.from('c328', 'hex')),
  blobOf(Buffer.from('efbbbf6469736b', 'hex')),
  blobOf('größe'),
];
const QUERIES = [
  'base:allocation',
  'aionbd:changed',
  'base:',
  'aionbd:',
  'x-größe:c',
  'x-größe:a:b',
  'x-größe:',
  'qemu:dirty-bitmap:b',
  'base:nothing',
  'base',
  ':',
  '',
];
const LENGTH_EDGES = [0, 1, 5, 6, 7, 8, 200, 201, 400, 401, 65_536, 65_537, 0x4000000, 0x4000001, 0xffffffff];
const FLAGS = [1, 2, 4, 8, 16, 32];
const WIDE: readonly bigint[] = [
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 4096n,
  2n ** 64n - 1n,
];
const MiB = 1 << 20;

/** What requests are about. */
export interface Ground {
  readonly sizeBytes: number;
  /** Most bytes of one payload. */
  readonly largestPayload: number;
}

// ---- the handshake

export function clientFlags(random: Random): Step {
  const value = random.oneIn(6) ? random.pick([0, 1, 2, 4, 0x10000, 0xffffffff]) : 3;
  return { kind: 'flags', value };
}

export function option(random: Random): OptionStep {
  const number = random.oneIn(12)
    ? random.pick(OPTION_EDGES)
    : random.pick([1, 2, 3, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 10, 11, 11]);
  const data = optionData(random, number);
  const lies = random.oneIn(16) ? { length: random.pick(LENGTH_EDGES) } : {};
  return { kind: 'option', option: number, data, ...lies };
}

function optionData(random: Random, number: number): OptionData {
  if (random.oneIn(20)) return { kind: 'raw', bytes: anyBytes(random, 40) };
  const lies = {
    ...(random.oneIn(24) ? { nameLength: random.pick(LENGTH_EDGES) } : {}),
    ...(random.oneIn(24) ? { count: random.pick([0, 1, 2, 1025, 65_535, 0xffffffff]) } : {}),
  };
  switch (number) {
    case 1:
      return { kind: 'raw', bytes: exportName(random) };
    case 6:
    case 7:
      return {
        kind: 'info',
        name: exportName(random),
        info: random.some(5, () => informationType(random)),
        ...lies,
      };
    case 9:
    case 10: {
      const count = random.oneIn(40) ? random.pick([1023, 1024, 1025]) : random.below(5);
      const queries = Array.from({ length: count }, () => query(random));
      return { kind: 'meta', name: exportName(random), queries, ...lies };
    }
    case 2:
    case 5:
      return { kind: 'raw', bytes: random.oneIn(4) ? anyBytes(random, 300) : [] };
    case 3:
    case 8:
    case 11:
      return { kind: 'raw', bytes: random.oneIn(10) ? anyBytes(random, 30) : [] };
    default:
      return { kind: 'raw', bytes: anyBytes(random, random.oneIn(4) ? 600 : 20) };
  }
}

/** The way to requests; sometimes it is barred. */
export function choice(random: Random): Step[] {
  const name = blobOf(random.pick(['disk', 'disk', 'disk', '', 'zwei']));
  const steps: Step[] = [];
  const mode = random.below(3);
  if (mode === 1) steps.push(plain(8));
  if (mode === 2) steps.push(plain(11));
  if (mode > 0 && !random.oneIn(3)) {
    const queries = random.pick([
      ['base:allocation'],
      ['aionbd:changed'],
      ['base:allocation', 'aionbd:changed'],
    ]);
    steps.push({
      kind: 'option',
      option: 10,
      data: { kind: 'meta', name, queries: queries.map((each) => blobOf(each)) },
    });
  }
  if (mode < 2 && random.oneIn(4))
    steps.push({ kind: 'option', option: 1, data: { kind: 'raw', bytes: name } });
  else
    steps.push({
      kind: 'option',
      option: 7,
      data: { kind: 'info', name, info: random.some(2, () => informationType(random)) },
    });
  return steps;
}

function plain(number: number): OptionStep {
  return { kind: 'option', option: number, data: { kind: 'raw', bytes: [] } };
}

function exportName(random: Random): Blob {
  return random.oneIn(12) ? random.pick(ODD_NAMES) : blobOf(random.pick(EXPORT_NAMES));
}

function informationType(random: Random): number {
  return random.oneIn(8) ? random.pick([4, 255, 0x8000, 0xffff]) : random.below(4);
}

function query(random: Random): Blob {
  if (random.oneIn(30)) return random.pick(ODD_NAMES);
  return blobOf(random.pick(QUERIES));
}

// ---- requests

export function request(random: Random, ground: Ground): RequestStep {
  const type = random.oneIn(25)
    ? random.pick([8, 9, 255, 256, 65_535])
    : random.pick([0, 0, 0, 1, 1, 1, 3, 4, 5, 6, 6, 7, 7, 7]);
  const flags = commandFlags(random, type);
  const offset = offsetIn(random, ground);
  const odd = {
    ...(random.oneIn(40) ? { cookie: random.pick(WIDE) } : {}),
    ...(random.oneIn(120) ? { magic: random.pick([0x12560953, 0x25609514, 0x21e41c71, 0x25609513, 0]) } : {}),
  };
  if (type === 1) return { kind: 'request', type, flags, offset, ...payloadOf(random, ground), ...odd };
  if (type === 7 && random.oneIn(3)) {
    const ids = random.oneIn(12)
      ? Array.from({ length: random.pick([61, 62, 63, 200]) }, () => 1)
      : random.some(3, () => random.pick([1, 1, 2, 2, 0, 3, 33]));
    const range = lengthAt(random, ground, offset);
    return { kind: 'request', type, flags, offset, status: { range, ids }, ...odd };
  }
  // A payload where none belongs.
  const length = type === 3 ? 0n : lengthAt(random, ground, offset);
  if (random.oneIn(30))
    return { kind: 'request', type, flags, offset, length, payload: payload(random, ground), ...odd };
  return { kind: 'request', type, flags, offset, length, ...odd };
}

export function disconnect(): RequestStep {
  return { kind: 'request', type: 2, flags: 0, offset: 0n, length: 0n };
}

function commandFlags(random: Random, type: number): number {
  if (random.oneIn(20)) return random.pick([...FLAGS, 0x40, 0x8000, 0xffff]);
  let flags = random.oneIn(6) ? 1 : 0;
  if (type === 0 && random.oneIn(4)) flags |= 4;
  if (type === 6 && random.oneIn(3)) flags |= 2;
  if (type === 6 && random.oneIn(3)) flags |= 16;
  if (type === 7 && random.oneIn(3)) flags |= 8;
  return flags;
}

/** Mostly inside, and near to where something begins or ends. */
export function offsetIn(random: Random, { sizeBytes }: Ground): bigint {
  if (random.oneIn(20)) return random.pick(WIDE);
  const near = random.pick([
    0,
    512,
    4096,
    65_536,
    131_072,
    262_144,
    sizeBytes,
    Math.floor(sizeBytes / 4096) * 4096,
  ]);
  const offset = random.oneIn(2) ? random.below(sizeBytes + 1) : near + random.below(5) - 2;
  return BigInt(Math.max(0, random.oneIn(10) ? offset : Math.min(offset, sizeBytes)));
}

function lengthAt(random: Random, { sizeBytes }: Ground, offset: bigint): bigint {
  if (random.oneIn(25))
    return random.pick([...WIDE, BigInt(32 * MiB), BigInt(32 * MiB + 1), BigInt(64 * MiB)]);
  const left = offset < BigInt(sizeBytes) ? sizeBytes - Number(offset) : 0;
  if (random.oneIn(25)) return BigInt(left + random.below(3) - (left > 0 ? 1 : 0));
  const most = random.pick([1, 16, 512, 600, 4096, 5000, 70_000, sizeBytes]);
  return BigInt(Math.min(left, random.oneIn(12) ? 0 : random.oneIn(2) ? most : 1 + random.below(most)));
}

function payloadOf(random: Random, ground: Ground): { payload: Blob; length?: bigint; bare?: boolean } {
  const lie = random.pick([
    0n,
    1n,
    100_000n,
    BigInt(32 * MiB),
    BigInt(32 * MiB + 1),
    BigInt(64 * MiB),
    BigInt(64 * MiB + 1),
    2n ** 32n - 1n,
    2n ** 64n - 1n,
  ]);
  return {
    payload: payload(random, ground),
    ...(random.oneIn(25) ? { length: lie } : {}),
    ...(random.oneIn(15) ? { bare: true } : {}),
  };
}

function payload(random: Random, { largestPayload }: Ground): Blob {
  const most = Math.min(largestPayload, random.pick([1, 28, 512, 600, 4096, 5000, 33_000, largestPayload]));
  const length = random.oneIn(20) ? 0 : random.oneIn(3) ? most : 1 + random.below(most);
  if (random.oneIn(4)) return [{ bytes: Buffer.from([random.pick([0, 0, 0xff, 0x25])]), times: length }];
  return [{ seed: random.below(1000), length }];
}

export function anyBytes(random: Random, most: number): Blob {
  const length = random.below(most + 1);
  if (random.oneIn(2)) return [{ seed: random.below(1000), length }];
  return blobOf(Buffer.from(Array.from({ length: Math.min(length, 40) }, () => random.below(256))));
}

// ---- whole cases

export function handshakeCase(random: Random): FuzzCase {
  const settings: Record<string, string> = { cut: String(random.oneIn(3) ? 0 : random.below(1 << 20)) };
  if (!random.oneIn(3)) settings.limits = 'small';
  if (random.oneIn(10)) settings.stopping = '1';
  const steps: Step[] = [clientFlags(random), ...random.some(12, () => option(random))];
  if (random.oneIn(2)) steps.push(...choice(random));
  return { settings, steps: sprinkle(random, steps, 6, () => ({ kind: 'split' })) };
}

export function connectionCase(random: Random, ground: Ground): FuzzCase {
  const settings: Record<string, string> = { cut: String(random.oneIn(2) ? 0 : random.below(1 << 20)) };
  const steps: Step[] = [
    random.oneIn(12) ? clientFlags(random) : { kind: 'flags', value: 3 },
    ...(random.oneIn(3) ? random.some(5, () => option(random)) : []),
    ...choice(random),
    ...random.some(10, () => request(random, ground)),
  ];
  const farewell = random.below(9);
  if (farewell < 3) steps.push(disconnect());
  else if (farewell < 5) steps.push({ kind: 'leave' });
  return {
    settings,
    steps: sprinkle(random, steps, 8, () => ({ kind: random.oneIn(2) ? 'split' : 'wait', count: 0 }) as Step),
  };
}

export function transmissionCase(random: Random, ground: (sizeBytes: number) => Ground): FuzzCase {
  const sizeBytes = random.oneIn(20)
    ? 5 * MiB + 1
    : random.pick([40_003, 40_003, 65_536, 131_075, 131_075, 200_003, 262_144, 4096, 1]);
  const settings: Record<string, string> = {
    size: String(sizeBytes),
    unit: random.pick(['0', '512', '512', '4096', '65536']),
  };
  settings.seed = String(random.below(1 << 20));
  settings.cut = String(random.oneIn(2) ? 0 : random.below(1 << 20));
  if (random.oneIn(2)) settings.fill = String(random.below(100));
  if (random.oneIn(2)) settings.sparse = '1';
  if (random.oneIn(10)) settings.readOnly = '1';
  if (random.oneIn(4)) settings.zeroing = random.pick(['slow', 'unsupported']);
  if (random.oneIn(5)) settings.errors = random.pick(['2', '3', '8', '30']);
  if (random.oneIn(5)) settings.requests = random.pick(['2', '4', '8', '16']);
  if (random.oneIn(4)) settings.memory = random.pick(['1572864', '1572864', '8388608']);
  const peers = random.oneIn(2) ? 1 : 2 + random.below(3);
  const steps: Step[] = [];
  for (let peer = 1; peer <= peers; peer++) steps.push(arrival(random, peer));
  const count = 1 + random.small(24);
  for (let i = 0; i < count; i++) {
    if (peers > 1 && random.oneIn(3)) steps.push({ kind: 'peer', peer: 1 + random.below(peers) });
    steps.push(random.oneIn(40) ? disconnect() : request(random, ground(sizeBytes)));
  }
  return { settings, steps: sprinkle(random, steps, 8, () => happening(random)) };
}

export function arrival(random: Random, peer: number): Step {
  const replies = random.pick(MODES);
  const contexts = random.pick([[], [1], [2], [1, 2]]);
  return { kind: 'peer', peer, replies, ...(replies === 'simple' ? {} : { contexts }) };
}

/** Something that happens between requests. */
export function happening(random: Random): Step {
  switch (random.below(12)) {
    case 0:
      return { kind: 'leave' };
    case 1:
      return { kind: 'stall', bytes: random.pick([0, 0, 1, 16, 20, 100, 5000, 100_000]) };
    case 2:
      return { kind: 'resume' };
    case 3:
      return random.oneIn(4) ? { kind: 'stop' } : { kind: 'tick', ms: random.pick([1000, 10_000, 11_000]) };
    case 4:
    case 5:
      return { kind: 'split' };
    default:
      return { kind: 'wait', count: random.pick([0, 1, 2, 3, 5, 10, 50]) };
  }
}

/** Puts something between steps, about once for each `every`. */
function sprinkle(random: Random, steps: readonly Step[], every: number, make: () => Step): Step[] {
  return steps.flatMap((step) => (random.oneIn(every) ? [step, make()] : [step]));
}
