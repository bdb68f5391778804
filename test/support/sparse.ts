// Sparse files of chosen layouts, and maps of what is data and what is a hole: by the layout, by the file itself, and as
// clients tell them.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { KiB, MiB, pattern, sparseFile } from './files.js';
import { must } from './programs.js';
import { pythonOutput } from './python.js';

/** Where a file has data and where it has space without data: offsets and lengths in bytes. */
export interface Layout {
  readonly title: string;
  readonly sizeBytes: number;
  readonly data: readonly (readonly [offset: number, length: number])[];
  readonly preallocated?: readonly (readonly [offset: number, length: number])[];
}

export interface Extent {
  readonly offset: number;
  readonly length: number;
  /** `data`, `hole`, or what a client said that is neither. */
  readonly kind: string;
}

/** Filesystems here allocate in blocks of this size, so holes begin and end at its multiples. */
const BLOCK_BYTES = 4 * KiB;

/** Data in every second block, 2 × 2100 extents: more than fit into one reply. */
const MANY = 2100;

export const LAYOUTS: readonly Layout[] = [
  { title: 'nothing but a hole', sizeBytes: 3 * MiB, data: [] },
  { title: 'nothing but data', sizeBytes: 3 * MiB, data: [[0, 3 * MiB]] },
  {
    title: 'a hole first',
    sizeBytes: 8 * MiB,
    data: [
      [3 * MiB, 64 * KiB],
      [7 * MiB, MiB],
    ],
  },
  {
    title: 'data first',
    sizeBytes: 8 * MiB,
    data: [
      [0, 64 * KiB],
      [MiB + 4096, 4096],
    ],
  },
  {
    title: 'single bytes at odd places',
    sizeBytes: 64 * MiB,
    data: [4095, 12_289, 5_000_001, 33_333_333, 64 * MiB - 1].map((offset) => [offset, 1] as const),
  },
  {
    title: 'an odd size that ends in data',
    sizeBytes: 1_000_003,
    data: [
      [200_000, 100_000],
      [1_000_002, 1],
    ],
  },
  { title: 'an odd size that ends in a hole', sizeBytes: 1_000_003, data: [[4096, 4097]] },
  {
    title: 'thousands of extents',
    sizeBytes: 2 * MANY * BLOCK_BYTES,
    data: Array.from({ length: MANY }, (_, n) => [(2 * n + 1) * BLOCK_BYTES, BLOCK_BYTES] as const),
  },
  {
    title: 'a preallocated part, which holds no data yet',
    sizeBytes: 16 * MiB,
    data: [
      [MiB, MiB],
      [5 * MiB, 4096],
    ],
    preallocated: [[4 * MiB, 4 * MiB]],
  },
];

/** Makes a file of this layout; its data is noise, without a zero that would be worth a hole. */
export async function makeSparse(path: string, layout: Layout): Promise<string> {
  sparseFile(path, layout.sizeBytes);
  for (const [offset, length] of layout.preallocated ?? []) {
    await must('fallocate', ['--offset', String(offset), '--length', String(length), path]);
  }
  const fd = openSync(path, 'r+');
  try {
    for (const [n, [offset, length]] of layout.data.entries()) {
      writeSync(fd, noise(length, n), 0, length, offset);
    }
    // A filesystem may not know where data will lie before it has to write it.
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return path;
}

function noise(length: number, seed: number): Buffer {
  const bytes = pattern(length, seed + 1);
  for (let i = 0; i < length; i += 512) bytes[i] = 1 + (seed % 255);
  return bytes;
}

/** The map that the layout means on a filesystem with blocks of 4 KiB. */
export function mapOfLayout({ sizeBytes, data }: Layout): Extent[] {
  const extents: Extent[] = [];
  let position = 0;
  for (const [offset, length] of data) {
    const start = Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES;
    const end = Math.min(Math.ceil((offset + length) / BLOCK_BYTES) * BLOCK_BYTES, sizeBytes);
    extents.push({ offset: position, length: start - position, kind: 'hole' });
    extents.push({ offset: start, length: end - start, kind: 'data' });
    position = end;
  }
  extents.push({ offset: position, length: sizeBytes - position, kind: 'hole' });
  return coalesced(extents.filter((extent) => extent.length > 0));
}

/** The map of a file by SEEK_HOLE and SEEK_DATA. */
export async function mapOfFile(path: string): Promise<Extent[]> {
  return JSON.parse(await pythonOutput('file_map.py', [path])) as Extent[];
}

/** The map that `nbdinfo --map` prints. Throws if it fails. */
export async function mapByNbdinfo(uri: string): Promise<Extent[]> {
  const kinds: Record<number, string> = { 0: 'data', 3: 'hole' };
  const said = JSON.parse(await must('nbdinfo', ['--json', '--map', uri])) as readonly {
    readonly offset: number;
    readonly length: number;
    readonly type: number;
  }[];
  return coalesced(
    said.map(({ offset, length, type }) => ({ offset, length, kind: kinds[type] ?? `type ${type}` })),
  );
}

/** The map that `qemu-img map` prints, up to the export's size: qemu counts in sectors and makes up the rest. */
export async function mapByQemu(uri: string, sizeBytes: number): Promise<Extent[]> {
  const said = JSON.parse(await must('qemu-img', ['map', '--output=json', '-f', 'raw', uri])) as readonly {
    readonly start: number;
    readonly length: number;
    readonly data: boolean;
    readonly zero: boolean;
  }[];
  const extents = said.map(({ start, length, data, zero }) => ({
    offset: start,
    length: Math.min(length, sizeBytes - start),
    kind: data && !zero ? 'data' : !data && zero ? 'hole' : `data ${data}, zero ${zero}`,
  }));
  return coalesced(extents.filter((extent) => extent.length > 0));
}

/** Neighbours of one kind as one: a client that asks again in the middle of a hole tells it in two parts. */
function coalesced(extents: readonly Extent[]): Extent[] {
  const whole: Extent[] = [];
  for (const extent of extents) {
    const last = whole.at(-1);
    if (last && last.kind === extent.kind && last.offset + last.length === extent.offset) {
      whole[whole.length - 1] = { ...last, length: last.length + extent.length };
    } else whole.push(extent);
  }
  return whole;
}

/** Where two maps begin to differ, in words; undefined if they don't. Maps are too long for a diff. */
export function difference(got: readonly Extent[], want: readonly Extent[]): string | undefined {
  const tell = (extent: Extent | undefined) =>
    extent === undefined ? 'nothing' : `${extent.length} bytes of ${extent.kind} at ${extent.offset}`;
  for (let i = 0; i < Math.max(got.length, want.length); i++) {
    const [a, b] = [tell(got[i]), tell(want[i])];
    if (a !== b) return `extent ${i}: got ${a}, want ${b}`;
  }
  return undefined;
}
