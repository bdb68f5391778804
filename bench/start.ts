import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Address } from './address.js';
import { BenchFailure, runProgram } from './failure.js';
import { wholeNumber } from './options.js';
import { startServer } from './server-process.js';
import { type CommandLine, serverKind } from './servers.js';
import { type Summary, summarize } from './statistics.js';

// How long aionbd takes from being started to its URI on stdout, and then to the first reply that a client gets. The time of
// a Node.js that does nothing but print is taken along: no program that runs in it can be faster.

const USAGE = `Usage: npm run bench:start -- [--runs N] [--peer aionbd@COMMIT]

Times aionbd's start: from spawning it to its URI on stdout, and from there to the reply to a first READ.

  --runs N       starts of each, alternating; default 20
  --peer NAME    a server that prints a URI to compare with, such as aionbd@COMMIT, which is built first
`;

const FILE_BYTES = 64 << 20;
const GREETING_BYTES = 18;
const EXPORT_INFO_BYTES = 10;
const REPLY_HEADER_BYTES = 16;
const READ_BYTES = 4096;
const REPLY_DEADLINE_MS = 5000;

/** Prints what looks like a URI, and waits to be ended. */
const BARE_NODE: CommandLine = [
  process.execPath,
  '-e',
  'console.log("nbd://localhost"); setTimeout(() => {}, 1e6)',
];

/** Something to start, and what has been measured, in ms. */
interface Contender {
  readonly name: string;
  readonly command: CommandLine;
  readonly serves: boolean;
  readonly startMs: number[];
  readonly firstReplyMs: number[];
}

await runProgram(async (signal) => {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(USAGE);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'aionbd-start-'));
  try {
    const file = join(folder, 'disk.img');
    writeFileSync(file, '');
    truncateSync(file, FILE_BYTES);
    const address: Address = { kind: 'unix', path: join(folder, 's') };
    const names = ['aionbd', ...(options.peer === undefined ? [] : [options.peer])];
    const contenders = [
      ...names.map((name) => contender(name, commandOf(name, file, address))),
      contender('node alone', BARE_NODE),
    ];
    for (let run = 0; run < options.runs; run++) {
      for (const each of contenders) await startOnce(each, address, signal);
    }
    process.stdout.write(report(contenders));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function commandOf(name: string, file: string, address: Address): CommandLine {
  const kind = serverKind(name);
  if (kind === undefined || kind.ready !== 'uri') {
    throw new BenchFailure(`--peer ${name}: take a server that prints its URI, such as aionbd@COMMIT`);
  }
  return kind.command(file, address);
}

function contender(name: string, command: CommandLine): Contender {
  return { name, command, serves: command !== BARE_NODE, startMs: [], firstReplyMs: [] };
}

async function startOnce(each: Contender, address: Address, signal: AbortSignal): Promise<void> {
  const begun = performance.now();
  const { name, command } = each;
  const server = await startServer({ name, command, address, ready: 'uri', signal });
  const ready = performance.now();
  try {
    each.startMs.push(ready - begun);
    if (!each.serves) return;
    await firstReply(address);
    each.firstReplyMs.push(performance.now() - ready);
  } finally {
    await server.stop();
  }
}

/** Connects, takes the default export and reads its first bytes. */
function firstReply(address: Address): Promise<void> {
  if (address.kind !== 'unix') throw new Error('listens on a Unix socket only');
  const socket = connect(address.path);
  const select = Buffer.alloc(20);
  select.writeUInt32BE(3, 0); // fixed newstyle, no zeroes
  select.write('IHAVEOPT', 4, 'latin1');
  select.writeUInt32BE(1, 12); // NBD_OPT_EXPORT_NAME, with an empty name
  const read = Buffer.alloc(28);
  read.writeUInt32BE(0x25609513, 0);
  read.writeUInt32BE(READ_BYTES, 24);
  const selected = GREETING_BYTES + EXPORT_INFO_BYTES;
  return new Promise((resolve, reject) => {
    let before = 0;
    let received = 0;
    const justReached = (bytes: number): boolean => before < bytes && received >= bytes;
    socket.setTimeout(REPLY_DEADLINE_MS, () => socket.destroy(new Error('no reply in time')));
    socket.on('error', (error) => reject(new BenchFailure(`the first READ: ${error.message}`)));
    socket.on('close', () => reject(new BenchFailure('the server closed the connection at the first READ')));
    socket.on('data', (bytes) => {
      before = received;
      received += bytes.length;
      if (justReached(GREETING_BYTES)) socket.write(select);
      if (justReached(selected)) socket.write(read);
      if (justReached(selected + REPLY_HEADER_BYTES + READ_BYTES)) {
        resolve();
        socket.destroy();
      }
    });
  });
}

function report(contenders: readonly Contender[]): string {
  const header = `${''.padEnd(24)}${'start to URI, ms'.padEnd(30)}URI to first reply, ms\n`;
  return (
    header +
    contenders
      .map(({ name, startMs, firstReplyMs }) => {
        const reply = firstReplyMs.length === 0 ? '' : shown(summarize(firstReplyMs));
        return `${name.padEnd(24)}${shown(summarize(startMs)).padEnd(30)}${reply}`.trimEnd();
      })
      .join('\n') +
    `\n(median, lowest – highest of ${contenders[0]?.startMs.length})\n`
  );
}

function shown({ median, min, max }: Summary): string {
  return `${median.toFixed(1)} (${min.toFixed(1)} – ${max.toFixed(1)})`;
}

function readOptions(argv: readonly string[]): { runs: number; peer: string | undefined } | undefined {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        runs: { type: 'string', default: '20' },
        peer: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return undefined;
    return { runs: wholeNumber('--runs', values.runs), peer: values.peer };
  } catch (error) {
    throw new BenchFailure(error instanceof Error ? error.message : String(error));
  }
}
