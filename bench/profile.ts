import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { accountFor } from './accounting.js';
import { preparePageCache, withBackingFile } from './backing-file.js';
import { CASES } from './cases.js';
import { findProgram, requirePrograms } from './command.js';
import { formatProfiles } from './documents.js';
import { BenchFailure, runProgram } from './failure.js';
import { withLoadedServer } from './loaded-server.js';
import { watchMachine } from './machine.js';
import { wholeNumber } from './options.js';
import { writeFigures } from './output.js';
import { PlaceCounter } from './perf-script.js';
import type { Profile, ProfileResults } from './profile-results.js';
import { contenderNamed } from './servers.js';

// What the time of a request is made of: the server's, its client's, and of the server's what each system call and the
// program itself take. perf slows down what it watches, so it has a load of its own after the one that is measured.

const USAGE = `Usage: npm run bench:profile -- [--seconds S] [--out DIR]

Who uses the processors while a server is under load, and what for. Needs root, for a file system in memory and for perf.

  --seconds S   of load for each figure; default 4
  --out DIR     write profile.json and profile.md there
`;

/** Enough for shares of a per cent, and few enough that perf does not count itself. */
const SAMPLES_PER_SECOND = 1999;

const LOADS: readonly { readonly name: string; readonly server: string }[] = [
  { name: 'randread-qd32-unix', server: 'aionbd' },
  { name: 'randread-qd32-unix', server: 'aionbd-buffered' },
  { name: 'randwrite-qd32-unix', server: 'aionbd' },
  { name: 'randread-qd32-tcp', server: 'aionbd' },
  { name: 'conns16-qd1-unix', server: 'aionbd' },
  { name: 'conns16-qd1-unix', server: 'aionbd-threads2' },
  { name: 'randread-qd1-unix', server: 'aionbd' },
  { name: 'randread-qd1-unix', server: 'aionbd-no-busy-poll' },
  { name: 'seqwrite-256k-qd8-unix', server: 'aionbd' },
];

interface Options {
  readonly seconds: number;
  readonly out: string | undefined;
}

await runProgram(async (signal) => {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(USAGE);
    return;
  }
  await requirePrograms(['fio', 'perf', 'dd', 'sync'], false, signal);
  const results = await profileAll(options, signal);
  const table = formatProfiles(results);
  process.stdout.write(`${table}\n`);
  if (options.out !== undefined) await writeFigures(options.out, 'profile', results, table);
});

function profileAll({ seconds }: Options, signal: AbortSignal): Promise<ProfileResults> {
  const watched = watchMachine();
  return withBackingFile({ on: 'ram' }, signal, async ({ path, zeroes }) => {
    const profiles: Profile[] = [];
    for (const { name, server } of LOADS) {
      const load = CASES[name];
      const kind = contenderNamed(server);
      if (load?.kind !== 'load' || kind.kind !== 'server') throw new Error(`${name} of ${server} is no load`);
      await preparePageCache(path, kind.pageCache, signal);
      watched.beforeRound();
      process.stderr.write(`${name}, ${server}\n`);
      const options = {
        name: server,
        kind,
        file: path,
        transport: load.transport,
        signal,
        nodeFlags: ['--perf-basic-prof'],
      };
      const profile = await withLoadedServer(load, zeroes, options, async ({ pid }, run) => {
        const { result, usage } = await accountFor(pid, () => run(seconds));
        const [shares] = await Promise.all([profileOf(pid, seconds, signal), run(seconds + 1)]);
        return {
          case: name,
          server,
          iops: result.iops,
          serverMicroseconds: usage.cpuMicroseconds / result.requests,
          clientMicroseconds: result.clientCpuMicroseconds / result.requests,
          shares,
        };
      });
      profiles.push(profile);
    }
    return { kind: 'profile', machine: watched.machine(), secondsPerCase: seconds, profiles };
  });
}

/** Samples what a process does, from now on. */
async function profileOf(pid: number, seconds: number, signal: AbortSignal): Promise<Profile['shares']> {
  const folder = await mkdtemp(join(tmpdir(), 'aionbd-bench-'));
  try {
    const data = join(folder, 'perf.data');
    const record = ['record', '-q', '-g', '-F', `${SAMPLES_PER_SECOND}`, '-p', `${pid}`, '-o', data];
    await eachLine([...record, '--', 'sleep', `${seconds}`], signal, () => {});
    const counter = new PlaceCounter();
    const script = ['script', '-i', data, '-F', 'ip,sym,dso'];
    await eachLine(script, signal, (line) => counter.line(line));
    return counter.shares();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function eachLine(
  args: readonly string[],
  signal: AbortSignal,
  take: (line: string) => void,
): Promise<void> {
  const child = spawn(findProgram('perf'), args, { stdio: ['ignore', 'pipe', 'ignore'], signal });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  createInterface({ input: child.stdout }).on('line', take);
  const status = await ended;
  if (status !== 0) {
    throw new BenchFailure(
      `perf ${args[0]} ended with ${status}; it needs root, or sysctl kernel.perf_event_paranoid=-1`,
    );
  }
}

function readOptions(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        seconds: { type: 'string', default: '4' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return undefined;
    return { seconds: wholeNumber('--seconds', values.seconds), out: values.out };
  } catch (error) {
    throw new BenchFailure(error instanceof Error ? error.message : String(error));
  }
}
