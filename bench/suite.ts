import { type BackingFile, type Medium, withBackingFile } from './backing-file.js';
import { type Case, caseNamed } from './cases.js';
import { requirePrograms } from './command.js';
import { BenchFailure } from './failure.js';
import { type WatchedRun, watchMachine } from './machine.js';
import type { Measurement } from './metrics.js';
import type { Options } from './options.js';
import type { CaseResults, ServerResults, SuiteResults } from './results.js';
import { measureRound, misfit, programsFor } from './round.js';
import { type Contender, contenderNamed } from './servers.js';

interface Entrant {
  readonly name: string;
  readonly contender: Contender;
  readonly rounds: Measurement[];
  failure: string | undefined;
}

interface PlannedCase {
  readonly name: string;
  readonly theCase: Case;
  readonly entrants: readonly Entrant[];
}

/**
 * Runs all cases and hands what there is so far to `save` after each of them. A server that fails is given up for the
 * rest of its case and named in the results; everything else throws.
 */
export async function runSuite(
  options: Options,
  signal: AbortSignal,
  save: (results: SuiteResults) => Promise<void>,
): Promise<SuiteResults> {
  const planned = plan(options);
  await requirePrograms(
    planned.flatMap(({ theCase, entrants }) => [
      ...programsFor(theCase),
      ...entrants.flatMap(({ contender }) => contender.programs),
    ]),
    options.install,
    signal,
  );
  const run = watchMachine();
  const cases: CaseResults[] = [];
  const results = (): SuiteResults => ({
    kind: 'suite',
    set: options.set ?? 'by hand',
    rounds: options.rounds,
    secondsPerRound: options.seconds,
    simpleReplies: options.simpleReplies,
    machine: run.machine(),
    cases,
  });
  for (const medium of ['ram', 'disk'] as const) {
    const here = planned.filter(({ theCase }) => theCase.medium === medium);
    if (here.length === 0) continue;
    await withBackingFile(mediumFor(medium, options), signal, async (backing) => {
      for (const { name, theCase, entrants } of here) {
        process.stderr.write(`${name}: ${theCase.description}\n`);
        await runCase(theCase, entrants, backing, options, run, signal);
        cases.push({
          name,
          description: theCase.description,
          backing: backing.description,
          servers: entrants.map(serverResults),
        });
        await save(results());
      }
    });
  }
  return results();
}

function plan(options: Options): readonly PlannedCase[] {
  const contenders = new Map<string, Contender>();
  const contender = (name: string): Contender => {
    const known = contenders.get(name) ?? contenderNamed(name);
    contenders.set(name, known);
    return known;
  };
  return options.entries.map((entry) => {
    const named = caseNamed(entry.case);
    const theCase =
      options.simpleReplies && named.kind === 'load' ? { ...named, simpleReplies: true } : named;
    const entrants = entry.servers.map((name): Entrant => {
      const why = misfit(theCase, contender(name));
      if (why !== undefined) throw new BenchFailure(`${name} ${why}: it can't be measured in ${entry.case}`);
      return { name, contender: contender(name), rounds: [], failure: undefined };
    });
    return { name: entry.case, theCase, entrants };
  });
}

function mediumFor(medium: Case['medium'], options: Options): Medium {
  if (options.file !== undefined) return { on: 'named', path: options.file };
  return medium === 'ram' ? { on: 'ram' } : { on: 'disk', path: options.disk };
}

/** A B C A B C …: what else the machine does meanwhile falls on all alike. */
async function runCase(
  theCase: Case,
  entrants: readonly Entrant[],
  backing: BackingFile,
  options: Options,
  run: WatchedRun,
  signal: AbortSignal,
): Promise<void> {
  const rounds = theCase.rounds ?? options.rounds;
  for (let round = 1; round <= rounds; round++) {
    for (const entrant of entrants) {
      if (entrant.failure !== undefined) continue;
      const { name, contender } = entrant;
      let line: string;
      run.beforeRound();
      try {
        const measured = await measureRound(theCase, contender, {
          name,
          backing,
          seconds: options.seconds,
          signal,
        });
        entrant.rounds.push(measured);
        line = inShort(measured);
      } catch (error) {
        if (!(error instanceof BenchFailure) || signal.aborted) throw error;
        entrant.failure = error.message;
        line = `given up: ${error.message}`;
      }
      process.stderr.write(`  ${round}/${rounds}  ${name}: ${line}\n`);
    }
  }
}

function inShort(measured: Measurement): string {
  const { iops, mibPerSecond, startMs, pageCachePercent, collectionsPerMillion } = measured;
  if (iops !== undefined) return `${Math.round(iops)} IOPS`;
  if (mibPerSecond !== undefined) return `${Math.round(mibPerSecond)} MiB/s`;
  if (startMs !== undefined) return `${Math.round(startMs)} ms`;
  if (pageCachePercent !== undefined) return `${pageCachePercent.toFixed(2)} % of the file in the page cache`;
  return `${collectionsPerMillion?.toFixed(2)} collections per million requests`;
}

function serverResults({ name, contender, rounds, failure }: Entrant): ServerResults {
  const served = { name, description: contender.description, rounds };
  return failure === undefined ? served : { ...served, failure };
}
