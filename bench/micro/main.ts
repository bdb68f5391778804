import { parseArgs } from 'node:util';
import { Bench } from 'tinybench';
import { formatMicro } from '../documents.js';
import { BenchFailure, runProgram } from '../failure.js';
import { commitOfThisTree } from '../machine.js';
import type { MicroResults, MicroTask } from '../micro-results.js';
import { wholeNumber } from '../options.js';
import { writeFigures } from '../output.js';
import { codecTasks } from './codec.js';
import { ringTasks } from './ring.js';
import { slabTasks } from './slab.js';
import type { Task } from './task.js';

// Small parts of the data path, each alone in a loop. What they cost inside a server is more: caches are shared there.

const USAGE = `Usage: npm run bench:micro -- [--milliseconds MS] [--filter TEXT] [--out DIR]

  --milliseconds MS   for each task, after a warm-up; default 500
  --filter TEXT       only tasks with TEXT in their names
  --out DIR           write micro.json and micro.md there
`;

await runProgram(async () => {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(USAGE);
    return;
  }
  const ring = await ringTasks();
  try {
    const all = [...codecTasks(), ...slabTasks(), ...ring.tasks];
    const tasks = all.filter(({ name }) => name.includes(options.filter));
    const results: MicroResults = {
      kind: 'micro',
      commit: commitOfThisTree(),
      node: process.version,
      tasks: await measure(tasks, options.milliseconds),
    };
    const table = formatMicro(results);
    process.stdout.write(`${table}\n`);
    if (options.out !== undefined) await writeFigures(options.out, 'micro', results, table);
  } finally {
    await ring.close();
  }
});

async function measure(tasks: readonly Task[], milliseconds: number): Promise<readonly MicroTask[]> {
  const bench = new Bench({ time: milliseconds, warmupTime: 100, throws: true });
  for (const { name, run } of tasks) bench.add(name, run);
  await bench.run();
  return tasks.map(({ name, operations }) => {
    const result = bench.getTask(name)?.result;
    if (result === undefined || !('latency' in result)) throw new BenchFailure(`${name} has no result`);
    return {
      name,
      nanoseconds: (result.latency.p50 * 1e6) / operations,
      errorPercent: result.latency.rme,
    };
  });
}

function readOptions(): { milliseconds: number; filter: string; out: string | undefined } | undefined {
  try {
    const { values } = parseArgs({
      options: {
        milliseconds: { type: 'string', default: '500' },
        filter: { type: 'string', default: '' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return undefined;
    return {
      milliseconds: wholeNumber('--milliseconds', values.milliseconds),
      filter: values.filter,
      out: values.out,
    };
  } catch (error) {
    throw new BenchFailure(error instanceof Error ? error.message : String(error));
  }
}
