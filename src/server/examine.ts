import { openBacking } from '../engine/backing.js';
import { Ring } from '../engine/ring.js';

/** What a server would find of a file. */
export interface FileExamination {
  readonly blockDevice: boolean;
  readonly sizeBytes: number;
  /** Offsets and lengths of direct I/O are multiples of this, bytes; undefined if I/O would go through the page cache. */
  readonly directUnitBytes: number | undefined;
  /** Why it would; empty if it would not. */
  readonly bufferedBecause: string;
}

/** Opens a file as a server would, for reading and without a lock, and closes it again. Throws AIONBD_E_FILE. */
export function examineFile(path: string): FileExamination {
  const backing = openBacking({ path, readOnly: true, direct: 'auto', lock: false });
  try {
    return {
      blockDevice: backing.blockDevice,
      sizeBytes: backing.sizeBytes,
      directUnitBytes: backing.directFd < 0 ? undefined : backing.unitBytes,
      bufferedBecause: backing.bufferedBecause ?? '',
    };
  } finally {
    backing.close();
  }
}

const TRIAL_MEMORY_BYTES = 8 * 1024 * 1024;

/** Starts what a server needs of the kernel and ends it again. Throws AIONBD_E_AIO_LIMIT, AIONBD_E_MEMORY or AIONBD_E_ADDON. */
export async function tryReactor(queueDepth: number): Promise<void> {
  const ring = new Ring({ memoryBytes: TRIAL_MEMORY_BYTES, queueDepth });
  ring.attach({ complete() {}, batchEnd() {} });
  await ring.shutdown();
}
