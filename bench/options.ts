import { parseArgs } from 'node:util';
import { CASES, type Case, DEFAULT_CASE, writes } from './cases.js';
import { BenchFailure } from './failure.js';
import { DEFAULT_CANDIDATE, DEFAULT_PEER, SERVERS } from './servers.js';

export interface Options {
  readonly caseName: string;
  readonly theCase: Case;
  readonly candidate: string;
  readonly peer: string;
  readonly rounds: number;
  readonly seconds: number;
  /** undefined: make a RAM-backed one. */
  readonly file: string | undefined;
  /** Where to write the figures as JSON. */
  readonly json: string | undefined;
}

export function usage(): string {
  const list = (table: Readonly<Record<string, { readonly description: string }>>): string =>
    Object.entries(table)
      .map(([name, { description }]) => `      ${name.padEnd(24)}${description}`)
      .join('\n');
  return `Usage: npm run bench -- [options]

Compares two NBD servers, A B A B, with fio's nbd engine as the client.

  --case NAME        what the client does; default ${DEFAULT_CASE}
${list(CASES)}
  --peer NAME        the server to compare with (the candidate itself shows the noise); default ${DEFAULT_PEER}
${list(SERVERS)}
      ${'aionbd@COMMIT'.padEnd(24)}this project as it was at a commit; it is built first
  --candidate NAME   the server compared, one of the same; default ${DEFAULT_CANDIDATE}
  --rounds N         rounds for each server; default 5
  --seconds S        seconds of load in each; default 10
  --file PATH        file or block device to export; default: a RAM-backed one, made and removed (needs root)
  --overwrite        let a case that writes destroy what --file holds
  --simple-replies   the client does not ask for structured replies (needs cc)
  --json FILE        write all figures there
  --help             this text
`;
}

/** Reads the command line; undefined when only help was asked for. Throws BenchFailure naming the wrong value. */
export function readOptions(argv: readonly string[]): Options | undefined {
  const values = parse(argv);
  if (values.help === true) return undefined;
  const theCase = CASES[values.case];
  if (theCase === undefined) throw unknownName('--case', values.case, CASES);
  for (const [flag, name] of [
    ['--candidate', values.candidate],
    ['--peer', values.peer],
  ] as const) {
    if (!(name in SERVERS) && !name.startsWith('aionbd@')) throw unknownName(flag, name, SERVERS);
  }
  if (values.file !== undefined && writes(theCase) && values.overwrite !== true) {
    throw new BenchFailure(
      `--case ${values.case} writes over what ${values.file} holds; add --overwrite if that is fine`,
    );
  }
  return {
    caseName: values.case,
    theCase: values['simple-replies'] === true ? { ...theCase, simpleReplies: true } : theCase,
    candidate: values.candidate,
    peer: values.peer,
    rounds: wholeNumber('--rounds', values.rounds),
    seconds: wholeNumber('--seconds', values.seconds),
    file: values.file,
    json: values.json,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        case: { type: 'string', default: DEFAULT_CASE },
        peer: { type: 'string', default: DEFAULT_PEER },
        candidate: { type: 'string', default: DEFAULT_CANDIDATE },
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '10' },
        file: { type: 'string' },
        overwrite: { type: 'boolean' },
        'simple-replies': { type: 'boolean' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new BenchFailure(error instanceof Error ? error.message : String(error));
  }
}

/** A whole number from 1 up. */
export function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new BenchFailure(`${flag} ${text}: give a whole number from 1 up`);
  }
  return value;
}

function unknownName(flag: string, name: string, table: Readonly<Record<string, unknown>>): BenchFailure {
  return new BenchFailure(
    `${flag} ${name}: there is no such one; take one of ${Object.keys(table).join(', ')}`,
  );
}
