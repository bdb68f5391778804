// docs/api/ is made of the docstrings of what src/index.ts exports.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { describe, run } from '../support/programs.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const pagesOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(folder.length), readFileSync(path, 'utf8')]),
  );

t.setTimeout(180_000);

t.test(
  'all that the library exports has docstrings, and docs/api is made of them: npm run docs:api',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'aionbd-api-test-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const made = await run(process.execPath, [join(ROOT, 'scripts/docs-api.mjs'), folder], {
      timeoutMs: 150_000,
    });
    t.equal(made.code, 0, describe(made));
    t.strictSame(pagesOf(folder), pagesOf(join(ROOT, 'docs/api')));
  },
);
