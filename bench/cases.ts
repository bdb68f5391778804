import { BenchFailure } from './failure.js';

/** What every case has. */
interface Common {
  readonly description: string;
  /** What the exported file lies on: memory, or the disk of `--disk`. */
  readonly medium: 'ram' | 'disk';
  readonly transport: 'unix' | 'tcp';
  /** How often each server is measured, whatever `--rounds` says. */
  readonly rounds?: number;
}

/** fio's requests for some seconds. */
export interface LoadCase extends Common {
  readonly kind: 'load';
  /** `randrw` reads 70 and writes 30 of 100. */
  readonly pattern: 'randread' | 'randwrite' | 'randrw' | 'read' | 'write';
  readonly blockBytes: number;
  /** Requests in flight on each connection. */
  readonly depth: number;
  readonly connections: number;
  /** Ask for simple replies, as the kernel's client does, where libnbd would ask for structured ones. */
  readonly simpleReplies?: boolean;
}

/** From the start of the process until it can be connected to. */
export interface StartCase extends Common {
  readonly kind: 'start';
}

/** Reads a file whole and writes it whole, and looks at what stays of it in the page cache. */
export interface PageCacheCase extends Common {
  readonly kind: 'page-cache';
  /** The file is smaller where memory is. */
  readonly fileMib: number;
}

/** nbdcopy of a whole image. */
export interface CopyCase extends Common {
  readonly kind: 'copy';
  /** `out`: from the server to nowhere. `in`: from an image file to the server. */
  readonly direction: 'out' | 'in';
}

/** Garbage collections of a server that runs on Node.js, under a load. */
export interface CollectionsCase extends Common {
  readonly kind: 'collections';
  readonly load: LoadCase;
  /**
   * At least so many seconds of load: collections are rare, so the count needs millions of requests, and V8 does some on
   * time, to give back what the start took.
   */
  readonly seconds: number;
}

/** What is measured of a server in one run. */
export type Case = LoadCase | StartCase | PageCacheCase | CopyCase | CollectionsCase;

const KIB = 1024;
const PATTERNS: Readonly<Record<LoadCase['pattern'], string>> = {
  randread: 'random reads',
  randwrite: 'random writes',
  randrw: 'random, 70 reads to 30 writes',
  read: 'sequential reads',
  write: 'sequential writes',
};

type Shape = Partial<Pick<LoadCase, 'connections' | 'transport' | 'medium'>>;

function load(pattern: LoadCase['pattern'], blockKib: number, depth: number, shape: Shape = {}): LoadCase {
  const { connections = 1, transport = 'unix', medium = 'ram' } = shape;
  const size = blockKib < 1024 ? `${blockKib} KiB` : `${blockKib / 1024} MiB`;
  const parallel = connections === 1 ? `depth ${depth}` : `${connections} connections of depth ${depth}`;
  const socket = transport === 'unix' ? 'Unix socket' : 'TCP on the loopback';
  return {
    kind: 'load',
    description: `${size} ${PATTERNS[pattern]}, ${parallel}, ${socket}${medium === 'disk' ? ', a real disk' : ''}`,
    pattern,
    blockBytes: blockKib * KIB,
    depth,
    connections,
    transport,
    medium,
  };
}

const TCP = { transport: 'tcp' } as const;
const DISK = { medium: 'disk' } as const;
const RANDOM_READS = load('randread', 4, 32);

/** A further case is a further entry; what runs when is in sets.ts. */
export const CASES: Readonly<Record<string, Case>> = {
  'randread-qd1-unix': load('randread', 4, 1),
  'randwrite-qd1-unix': load('randwrite', 4, 1),
  'randrw-qd1-unix': load('randrw', 4, 1),
  'randread-qd4-unix': load('randread', 4, 4),
  'randread-qd32-unix': RANDOM_READS,
  'randwrite-qd32-unix': load('randwrite', 4, 32),
  'randrw-qd32-unix': load('randrw', 4, 32),
  'conns16-qd1-unix': load('randread', 4, 1, { connections: 16 }),
  'conns4-qd16-unix': load('randread', 4, 16, { connections: 4 }),
  'conns4-qd16-write-unix': load('randwrite', 4, 16, { connections: 4 }),
  'randread-64k-qd16-unix': load('randread', 64, 16),
  'randwrite-64k-qd16-unix': load('randwrite', 64, 16),
  'seqread-256k-qd8-unix': load('read', 256, 8),
  'seqwrite-256k-qd8-unix': load('write', 256, 8),
  'seqread-1m-qd8-unix': load('read', 1024, 8),
  'seqwrite-1m-qd8-unix': load('write', 1024, 8),
  'randread-qd1-tcp': load('randread', 4, 1, TCP),
  'randread-qd32-tcp': load('randread', 4, 32, TCP),
  'randwrite-qd32-tcp': load('randwrite', 4, 32, TCP),
  'conns16-qd1-tcp': load('randread', 4, 1, { connections: 16, ...TCP }),
  'seqread-256k-qd8-tcp': load('read', 256, 8, TCP),
  'seqwrite-256k-qd8-tcp': load('write', 256, 8, TCP),
  'disk-randread-qd1-unix': load('randread', 4, 1, DISK),
  'disk-randread-qd32-unix': load('randread', 4, 32, DISK),
  'disk-randwrite-qd32-unix': load('randwrite', 4, 32, DISK),
  'disk-seqread-256k-qd8-unix': load('read', 256, 8, DISK),
  'disk-seqwrite-256k-qd8-unix': load('write', 256, 8, DISK),
  'copy-out': {
    kind: 'copy',
    direction: 'out',
    description: 'nbdcopy of the whole file from the server to nowhere',
    transport: 'unix',
    medium: 'ram',
  },
  'copy-in': {
    kind: 'copy',
    direction: 'in',
    description: 'nbdcopy of an image in the page cache to the server',
    transport: 'unix',
    medium: 'ram',
  },
  'page-cache-4g': {
    kind: 'page-cache',
    fileMib: 4096,
    description:
      'page-cache growth after reading and writing a whole file of its own, of 4 GiB or half of the free memory',
    transport: 'unix',
    medium: 'ram',
    rounds: 1,
  },
  start: {
    kind: 'start',
    description: 'from the start of the process until it listens',
    transport: 'unix',
    medium: 'ram',
    rounds: 10,
  },
  collections: {
    kind: 'collections',
    load: RANDOM_READS,
    seconds: 45,
    description: `garbage collections in at least 45 s of ${RANDOM_READS.description}`,
    transport: 'unix',
    medium: 'ram',
    rounds: 1,
  },
};

/** Throws BenchFailure naming those there are. */
export function caseNamed(name: string): Case {
  const found = Object.hasOwn(CASES, name) ? CASES[name] : undefined;
  if (found !== undefined) return found;
  throw new BenchFailure(
    `--case ${name}: there is no such one; take one of ${Object.keys(CASES).join(', ')}`,
  );
}

/** Whether running a case changes what the file holds. */
export function writes(theCase: Case): boolean {
  switch (theCase.kind) {
    case 'load':
      return theCase.pattern !== 'randread' && theCase.pattern !== 'read';
    case 'page-cache':
      return true;
    case 'copy':
      return theCase.direction === 'in';
    default:
      return false;
  }
}
