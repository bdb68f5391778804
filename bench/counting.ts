import { BenchFailure, runProgram } from './failure.js';
import { readOptions } from './options.js';
import { writeResults } from './output.js';
import { runSuite } from './suite.js';
import { formatSuite } from './tables.js';
import { buildUncounted } from './uncounted.js';

// What counting costs: this tree with and without it, taking turns; flags of `npm run bench` may follow.

const CASES = ['randread-qd32-unix', 'randwrite-qd32-unix', 'randread-qd1-unix'];
const ROUNDS = '15';
const SECONDS = '3';

await runProgram(async (signal) => {
  const flags = process.argv.slice(2);
  const cases = flags.includes('--case') ? [] : ['--case', ...CASES];
  const rounds = flags.includes('--rounds') ? [] : ['--rounds', ROUNDS];
  const seconds = flags.includes('--seconds') ? [] : ['--seconds', SECONDS];
  const servers = ['--server', 'aionbd', 'aionbd-uncounted'];
  const options = readOptions([...cases, ...rounds, ...seconds, ...flags, ...servers]);
  if (options === undefined) throw new BenchFailure('flags: see npm run bench -- --help');
  await buildUncounted();
  const results = await runSuite(options, signal, (soFar) => writeResults(soFar, options.out));
  process.stdout.write(formatSuite(results));
});
