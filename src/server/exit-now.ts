import { loadAddon } from '../engine/addon.js';

/**
 * Ends the process though a disk hangs. `process.exit` would wait for threads that wait for the disk: Node's own, and a reactor's,
 * which must not let go of memory that the kernel may still write to.
 */
export function exitNow(code: number): never {
  return loadAddon().exitNow(code);
}
