// The fuzzer itself: it finds what was hidden, makes it small, and does the same again for the same seed.

import t from 'tap';
import { blobLength } from './blob.js';
import type { FuzzCase, Step } from './case.js';
import { fuzz } from './fuzzer.js';
import { minimize } from './minimize.js';
import { negotiationGrammar } from './negotiation-target.js';
import type { Target } from './target.js';
import { parseCase, printCase } from './text.js';

const LIST = 3;
const STARTTLS = 5;

/** Finds nothing wrong; what it meets are the options. */
function watching(seen: string[]): Target {
  return {
    name: 'watching',
    grammar: negotiationGrammar,
    parallel: 1,
    run(fuzzCase) {
      seen.push(printCase(fuzzCase));
      return { fault: undefined, features: optionsOf(fuzzCase).map(String) };
    },
    check: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  };
}

/** Fails for STARTTLS somewhere behind LIST. */
function hiding(): Target {
  return {
    ...watching([]),
    run(fuzzCase) {
      const options = optionsOf(fuzzCase);
      const fails = options.includes(LIST) && options.lastIndexOf(STARTTLS) > options.indexOf(LIST);
      return { fault: fails ? 'STARTTLS after LIST' : undefined, features: options.map(String) };
    },
  };
}

function optionsOf({ steps }: FuzzCase): number[] {
  return steps.flatMap((step) => (step.kind === 'option' ? [step.option] : []));
}

t.test('a fault that takes two steps is found, and nothing but these steps is left', async (t) => {
  const { failure, cases } = await fuzz(hiding(), [], { seconds: 60, seed: 1 });
  t.equal(failure?.fault, 'STARTTLS after LIST', `after ${cases} cases`);
  t.equal(printCase(failure!.fuzzCase), 'option LIST\noption STARTTLS\n');
});

t.test('the same seed makes the same cases', async (t) => {
  const runs = await Promise.all(
    [7, 7, 8].map(async (seed) => {
      const seen: string[] = [];
      await fuzz(watching(seen), [], { seconds: 60, seed, cases: 200 });
      return seen.join('\n');
    }),
  );
  t.ok(runs[0] === runs[1], 'for one seed');
  t.ok(runs[0] !== runs[2], 'and others for another');
});

t.test('a case is made small step by step and field by field', async (t) => {
  const fuzzCase = parseCase(`setting unit=512
setting size=4096
peer 1 replies=extended contexts=[1,2]
request READ offset=77 length=5000
split
request WRITE flags=FUA|0x100 offset=100 cookie=0x55 payload=~7*5000
request FLUSH offset=0 length=0
`);
  const fails = ({ steps }: FuzzCase) => steps.some((step) => longestPayload(step) >= 2500);
  const small = await minimize(fuzzCase, fails);
  t.equal(printCase(small), 'request WRITE offset=0 payload=00*2500\n');
});

function longestPayload(step: Step): number {
  return step.kind === 'request' && step.payload ? blobLength(step.payload) : 0;
}
