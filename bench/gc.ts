import { parseArgs } from 'node:util';
import { withBackingFile } from './backing-file.js';
import { CASES } from './cases.js';
import { findProgram } from './command.js';
import { BenchFailure, runProgram } from './failure.js';
import { withLoadedServer } from './loaded-server.js';
import { wholeNumber } from './options.js';
import { aionbdCommand } from './servers.js';

// Counts the garbage collections of aionbd per million requests. Each line that `node --trace-gc` prints while the load
// runs is one collection, of whichever thread.

const CASE_NAME = 'randread-qd32-unix';

const USAGE = `Usage: npm run bench:gc -- [--seconds S] [--file PATH]

Counts aionbd's garbage collections under ${CASE_NAME}, per million requests.

  --seconds S    seconds of load; default 20
  --file PATH    file or block device to export; default: a RAM-backed one, made and removed (needs root)
`;

/** `[123:0x5581]  1804 ms: Scavenge 29.0 (48.0) -> 21.1 (45.2) MB, …` */
const COLLECTION = /^\[\d+:0x[0-9a-f]+\]\s+\d+ ms: (\S+) /;

await runProgram(async (signal) => {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(USAGE);
  else await countCollections(options.seconds, options.file, signal);
});

async function countCollections(
  seconds: number,
  file: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const theCase = CASES[CASE_NAME];
  if (theCase === undefined) throw new Error(`no case ${CASE_NAME}`);
  // Says what is missing before anything has been set up.
  findProgram('fio');
  aionbdCommand('/dev/null', { kind: 'unix', path: '/dev/null' }, []);

  const counts = new Map<string, number>();
  const onLine = (line: string): void => {
    const kind = COLLECTION.exec(line)?.[1];
    if (kind !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  };
  const requests = await withBackingFile(file, signal, (backing) =>
    withLoadedServer(
      {
        name: 'aionbd',
        ready: 'uri',
        command: (address) => aionbdCommand(backing.path, address, ['--trace-gc']),
        theCase,
        signal,
        onLine,
      },
      async (_server, load) => {
        counts.clear(); // of start and warm-up
        return (await load(seconds)).requests;
      },
    ),
  );

  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ') || 'none';
  process.stdout.write(
    `${((total * 1e6) / requests).toFixed(2)} garbage collections per million requests ` +
      `(${kinds}; ${requests} requests, ${CASE_NAME})\n`,
  );
}

function readOptions(argv: readonly string[]): { seconds: number; file: string | undefined } | undefined {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seconds: { type: 'string', default: '20' },
        file: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return undefined;
    return { seconds: wholeNumber('--seconds', values.seconds), file: values.file };
  } catch (error) {
    throw new BenchFailure(error instanceof Error ? error.message : String(error));
  }
}
