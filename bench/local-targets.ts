import { readFile } from 'node:fs/promises';
import { readCommand, runCommand } from './command.js';
import { BenchFailure } from './failure.js';

/** The load without an NBD server: what the kernel alone makes of it. */
export interface LocalKind {
  readonly kind: 'local';
  readonly description: string;
  readonly programs: readonly string[];
  /** Reads through the page cache. */
  readonly pageCache: boolean;
  /** Kernel workers do a part of its work. */
  readonly kernelWorkers: boolean;
  /** Makes what fio opens. */
  readonly open: (file: string) => Promise<OpenTarget>;
}

export interface OpenTarget {
  readonly path: string;
  readonly close: () => Promise<void>;
}

/** fio's libaio engine with O_DIRECT on each of these. */
export const LOCAL_TARGETS: Readonly<Record<string, LocalKind>> = {
  file: {
    kind: 'local',
    description: 'no server: fio libaio with O_DIRECT on the file itself',
    programs: [],
    pageCache: false,
    kernelWorkers: false,
    open: async (path) => ({ path, close: async () => {} }),
  },
  'loop-direct': loop(true),
  'loop-buffered': loop(false),
};

/** Sectors that direct I/O accepts on memory as on disks. */
const LOOP_SECTOR_BYTES = 4096;

function loop(direct: boolean): LocalKind {
  const mode = direct ? 'on' : 'off';
  return {
    kind: 'local',
    description: `no server: fio libaio with O_DIRECT on a loop device, losetup --direct-io=${mode}`,
    programs: ['losetup'],
    pageCache: !direct,
    kernelWorkers: true,
    open: async (file) => {
      const sector = `--sector-size=${LOOP_SECTOR_BYTES}`;
      const path = readCommand('losetup', ['--find', '--show', sector, `--direct-io=${mode}`, file]);
      const close = (): Promise<void> => runCommand('losetup', ['--detach', path]);
      // losetup only warns where the kernel refuses direct I/O.
      const dio = await readFile(path.replace('/dev/', '/sys/block/').concat('/loop/dio'), 'utf8');
      if (dio.trim() !== (direct ? '1' : '0')) {
        await close();
        throw new BenchFailure(`${path}: the kernel does not do --direct-io=${mode} on ${file}`);
      }
      return { path, close };
    },
  };
}
