import { CASES } from './cases.js';
import { QEMU_ENGINES, SERVERS } from './servers.js';

/** One case and whom it is measured of. */
export interface SetEntry {
  readonly case: string;
  readonly servers: readonly string[];
}

export interface BenchSet {
  readonly description: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly entries: readonly SetEntry[];
}

const PEERS = [...QEMU_ENGINES, 'nbdkit', 'nbd-server'];
const AIONBD_AND_QEMU = ['aionbd', ...QEMU_ENGINES];
/** What targets.ts bounds its targets by: without I/O, and with it. */
const FLOORS = ['floor', 'floor-aio', 'floor-spin', 'floor-aio-spin'];

const entry = (name: string, ...servers: readonly string[]): SetEntry => ({ case: name, servers });

/** Of every load everything; the lines without a network server only where no socket is part of the question. */
function everything(): readonly SetEntry[] {
  return Object.entries(CASES).map(([name, theCase]) => {
    switch (theCase.kind) {
      case 'load':
        return entry(
          name,
          ...Object.keys(SERVERS).filter(
            (server) => SERVERS[server]?.kind === 'server' || theCase.transport === 'unix',
          ),
        );
      case 'collections':
        return entry(name, 'aionbd');
      default:
        return entry(name, 'aionbd', 'aionbd-buffered', ...PEERS);
    }
  });
}

/** The servers of a case, in the order in which they take turns. */
export const SETS = {
  quick: {
    description: 'for development, under two minutes',
    rounds: 2,
    seconds: 2,
    entries: [
      entry('randread-qd32-unix', 'aionbd', 'qemu-nbd-io_uring', 'nbdkit', 'file'),
      entry('randwrite-qd32-unix', 'aionbd', 'qemu-nbd-io_uring'),
      entry('randread-qd1-unix', 'aionbd', 'qemu-nbd-io_uring'),
      entry('seqread-256k-qd8-unix', 'aionbd', 'nbdkit'),
      entry('start', 'aionbd'),
    ],
  },
  targets: {
    description: 'what targets.ts asks for, about 40 minutes',
    rounds: 5,
    seconds: 4,
    entries: [
      entry(
        'randread-qd32-unix',
        ...AIONBD_AND_QEMU,
        'nbdkit',
        'aionbd-buffered',
        'nbd-server',
        'file',
        'loop-direct',
        'loop-buffered',
        ...FLOORS,
      ),
      entry('randwrite-qd32-unix', ...AIONBD_AND_QEMU, 'nbdkit', 'loop-direct', ...FLOORS),
      entry('randread-qd32-tcp', ...AIONBD_AND_QEMU, 'nbdkit', ...FLOORS),
      entry(
        'conns16-qd1-unix',
        ...AIONBD_AND_QEMU,
        'nbdkit',
        'aionbd-threads2',
        ...FLOORS,
        'floor-threads2',
        'floor-aio-threads2',
        'floor-threads2-spin',
        'floor-aio-threads2-spin',
      ),
      entry('seqread-256k-qd8-unix', ...AIONBD_AND_QEMU, 'nbdkit', ...FLOORS),
      entry('seqwrite-256k-qd8-unix', ...AIONBD_AND_QEMU, 'nbdkit', ...FLOORS),
      entry('randread-qd1-unix', 'aionbd', 'aionbd-no-busy-poll', ...PEERS, ...FLOORS),
      entry('page-cache-4g', 'aionbd', 'qemu-nbd-io_uring', 'nbdkit', 'nbd-server'),
      entry('collections', 'aionbd'),
      entry('start', 'aionbd', 'qemu-nbd-io_uring', 'nbdkit', 'nbd-server'),
    ],
  },
  full: {
    description: 'every case of everything, some hours',
    rounds: 3,
    seconds: 4,
    entries: everything(),
  },
  compare: {
    description: 'this tree and another commit of it (npm run bench:compare)',
    rounds: 5,
    seconds: 4,
    entries: [
      entry('randread-qd32-unix', 'aionbd'),
      entry('randwrite-qd32-unix', 'aionbd'),
      entry('randread-qd1-unix', 'aionbd'),
      entry('conns16-qd1-unix', 'aionbd'),
      entry('seqread-256k-qd8-unix', 'aionbd'),
      entry('seqwrite-256k-qd8-unix', 'aionbd'),
    ],
  },
} as const satisfies Readonly<Record<string, BenchSet>>;

export type SetName = keyof typeof SETS;

/** Whom a case chosen by hand is measured of, as far as it can be. */
export const DEFAULT_SERVERS: readonly string[] = ['aionbd', 'qemu-nbd-io_uring', 'nbdkit'];
