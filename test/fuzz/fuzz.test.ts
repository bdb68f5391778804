// The corpus, and each fuzzer for a few seconds; `npm run fuzz` runs them for as long as one likes.

import t from 'tap';
import { chosenSeed } from '../support/random.js';
import { corpusOf } from './corpus.js';
import { fuzz, judge } from './fuzzer.js';
import { makeTarget, TARGETS } from './targets.js';
import { printCase } from './text.js';

const SECONDS = 4;
const FEWEST_FIXTURES = 60;

t.test('there is a corpus', async (t) => {
  const count = TARGETS.reduce((sum, name) => sum + corpusOf(name).length, 0);
  t.ok(count >= FEWEST_FIXTURES, `${count} fixtures`);
});

for (const name of TARGETS) {
  t.test(`${name}: the fixtures, one by one`, async (t) => {
    const target = await makeTarget(name);
    t.teardown(() => target.close());
    for (const { file, fuzzCase } of corpusOf(name)) {
      t.equal(await judge(target, fuzzCase), undefined, file);
    }
    t.equal(await target.check(), undefined, 'and nothing is left of them');
  });

  t.test(`${name}: for ${SECONDS} seconds`, async (t) => {
    const target = await makeTarget(name);
    t.teardown(() => target.close());
    const seed = chosenSeed();
    const corpus = corpusOf(name).map(({ fuzzCase }) => fuzzCase);
    const { failure, cases, features } = await fuzz(target, corpus, { seconds: SECONDS, seed });
    const again = `npm run fuzz -- --target ${name} --seed ${seed}`;
    if (failure) t.fail(`${failure.fault}\n${printCase(failure.fuzzCase)}`, { again });
    else t.pass(`seed ${seed}: ${cases} cases, ${features} features, nothing found`);
    t.ok(cases > corpus.length, 'there were cases beyond the corpus');
  });
}
