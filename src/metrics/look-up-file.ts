import { stat, statfs } from 'node:fs/promises';
import type { ObservedExport } from './observation.js';
import type { FileFacts } from './snapshot-reader.js';

const BYTES_PER_BLOCK = 512;
const NOTHING: FileFacts = Object.freeze({
  allocatedBytes: undefined,
  filesystemFreeBytes: undefined,
  filesystemSizeBytes: undefined,
});

/**
 * How much of an export's file is allocated, and what its filesystem has left. A filesystem that hangs keeps one of the few
 * threads for such work, so call it again only when the last call for the same file has come back.
 */
export async function lookUpFile({ path, blockDevice }: ObservedExport): Promise<FileFacts> {
  if (blockDevice) return NOTHING;
  try {
    // One after the other: it keeps one thread at most.
    const file = await stat(path);
    const filesystem = await statfs(path);
    return {
      allocatedBytes: file.blocks * BYTES_PER_BLOCK,
      filesystemFreeBytes: filesystem.bavail * filesystem.bsize,
      filesystemSizeBytes: filesystem.blocks * filesystem.bsize,
    };
  } catch {
    // Renamed or removed: it is served all the same, and nobody can tell.
    return NOTHING;
  }
}
