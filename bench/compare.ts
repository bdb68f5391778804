import { BenchFailure, runProgram } from './failure.js';
import { readOptions } from './options.js';
import { writeResults } from './output.js';
import { runSuite } from './suite.js';
import { formatSuite } from './tables.js';

// This tree and another commit of it, taking turns; flags of `npm run bench` may follow the commit.

await runProgram(async (signal) => {
  const [revision, ...flags] = process.argv.slice(2);
  if (revision === undefined || revision.startsWith('-')) {
    throw new BenchFailure(
      'usage: npm run bench:compare -- REV [flags of npm run bench, such as --case NAME]',
    );
  }
  const set = flags.includes('--case') ? [] : ['--set', 'compare'];
  const options = readOptions([...set, ...flags, '--server', 'aionbd', `aionbd@${revision}`]);
  if (options === undefined) throw new BenchFailure('flags: see npm run bench -- --help');
  const results = await runSuite(options, signal, (soFar) => writeResults(soFar, options.out));
  process.stdout.write(formatSuite(results));
});
