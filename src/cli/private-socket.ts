import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListenAddress } from '../server/api.js';

/** A place for a Unix socket that nobody else can reach: a directory that only this user may enter. */
export function openPrivateSocket(): { readonly address: ListenAddress; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'aionbd-'));
  return {
    address: { kind: 'unix', path: join(directory, 'nbd.sock') },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
