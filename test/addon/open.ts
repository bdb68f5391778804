// Files opened and registered, closed again when the test ends.

import { closeSync, constants, openSync } from 'node:fs';
import type { Test } from 'tap';
import type { RawReactor } from './reactor.js';

/** Opens `path` for reading and writing and registers it. The descriptor outlives the reactor. */
export function addFile(t: Test, reactor: RawReactor, path: string, direct: boolean): number {
  const fd = openSync(path, constants.O_RDWR | (direct ? constants.O_DIRECT : 0));
  t.teardown(async () => {
    await reactor.close();
    closeSync(fd);
  });
  return reactor.native.addFile(fd, direct, false);
}
