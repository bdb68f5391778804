import { readFile, truncate, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Address, freeAddress, nbdUri } from './address.js';
import { withBackingFile } from './backing-file.js';
import { requirePrograms, runCommand } from './command.js';
import { BenchFailure, runProgram } from './failure.js';
import { IdleClient } from './idle-client.js';
import { wholeNumber } from './options.js';
import { startServer } from './server-process.js';
import { summarize } from './statistics.js';

// Whether a scrape keeps clients waiting: one client asks for one thing at a time and notes how long each answer takes, while nobody
// scrapes, while somebody does now and then, and while somebody does without a pause.

const USAGE = `Usage: npm run bench:scrape -- [--exports N] [--named N] [--threads N] [--rounds N] [--seconds S]

The longest that a request waits while /metrics and /api/status are fetched. Needs root, for a file system in memory.

  --exports N   default 1000; each has been read from, so each has its histograms
  --named N     --metrics-exports of the server; default: all of them
  --threads N   --threads of the server; default 1
  --rounds N    default 4
  --seconds S   of load in each; default 5
`;

const MIB = 1024 ** 2;
const OTHER_EXPORT_BYTES = MIB;
/** Between two fetches where they are not without a pause, ms. */
const PAUSE_MS = 1000;
const PATHS = ['/metrics', '/api/status'] as const;

interface Options {
  readonly exports: number;
  readonly named: number;
  readonly threads: number;
  readonly rounds: number;
  readonly seconds: number;
}

const MODES = { 'no scrape': undefined, 'each second': PAUSE_MS, 'without a pause': 0 } as const;
type Mode = keyof typeof MODES;

/** Of one client at depth 1, µs. */
interface Latencies {
  readonly requests: number;
  readonly median: number;
  readonly p99: number;
  readonly p999: number;
  readonly p9999: number;
  readonly longest: number;
}

interface Fetch {
  readonly path: string;
  readonly bytes: number;
  readonly ms: number;
}

await runProgram(async (signal) => {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(USAGE);
    return;
  }
  await requirePrograms(['fio'], false, signal);
  await withBackingFile({ on: 'ram' }, signal, async ({ path, folder = '.', description }) => {
    const address = await freeAddress('unix', folder);
    const metrics = join(folder, 'metrics.sock');
    const command = [process.execPath, 'dist/cli/main.js', 'serve', path] as const;
    const others = await otherExports(folder, options.exports - 1);
    const flags = [
      ...others.flatMap((name) => ['--export', `name=${name},path=${join(folder, name)}`]),
      ...['-l', nbdListen(address), '--metrics', `unix:${metrics}`, '--metrics-exports', `${options.named}`],
      ...['--threads', `${options.threads}`, '--log-level', 'warn'],
    ];
    const server = await startServer({
      name: 'aionbd',
      command: [...command, ...flags],
      address,
      ready: 'uri',
      signal,
    });
    try {
      for (const name of others) await use(address, name);
      process.stdout.write(`${options.exports} exports, ${options.named} by name; ${description}\n\n`);
      await measure(options, address, metrics, folder, signal);
    } finally {
      await server.stop();
    }
  });
});

async function measure(
  options: Options,
  address: Address,
  metrics: string,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const results = new Map<Mode, Latencies[]>();
  const fetches: Fetch[] = [];
  // The first scrape loads what is slow to load.
  for (const path of PATHS) await fetchOnce(metrics, path);
  await load(address, 1, folder, signal);
  for (let round = 0; round < options.rounds; round++) {
    for (const mode of Object.keys(MODES) as Mode[]) {
      const done = new AbortController();
      const scraping = scrape(metrics, MODES[mode], fetches, done.signal);
      const latencies = await load(address, options.seconds, folder, signal).finally(() => done.abort());
      await scraping;
      results.set(mode, [...(results.get(mode) ?? []), latencies]);
      process.stdout.write(`${row([`${round + 1}: ${mode}`, ...figures(latencies)])}\n`);
    }
  }
  const head = ['', 'requests', 'median µs', 'p99', 'p99.9', 'p99.99', 'longest'];
  process.stdout.write(`\nMedian of the rounds; of the longest, the longest of all:\n${row(head)}\n`);
  for (const [mode, rounds] of results) {
    const median = (of: (one: Latencies) => number) => summarize(rounds.map(of)).median;
    const whole: Latencies = {
      requests: median(({ requests }) => requests),
      median: median(({ median }) => median),
      p99: median(({ p99 }) => p99),
      p999: median(({ p999 }) => p999),
      p9999: median(({ p9999 }) => p9999),
      longest: Math.max(...rounds.map(({ longest }) => longest)),
    };
    process.stdout.write(`${row([mode, ...figures(whole)])}\n`);
  }
  process.stdout.write('\n');
  for (const path of PATHS) {
    const those = fetches.filter((one) => one.path === path);
    const { median, min, max } = summarize(those.map(({ ms }) => ms));
    const mib = ((those.at(-1)?.bytes ?? 0) / MIB).toFixed(2);
    process.stdout.write(
      `${path}: ${those.length} times, ${mib} MiB, ${median.toFixed(0)} ms (${min.toFixed(0)}–${max.toFixed(0)})\n`,
    );
  }
}

