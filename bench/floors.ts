import { compileC } from './compile.js';
import type { ServerKind } from './servers.js';

/** What floor.c does: nothing but replies, or the same direct I/O as aionbd. */
type Work = 'none' | 'aio';
type Waiting = 'sleep' | 'spin';

/**
 * No competitors but bounds: what a client reaches with a server that does the least there is to do. See floor.c for
 * what it leaves out.
 */
export const FLOORS: Readonly<Record<string, ServerKind>> = {
  floor: floor('none', 1, 'sleep'),
  'floor-aio': floor('aio', 1, 'sleep'),
  'floor-threads2': floor('none', 2, 'sleep'),
  'floor-aio-threads2': floor('aio', 2, 'sleep'),
  'floor-spin': floor('none', 1, 'spin'),
  'floor-aio-spin': floor('aio', 1, 'spin'),
  'floor-threads2-spin': floor('none', 2, 'spin'),
  'floor-aio-threads2-spin': floor('aio', 2, 'spin'),
};

export function isFloor(name: string): boolean {
  return Object.hasOwn(FLOORS, name);
}

/** Compiles it if this process has not done so yet, and returns its path; throws BenchFailure where that can't be. */
export function buildFloor(): string {
  return compileC('floor.c', 'floor', ['-O2', '-pthread', '-Wall', '-Wextra', '-Werror']);
}

function floor(work: Work, threads: number, waiting: Waiting): ServerKind {
  const does = work === 'none' ? 'replies without any I/O' : 'direct I/O and nothing else';
  const how = [
    ...(threads > 1 ? [`${threads} threads`] : []),
    ...(waiting === 'spin' ? ['never asleep'] : []),
  ];
  return {
    kind: 'server',
    description: ['a bound, no server: floor.c', does, ...how].join(', '),
    programs: ['cc'],
    ready: 'connect',
    pageCache: false,
    command: ({ file, address }) => {
      const listen = address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
      return [buildFloor(), file, work, listen, `${threads}`, waiting];
    },
  };
}
