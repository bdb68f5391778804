import { parseArgs } from 'node:util';
import { CASES, caseNamed, writes } from './cases.js';
import { BenchFailure } from './failure.js';
import { misfit } from './round.js';
import { SERVERS } from './servers.js';
import { DEFAULT_SERVERS, SETS, type SetEntry, type SetName } from './sets.js';

export interface Options {
  /** Chosen by hand if it is undefined. */
  readonly set: SetName | undefined;
  readonly entries: readonly SetEntry[];
  readonly rounds: number;
  readonly seconds: number;
  /** undefined: make a RAM-backed one. */
  readonly file: string | undefined;
  /** Where the files of cases on a real disk are made. */
  readonly disk: string;
  readonly simpleReplies: boolean;
  /** Where the figures, the tables and the charts go. */
  readonly out: string;
  readonly install: boolean;
}

const DEFAULT_SET: SetName = 'quick';
const DEFAULT_DISK = '/var/tmp';
const DEFAULT_OUT = 'build-bench/results';

export function usage(): string {
  const list = (table: Readonly<Record<string, { readonly description: string }>>): string =>
    Object.entries(table)
      .map(([name, { description }]) => `      ${name.padEnd(28)}${description}`)
      .join('\n');
  return `Usage: npm run bench -- [options]

Measures NBD servers on the same file, taking turns, with fio's nbd engine as the client.

  --set NAME         what is measured of whom; default ${DEFAULT_SET}
${list(SETS)}
  --case NAME ...    these cases instead of a set
${list(CASES)}
  --server NAME ...  these servers, in this order; default with --case: ${DEFAULT_SERVERS.join(' ')}
${list(SERVERS)}
      ${'aionbd@COMMIT'.padEnd(28)}this project as it was at a commit; it is built first
  --rounds N         rounds for each server; default: the set's, or 5
  --seconds S        seconds of load in each; default: the set's, or 4
  --file PATH        file or block device to export; default: a RAM-backed one, made and removed (needs root)
  --overwrite        let cases that write destroy what --file holds
  --disk DIR         folder on a real disk, for the cases disk-…; a file is made there; default ${DEFAULT_DISK}
  --simple-replies   the client does not ask for structured replies (needs cc)
  --out DIR          folder for figures.json, tables.md and charts; default ${DEFAULT_OUT}
  --install          install missing peers (apt-get, needs root)
  --help             this text
`;
}

/** Reads the command line; undefined when only help was asked for. Throws BenchFailure naming the wrong value. */
export function readOptions(argv: readonly string[]): Options | undefined {
  const { values, cases, servers } = parse(argv);
  if (values.help === true) return undefined;
  if (values.set !== undefined && cases.length > 0) {
    throw new BenchFailure('--set and --case: give one of the two');
  }
  const set = cases.length > 0 ? undefined : setNamed(values.set ?? DEFAULT_SET);
  const chosen = set === undefined ? undefined : SETS[set];
  const entries = choose(chosen?.entries ?? cases.map((name) => ({ case: name, servers: [] })), servers);
  if (values.file !== undefined && values.overwrite !== true) {
    const destroyer = entries.find((entry) => writes(caseNamed(entry.case)));
    if (destroyer !== undefined) {
      throw new BenchFailure(
        `--file: the case ${destroyer.case} writes over what ${values.file} holds; add --overwrite if that is fine`,
      );
    }
  }
  return {
    set,
    entries,
    rounds: wholeNumber('--rounds', values.rounds ?? `${chosen?.rounds ?? 5}`),
    seconds: wholeNumber('--seconds', values.seconds ?? `${chosen?.seconds ?? 4}`),
    file: values.file,
    disk: values.disk ?? DEFAULT_DISK,
    simpleReplies: values['simple-replies'] === true,
    out: values.out ?? DEFAULT_OUT,
    install: values.install === true,
  };
}

/** With servers chosen by hand each case is measured of those that it fits; names are checked here. */
function choose(entries: readonly SetEntry[], servers: readonly string[]): readonly SetEntry[] {
  for (const name of servers) checkServer(name);
  const fitting = entries.map((entry): SetEntry => {
    const theCase = caseNamed(entry.case);
    const wanted = servers.length > 0 ? servers : entry.servers;
    if (wanted.length > 0 && servers.length === 0) return entry;
    const fits = (name: string): boolean => {
      const contender = SERVERS[name];
      return contender === undefined || misfit(theCase, contender) === undefined;
    };
    return { case: entry.case, servers: (wanted.length > 0 ? wanted : DEFAULT_SERVERS).filter(fits) };
  });
  const left = fitting.filter((entry) => entry.servers.length > 0);
  if (left.length === 0) throw new BenchFailure('--server: none of these can be measured in these cases');
  return left;
}

function checkServer(name: string): void {
  if (Object.hasOwn(SERVERS, name) || /^aionbd@./.test(name)) return;
  const names = [...Object.keys(SERVERS), 'aionbd@COMMIT'].join(', ');
  throw new BenchFailure(`--server ${name}: there is no such one; take one of ${names}`);
}

function setNamed(name: string): SetName {
  if (Object.hasOwn(SETS, name)) return name as SetName;
  throw new BenchFailure(`--set ${name}: there is no such one; take one of ${Object.keys(SETS).join(', ')}`);
}

function parse(argv: readonly string[]) {
  try {
    const { values, tokens } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      tokens: true,
      options: {
        set: { type: 'string' },
        case: { type: 'string', multiple: true },
        server: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        file: { type: 'string' },
        overwrite: { type: 'boolean' },
        disk: { type: 'string' },
        'simple-replies': { type: 'boolean' },
        out: { type: 'string' },
        install: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const lists: Readonly<Record<string, string[]>> = { case: [], server: [] };
    // What stands behind `--case NAME` without a flag is a further name.
    let list: string[] | undefined;
    for (const token of tokens) {
      if (token.kind === 'option') {
        list = lists[token.name];
        if (list !== undefined && token.value !== undefined) list.push(token.value);
      } else if (token.kind === 'positional') {
        if (list === undefined)
          throw new BenchFailure(`${token.value}: a name needs --case or --server before it`);
        list.push(token.value);
      }
    }
    return { values, cases: lists.case ?? [], servers: lists.server ?? [] };
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
