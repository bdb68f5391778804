import { BenchFailure, runProgram } from './failure.js';
import { formatLimits } from './limits.js';
import { readResults } from './output.js';
import type { SuiteResults } from './results.js';
import { formatVerdicts, judgeTargets } from './targets.js';

// Says what of the targets a run has reached, and what of the rest could be. Not a test: figures depend on the machine, so it always ends with 0.

await runProgram(async () => {
  const [path, ...more] = process.argv.slice(2);
  if (path === undefined || path.startsWith('-') || more.length > 0) {
    throw new BenchFailure(
      'usage: npm run bench:targets -- FILE.json (what npm run bench -- --set targets wrote)',
    );
  }
  const results = await readResults<SuiteResults>(path, ['suite']);
  process.stdout.write(`${formatVerdicts(results, judgeTargets(results))}\n\n${formatLimits(results)}\n`);
});
