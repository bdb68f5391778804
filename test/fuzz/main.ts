// npm run fuzz -- [--target negotiation|transmission|server|all] [--seconds N] [--seed S] [--cases N] [--replay FILE]
//
// Runs until the time is over or something is found. What is found is made small, printed, and written to
// build-fuzz/failures as a fixture for --replay. The same seed on the same corpus makes the same cases; of those of `server` the kernel
// decides when which bytes arrive. --show N prints case N before it runs, for one that never ends;
// --lenient lets pass what a server only SHOULD do.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { corpusOf, projectDirectory, readFixture, writeFailure } from './corpus.js';
import { fuzz, judge, type Report } from './fuzzer.js';
import type { Target } from './target.js';
import { makeTarget, TARGETS } from './targets.js';
import { printCase } from './text.js';
import { Watchdog } from './watchdog.js';

const PATIENCE_MS = 60_000;
const MiB = 1 << 20;
/** Beyond what was there after the first seconds: a leak, not the collector's laziness. */
const MOST_GROWN_BYTES = 768 * MiB;

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: 'all' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    cases: { type: 'string', default: 'Infinity' },
    show: { type: 'string', default: '-1' },
    replay: { type: 'string' },
    lenient: { type: 'boolean', default: false },
  },
});

process.env.AIONBD_ADDON ??= join(projectDirectory(), 'build/Release/aionbd.node');
process.exitCode = await main();

async function main(): Promise<number> {
  const names = values.target === 'all' ? TARGETS : [values.target];
  for (const name of names) {
    const failed = values.replay === undefined ? await hunt(name) : await replay(name, values.replay);
    if (failed) return 1;
  }
  return 0;
}

async function replay(name: string, path: string): Promise<boolean> {
  const { fuzzCase } = readFixture(path);
  const target = await makeTarget(name, values.lenient);
  const fault = (await judge(target, fuzzCase)) ?? (await target.check());
  await target.close();
  console.log(`${name}: ${fault ?? 'nothing is wrong'}`);
  return fault !== undefined;
}

/** Whether something was found. */
async function hunt(name: string): Promise<boolean> {
  const seed = Number(values.seed);
  const target = await makeTarget(name, values.lenient);
  const watchdog = new Watchdog(PATIENCE_MS, `npm run fuzz -- --target ${name} --seed ${seed}`);
  const corpus = corpusOf(name).map(({ fuzzCase }) => fuzzCase);
  console.log(`${name}: seed ${seed}, ${corpus.length} fixtures`);
  let firstRss = 0;
  let peakRss = 0;
  const report = await fuzz(
    target,
    corpus,
    { seconds: Number(values.seconds), seed, cases: Number(values.cases) },
    {
      begins(number, fuzzCase) {
        watchdog.note(number);
        if (number === Number(values.show)) console.log(printCase(fuzzCase));
      },
      stands(so) {
        const { rss } = process.memoryUsage();
        firstRss ||= rss;
        peakRss = Math.max(peakRss, rss);
        console.log(`${name}: ${figures({ ...so, failure: undefined })}, ${Math.round(rss / MiB)} MiB`);
      },
    },
  );
  await watchdog.close();
  await target.close();
  console.log(`${name}: ${figures(report)}, at most ${Math.round(peakRss / MiB)} MiB`);
  if (report.failure) return tell(target, seed, report.failure);
  if (peakRss - firstRss <= MOST_GROWN_BYTES) return false;
  console.log(`FAIL  ${name}: memory grew from ${firstRss} to ${peakRss} bytes`);
  return true;
}

function figures({ cases, seconds, features, kept }: Report): string {
  const rate = Math.round(cases / Math.max(seconds, 0.001));
  return `${cases} cases in ${seconds.toFixed(1)} s, ${rate} a second, ${features} features, ${kept} kept`;
}

function tell(target: Target, seed: number, failure: NonNullable<Report['failure']>): true {
  const { fault, fuzzCase, original } = failure;
  const directory = join(projectDirectory(), 'build-fuzz/failures');
  const path = writeFailure(directory, target.name, seed, fault, fuzzCase);
  writeFailure(directory, `${target.name}-as-found`, seed, fault, original);
  console.log(`FAIL  ${target.name}, seed ${seed}: ${fault}\n\n${printCase(fuzzCase)}`);
  console.log(`npm run fuzz -- --target ${target.name} --replay ${path}`);
  return true;
}
