import { join } from 'node:path';
import { runProgram } from './failure.js';
import { readOptions, usage } from './options.js';
import { FIGURES, writeResults } from './output.js';
import { runSuite } from './suite.js';
import { formatSuite } from './tables.js';

await runProgram(async (signal) => {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage());
    return;
  }
  // After each case, so that a run that is cut off has not been for nothing.
  const results = await runSuite(options, signal, (soFar) => writeResults(soFar, options.out));
  process.stdout.write(formatSuite(results));
  process.stderr.write(`written: ${join(options.out, FIGURES)}, tables.md and charts\n`);
  if (results.cases.some(({ servers }) => servers.some(({ failure }) => failure !== undefined))) {
    process.exitCode = 1;
  }
});
