import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, 'build-bench', 'uncounted');

/** Builds this tree without the counting of requests (see uncounted/off.ts), in the way of scripts/bundle.mjs. */
export async function buildUncounted(): Promise<void> {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  // What the server finds two levels above its own files.
  for (const name of ['build', 'package.json']) symlinkSync(join(ROOT, name), join(FOLDER, name));
  await build({
    entryPoints: {
      'cli/main': join(ROOT, 'bench/uncounted/main.ts'),
      'server/thread': join(ROOT, 'bench/uncounted/thread.ts'),
    },
    outdir: join(FOLDER, 'dist'),
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    external: ['yargs', 'prom-client'],
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);",
    },
  });
}

/** The command that {@link buildUncounted} makes. */
export const UNCOUNTED_MAIN = join(FOLDER, 'dist', 'cli', 'main.js');
