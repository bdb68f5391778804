// The loop: a case made from scratch or from one that was worth keeping, run, judged, and kept if it met something new.

import type { FuzzCase } from './case.js';
import { minimize } from './minimize.js';
import { mutate } from './mutate.js';
import { Random } from './random.js';
import type { Outcome, Target } from './target.js';

export interface Limits {
  readonly seconds: number;
  readonly seed: number;
  /** Ends after so many cases, if they come before the time is over. */
  readonly cases?: number;
}

export interface Report {
  readonly cases: number;
  readonly seconds: number;
  readonly features: number;
  readonly kept: number;
  readonly failure: Failure | undefined;
}

export interface Failure {
  readonly fault: string;
  readonly fuzzCase: FuzzCase;
  /** As it was found. */
  readonly original: FuzzCase;
}

export interface Progress {
  /** Each case, before it runs; the numbers go on while what was found is made small. */
  begins?(number: number, fuzzCase: FuzzCase): void;
  /** About once in ten seconds. */
  stands?(report: Omit<Report, 'failure'>): void;
}

const MOST_KEPT = 3000;
const CHECK_EVERY_MS = 2000;
const REPORT_EVERY_MS = 10_000;
/** Cases between two looks at the clock, where each takes little. */
const STRIDE = 16;

/** Runs until the time is over or something is found; what is found is made as small as possible. */
export async function fuzz(
  target: Target,
  corpus: readonly FuzzCase[],
  limits: Limits,
  progress: Progress = {},
): Promise<Report> {
  const fuzzer = new Fuzzer(target, corpus, limits, progress);
  await fuzzer.run();
  const standing = fuzzer.standing();
  let number = standing.cases;
  const tries = (fuzzCase: FuzzCase) => progress.begins?.(number++, fuzzCase);
  const failure = fuzzer.failure && (await smallest(target, fuzzer.failure, tries));
  return { ...standing, failure };
}

/** What is wrong with a case; undefined for nothing. */
export async function judge(target: Target, fuzzCase: FuzzCase): Promise<string | undefined> {
  const { fault } = await target.run(fuzzCase);
  return fault;
}

class Fuzzer {
  failure: Failure | undefined;
  readonly #target: Target;
  readonly #limits: Limits;
  readonly #progress: Progress;
  readonly #random: Random;
  readonly #kept: FuzzCase[];
  readonly #features = new Set<string>();
  readonly #started = Date.now();
  #cases = 0;

  constructor(target: Target, corpus: readonly FuzzCase[], limits: Limits, progress: Progress) {
    this.#target = target;
    this.#limits = limits;
    this.#progress = progress;
    this.#random = new Random(limits.seed);
    this.#kept = [...corpus];
  }

  standing(): Omit<Report, 'failure'> {
    const seconds = (Date.now() - this.#started) / 1000;
    return { cases: this.#cases, seconds, features: this.#features.size, kept: this.#kept.length };
  }

  async run(): Promise<void> {
    const end = this.#started + this.#limits.seconds * 1000;
    let nextCheck = Date.now() + CHECK_EVERY_MS;
    let nextReport = Date.now() + REPORT_EVERY_MS;
    // The corpus first, so that only what goes beyond it is new.
    for (const fuzzCase of [...this.#kept]) {
      if (this.failure) return;
      this.#judge(fuzzCase, await this.#run(fuzzCase), false);
    }
    while (!this.failure && Date.now() < end && this.#cases < (this.#limits.cases ?? Infinity)) {
      if (this.#target.parallel > 1) await this.#together(this.#target.parallel);
      else for (let i = 0; i < STRIDE && !this.failure; i++) await this.#one();
      if (Date.now() >= nextCheck) {
        await this.#check();
        nextCheck = Date.now() + CHECK_EVERY_MS;
      }
      if (Date.now() >= nextReport) {
        this.#progress.stands?.(this.standing());
        nextReport = Date.now() + REPORT_EVERY_MS;
      }
    }
    if (!this.failure) await this.#check();
  }

  async #one(): Promise<void> {
    const fuzzCase = this.#next();
    const outcome = this.#run(fuzzCase);
    this.#judge(fuzzCase, outcome instanceof Promise ? await outcome : outcome, true);
  }

  async #together(count: number): Promise<void> {
    const cases = Array.from({ length: count }, () => this.#next());
    const outcomes = await Promise.all(cases.map((fuzzCase) => this.#run(fuzzCase)));
    for (const [at, outcome] of outcomes.entries()) this.#judge(cases[at]!, outcome, true);
  }

  #run(fuzzCase: FuzzCase): Outcome | Promise<Outcome> {
    this.#progress.begins?.(this.#cases, fuzzCase);
    this.#cases++;
    return this.#target.run(fuzzCase);
  }

  #next(): FuzzCase {
    const random = this.#random;
    const { grammar } = this.#target;
    if (this.#kept.length === 0 || random.oneIn(4)) return grammar.fresh(random);
    return mutate(random, this.#parent(), this.#parent(), grammar);
  }

  /** What was kept last has led to the least yet. */
  #parent(): FuzzCase {
    const recent = 1 + this.#random.below(this.#kept.length);
    return this.#random.oneIn(3)
      ? this.#kept.at(-1 - this.#random.small(recent))!
      : this.#random.pick(this.#kept);
  }

  #judge(fuzzCase: FuzzCase, { fault, features }: Outcome, keeps: boolean): void {
    const before = this.#features.size;
    for (const feature of features) this.#features.add(feature);
    if (fault !== undefined) this.failure ??= { fault, fuzzCase, original: fuzzCase };
    else if (keeps && this.#features.size > before) {
      if (this.#kept.length < MOST_KEPT) this.#kept.push(fuzzCase);
      else this.#kept[this.#random.below(MOST_KEPT)] = fuzzCase;
    }
  }

  async #check(): Promise<void> {
    const fault = await this.#target.check();
    if (fault !== undefined) this.failure ??= { fault, fuzzCase: NOTHING, original: NOTHING };
  }
}

const NOTHING: FuzzCase = { settings: {}, steps: [] };

async function smallest(
  target: Target,
  failure: Failure,
  tries: (fuzzCase: FuzzCase) => void,
): Promise<Failure> {
  if (failure.fuzzCase === NOTHING) return failure;
  let { fault } = failure;
  const fuzzCase = await minimize(failure.fuzzCase, async (candidate) => {
    tries(candidate);
    const found = await judge(target, candidate);
    // Another fault is another case.
    if (found === undefined || kindOf(found) !== kindOf(failure.fault)) return false;
    fault = found;
    return true;
  });
  return { ...failure, fault, fuzzCase };
}

/** A fault without its numbers. */
export function kindOf(fault: string): string {
  return fault.slice(0, 60).replaceAll(/0x[0-9a-f]+|\d+/g, 'N');
}
