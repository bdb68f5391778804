import { LARGEST_BLOCK_BYTES, Slab } from '../../src/engine/slab.js';
import type { Task } from './task.js';

const SLAB_BYTES = 64 * 1024 * 1024;
/** Blocks held at once, as by requests at this depth. */
const DEPTH = 32;

/** Taking and giving back memory. */
export function slabTasks(): readonly Task[] {
  return [4096, LARGEST_BLOCK_BYTES].map((bytes) => {
    const slab = new Slab(0, SLAB_BYTES);
    const blocks = new Float64Array(DEPTH);
    return {
      name: `take and give back a block of ${bytes / 1024} KiB`,
      operations: DEPTH,
      run: () => {
        for (let i = 0; i < DEPTH; i++) blocks[i] = slab.take(bytes);
        for (let i = 0; i < DEPTH; i++) slab.give(blocks[i]!);
      },
    };
  });
}
