import { readFileSync } from 'node:fs';

/** The version of this package, from its package.json: two levels up from `src/server` as from `dist/server` and bundles. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
