// How documents are read and judged; the documents themselves are followed by guides.test.ts.

import t from 'tap';
// @ts-expect-error: no TypeScript, since it also runs where nothing is compiled
import { difference as untypedDifference, linesOf as untypedLinesOf } from './match.mjs';
// @ts-expect-error: the same
import { parse as untypedParse } from './parse.mjs';

const difference = untypedDifference as (
  expected: readonly string[],
  printed: readonly string[],
  options?: { prefix?: boolean },
) => string | undefined;
const linesOf = untypedLinesOf as (text: string) => string[];
const parse = untypedParse as (markdown: string) => {
  uml: boolean;
  steps: { line: number; kind: string; text: string; commands: unknown[]; [more: string]: unknown }[];
};

t.test(
  'indented blocks and fenced ones are commands, also in lists, in their order and with their lines',
  async (t) => {
    const { steps } = parse('# A\n\n    one\n\n- item\n\n      two\n\n```sh\nthree\nfour\n```\n');
    t.strictSame(
      steps.map(({ line, kind, text }) => ({ line, kind, text })),
      [
        { line: 3, kind: 'shell', text: 'one' },
        { line: 7, kind: 'shell', text: 'two' },
        { line: 10, kind: 'shell', text: 'three\nfour' },
      ],
    );
  },
);

t.test('a console block has commands, continued ones too, and what is printed under them', async (t) => {
  const { steps } = parse('```console\n$ one \\\n    more\nline 1\n\nline 3\n$ two\n```\n');
  t.strictSame(steps[0]?.commands, [
    { text: 'one \\\n    more', output: ['line 1', '', 'line 3'] },
    { text: 'two', output: [] },
  ]);
});

t.test('comments in front of a block say what becomes of it', async (t) => {
  const of = (comment: string, block = '    x') => parse(`<!-- ${comment} -->\n\n${block}\n`).steps[0];
  t.match(of('not run: no\nnetwork'), { kind: 'not run', reason: 'no\nnetwork' });
  t.match(of('background until nbd://'), { kind: 'background', until: 'nbd://', commands: [{ text: 'x' }] });
  t.match(of('file /etc/x.yml', '```yaml\na: 1\n```'), { kind: 'file', path: '/etc/x.yml', text: 'a: 1' });
  t.match(of('with node'), { kind: 'node' });
  t.match(of("with the kernel's client"), { kind: 'shell', where: 'kernel' });
  t.match(of('in a clean clone'), { kind: 'shell', where: 'clean clone' });
  t.match(of('in a clean clone -->\n<!-- background until x'), { kind: 'background', where: 'clean clone' });
  t.match(parse('<!-- press Ctrl-C -->\n').steps[0], { kind: 'key', key: '\x03' });
  t.match(parse('<!-- type what it says -->\n').steps[0], { kind: 'said', where: 'clean clone' });
});

t.test('whether a document is followed in User Mode Linux is said in a comment of its own', async (t) => {
  t.equal(parse('# A\n\n<!-- follow in User Mode Linux -->\n\nText.\n').uml, true);
  t.equal(parse('# A\n').uml, false);
});

t.test('a block of which nobody knows what becomes is refused, with its line', async (t) => {
  for (const [document, complaint] of [
    ['Text.\n\n<!-- not run: -->\n\n    x\n', /line 3: .*nothing that is known: not run:/],
    ['<!-- run twice -->\n\n    x\n', /line 1: .*run twice/],
    ['Text.\n\n```yaml\na: 1\n```\n', /line 4: a block of yaml/],
    ['<!-- with node -->\n<!-- file x -->\n\n    x\n', /two comments/],
    ['```console\nno prompt\n```\n', /begins with "\$ "/],
    ['<!-- background until x -->\n```console\n$ a\n$ b\n```\n', /one command/],
    ['<!-- background until x -->\n\n    a\n\n    b\n', /one command/],
    ['<!-- press F1 -->\n', /unknown key F1/],
  ] as const) {
    t.throws(() => parse(document), { message: complaint }, document);
  }
});

t.test('other comments, and comments in front of a paragraph, are nothing to it', async (t) => {
  t.strictSame(parse('<!-- table: generated -->\n\nText.\n\n    x\n').steps[0]?.kind, 'shell');
});

t.test('output is as printed, but for … and times of day', async (t) => {
  t.equal(difference(['a', 'b'], ['a', 'b']), undefined);
  t.equal(difference(['took … s'], ['took 0.3 s']), undefined);
  t.equal(difference(['[12:00:01.250] INFO'], ['[23:59:59.001] INFO']), undefined);
  t.equal(difference(['a', '…', 'z'], ['a', 'b', 'c', 'z']), undefined);
  t.equal(difference(['a', '…', 'z'], ['a', 'z']), undefined);
  t.equal(difference(['a', '', 'b'], ['a', '', 'b', '']), undefined);
  t.match(difference(['a', 'b'], ['a', '', 'b']), /\| b/);
  t.equal(difference(['a'], ['a', 'b'], { prefix: true }), undefined);
  t.equal(difference(['100% (a|b) [c] $d'], ['100% (a|b) [c] $d']), undefined);
  t.match(difference(['a'], ['a', 'b']), /\| b/);
  t.match(difference(['a', 'b'], ['a']), /\| b/);
  t.match(difference(['a', 'b'], ['a'], { prefix: true }), /\| b/);
  t.match(difference(['a.c'], ['abc']), /abc/);
  t.match(difference([], ['a']), /\| a/);
});

t.test(
  'what a terminal shows is text without colours, carriage returns and the last line’s end',
  async (t) => {
    t.strictSame(linesOf('\x1b[1mone\x1b[0m\r\n 50 %\r100 %\r\n\n'), ['one', '100 %', '']);
  },
);