function figures({ requests, median, p99, p999, p9999, longest }: Latencies): readonly string[] {
  return [requests, median, p99, p999, p9999, longest].map((value) => value.toFixed(0));
}

function row([name = '', ...cells]: readonly string[]): string {
  return name.padEnd(20) + cells.map((cell) => cell.padStart(11)).join('');
}

/** Reads of 4 KiB from the default export, one at a time. */
async function load(
  address: Address,
  seconds: number,
  folder: string,
  signal: AbortSignal,
): Promise<Latencies> {
  const output = join(folder, 'fio.json');
  const args = [
    ...[
      '--name=bench',
      '--ioengine=nbd',
      `--uri=${nbdUri(address)}`,
      '--rw=randread',
      '--bs=4k',
      '--iodepth=1',
    ],
    ...['--time_based', `--runtime=${seconds}`, '--norandommap', '--percentile_list=50:99:99.9:99.99'],
    ...['--output-format=json', `--output=${output}`],
  ];
  await runCommand('fio', args, { signal });
  const text = await readFile(output, 'utf8');
  const report = JSON.parse(text.slice(text.indexOf('{'))) as {
    jobs: readonly {
      read: { total_ios: number; clat_ns: { max: number; percentile: Readonly<Record<string, number>> } };
    }[];
  };
  const read = report.jobs[0]?.read;
  if (read === undefined) throw new BenchFailure('fio reports no reads');
  const percentile = (name: string) => (read.clat_ns.percentile[name] ?? Number.NaN) / 1000;
  return {
    requests: read.total_ios,
    median: percentile('50.000000'),
    p99: percentile('99.000000'),
    p999: percentile('99.900000'),
    p9999: percentile('99.990000'),
    longest: read.clat_ns.max / 1000,
  };
}

/** Fetches by turns until it is told to stop; not at all without a pause to make. */
async function scrape(
  socketPath: string,
  pauseMs: number | undefined,
  fetches: Fetch[],
  done: AbortSignal,
): Promise<void> {
  if (pauseMs === undefined) return;
  for (let i = 0; !done.aborted; i++) {
    const path = PATHS[i % PATHS.length] ?? '/metrics';
    fetches.push(await fetchOnce(socketPath, path));
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: done }).catch(() => {});
  }
}

function fetchOnce(socketPath: string, path: string): Promise<Fetch> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (response) => {
      let bytes = 0;
      response.on('data', (piece: Buffer) => {
        bytes += piece.length;
      });
      response.on('end', () => resolve({ path, bytes, ms: performance.now() - startedAt }));
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** Small sparse files beside the one that is measured. */
async function otherExports(folder: string, count: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_, i) => `export-${i + 1}`);
  for (const name of names) {
    await writeFile(join(folder, name), '');
    await truncate(join(folder, name), OTHER_EXPORT_BYTES);
  }
  return names;
}

/** So that it has histograms of reads and writes. */
async function use(address: Address, name: string): Promise<void> {
  const client = await IdleClient.open(address, name);
  await client.write(Buffer.alloc(4096, 1), 0);
  await client.readMany(4, 4096, 0);
  client.close();
}

function nbdListen(address: Address): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      exports: { type: 'string', default: '1000' },
      named: { type: 'string' },
      threads: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '4' },
      seconds: { type: 'string', default: '5' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return undefined;
  const exports = wholeNumber('--exports', values.exports);
  return {
    exports,
    named: wholeNumber('--named', values.named ?? `${exports}`),
    threads: wholeNumber('--threads', values.threads),
    rounds: wholeNumber('--rounds', values.rounds),
    seconds: wholeNumber('--seconds', values.seconds),
  };
}
