// Behaviours that a Python script looks at with libnbd, turned into assertions.

import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { describe, must, run } from './programs.js';

interface Verdict {
  readonly name: string;
  readonly got: unknown;
  readonly want: unknown;
}

/** Debian's interpreter by its full name: another python3 earlier on PATH does not see Debian's libnbd. */
const PYTHON = '/usr/bin/python3';

const pathOf = (script: string) => fileURLToPath(new URL(`../foreign/${script}`, import.meta.url));

/** What test/foreign/`script` prints. Throws if it fails. */
export function pythonOutput(script: string, args: readonly string[]): Promise<string> {
  return must(PYTHON, ['-B', pathOf(script), ...args]);
}

/**
 * Runs test/foreign/`script` and asserts everything that it reports, with `prefix` in front of the sentences. A script
 * that breaks off is a failure.
 */
export async function assertVerdicts(
  t: Test,
  script: string,
  args: readonly string[],
  prefix = '',
): Promise<void> {
  const result = await run(PYTHON, ['-B', pathOf(script), ...args], { timeoutMs: 90_000 });
  const verdicts = result.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Verdict);
  for (const { name, got, want } of verdicts) t.same(got, want, prefix + name);
  t.ok(result.code === 0 && verdicts.length > 0, `${prefix}${script} comes to its end`, {
    output: describe(result),
  });
}
