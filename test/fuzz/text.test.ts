// Fixtures: what is printed is read again as the same bytes, and what is no case is refused with the line that is wrong.

import fc from 'fast-check';
import t from 'tap';
import { blobBytes, blobOf, parseBlob, printBlob } from './blob.js';
import type { FuzzCase } from './case.js';
import { corpusOf } from './corpus.js';
import { stepBytes } from './encode.js';
import { mutate } from './mutate.js';
import { negotiationGrammar } from './negotiation-target.js';
import { Random } from './random.js';
import { serverGrammar } from './server-target.js';
import { TARGETS } from './targets.js';
import { parseCase, printCase } from './text.js';
import { transmissionGrammar } from './transmission-target.js';

const GRAMMARS = [negotiationGrammar, transmissionGrammar, serverGrammar];

/** What a case does: its steps without their text. */
function meaning({ settings, steps }: FuzzCase): string {
  const bytes = steps.map((step, at) => `${step.kind} ${stepBytes(step, 'extended', at).toString('base64')}`);
  return JSON.stringify([Object.entries(settings).sort(), bytes]);
}

t.test('any bytes are printed and read again as they were', async (t) => {
  const runs = fc
    .array(fc.tuple(fc.nat(255), fc.nat(40)), { maxLength: 6 })
    .map((parts) => Buffer.concat(parts.map(([byte, length]) => Buffer.alloc(length, byte))));
  const strings = fc.string({ unit: 'binary' }).map((string) => Buffer.from(string));
  const any = fc.oneof(fc.uint8Array({ maxLength: 60 }), runs, strings);
  fc.assert(
    fc.property(any, (bytes) => {
      const printed = printBlob(blobOf(bytes));
      return blobBytes(parseBlob(printed)).equals(bytes) && printBlob(parseBlob(printed)) === printed;
    }),
    { numRuns: 2000 },
  );
  t.equal(blobBytes(parseBlob('"disk"+00*3+2560')).toString('hex'), '6469736b0000002560');
  t.equal(blobBytes(parseBlob('"a+b"*2')).toString(), 'a+ba+b');
  t.equal(blobBytes(parseBlob('~7*4096')).length, 4096);
  t.ok(blobBytes(parseBlob('~7*64')).equals(blobBytes(parseBlob('~7*4096')).subarray(0, 64)));
  t.equal(printBlob(blobOf('')), '""');
  t.equal(printBlob(blobOf('a'.repeat(4097))), '"a"*4097');
});

t.test('any case is printed and read again as it was', async (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...GRAMMARS), fc.nat(), (grammar, seed) => {
      const random = new Random(seed);
      const first = grammar.fresh(random);
      const fuzzCase = mutate(random, first, grammar.fresh(random), grammar);
      const printed = printCase(fuzzCase);
      const again = parseCase(printed);
      return meaning(again) === meaning(fuzzCase) && printCase(again) === printed;
    }),
    { numRuns: 1000 },
  );
  t.pass('a thousand cases of all three kinds');
});

t.test('every fixture says why it is there, or is plain from its name, and reads as it prints', async (t) => {
  for (const name of TARGETS) {
    for (const { file, fuzzCase } of corpusOf(name)) {
      t.equal(meaning(parseCase(printCase(fuzzCase))), meaning(fuzzCase), `${name}/${file}`);
      t.ok(fuzzCase.steps.length > 0, 'and does something');
    }
  }
});

t.test('what is no case is refused with its line', async (t) => {
  const refused = [
    'option',
    'option NOTHING',
    'option GO name="disk"',
    'option GO name="disk" info=3',
    'option LIST length=-1',
    'request READ offset=abc',
    'request READ flags=XX',
    'bytes 123',
    'bytes "abc',
    'peer 1 replies=loud',
    'wait forever',
    'setting unit',
    'jump 3',
  ];
  for (const line of refused) t.throws(() => parseCase(`flags 3\n# a remark\n${line}\n`), /^line 3, /, line);
});
