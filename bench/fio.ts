import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoadCase } from './cases.js';
import { runCommand } from './command.js';
import { BenchFailure } from './failure.js';
import { buildSimpleReplies } from './simple-replies.js';

/** What fio measured from the client's side. */
export interface FioResult {
  readonly requests: number;
  readonly iops: number;
  readonly bytesPerSecond: number;
  /** Completion latency, µs. */
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  readonly p999Microseconds: number;
  /** What fio's own jobs used: user + system time, µs, and context switches. */
  readonly clientCpuMicroseconds: number;
  readonly clientContextSwitches: number;
}

export interface FioOptions {
  /** An export behind a URI, or a file or block device opened with O_DIRECT. */
  readonly target: { readonly uri: string } | { readonly path: string };
  /** How long; `whole` ends when each block was visited once. */
  readonly seconds: number | 'whole';
  /** Write zeroes: the cheapest thing there is for zram, see backing-file.ts. */
  readonly zeroes: boolean;
  /** A folder of ours; fio's report is written there and read back. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Runs one case; throws BenchFailure when fio fails or a request was answered with an error. */
export async function runFio(load: LoadCase, options: FioOptions): Promise<FioResult> {
  // The engine prints its greetings on stdout in front of the JSON: the report goes to a file.
  const output = join(options.folder, 'fio.json');
  await rm(output, { force: true });
  const env = load.simpleReplies ? { LD_PRELOAD: buildSimpleReplies() } : {};
  await runCommand('fio', fioArguments(load, options, output), { signal: options.signal, env });
  return parseReport(await readFile(output, 'utf8'), load.pattern);
}

/** fio's command line for a case. */
export function fioArguments(load: LoadCase, options: FioOptions, output: string): readonly string[] {
  const { target, seconds } = options;
  return [
    '--name=bench',
    ...('uri' in target
      ? ['--ioengine=nbd', `--uri=${target.uri}`]
      : ['--ioengine=libaio', '--direct=1', `--filename=${target.path}`]),
    `--rw=${load.pattern}`,
    ...(load.pattern === 'randrw' ? ['--rwmixread=70', '--unified_rw_reporting=mixed'] : []),
    `--bs=${load.blockBytes}`,
    `--iodepth=${load.depth}`,
    `--numjobs=${load.connections}`,
    '--group_reporting',
    ...(seconds === 'whole' ? [] : ['--time_based', `--runtime=${seconds}`]),
    // No map of blocks already visited: it costs the client time and nobody asks for it.
    '--norandommap',
    ...(options.zeroes ? ['--zero_buffers'] : []),
    '--percentile_list=50:99:99.9',
    '--output-format=json',
    `--output=${output}`,
  ];
}

/** The parts of fio's report (format json, fio 3) that are read here. */
interface FioReport {
  readonly jobs: readonly FioJob[];
}

type FioJob = Partial<Readonly<Record<'read' | 'write' | 'mixed', FioDirection>>> & {
  readonly error: number;
  /** Of `job_runtime`, per cent. */
  readonly usr_cpu: number;
  readonly sys_cpu: number;
  /** Summed over the jobs, ms. */
  readonly job_runtime: number;
  readonly ctx: number;
};

interface FioDirection {
  readonly total_ios: number;
  readonly iops: number;
  readonly bw_bytes: number;
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

const DIRECTIONS = {
  randread: 'read',
  read: 'read',
  randwrite: 'write',
  write: 'write',
  randrw: 'mixed',
} as const;

/** Reads fio's report; throws BenchFailure if it tells of an error or of no request at all. */
export function parseReport(text: string, pattern: LoadCase['pattern']): FioResult {
  const report = JSON.parse(text) as FioReport;
  // With --group_reporting all connections are one job.
  const job = report.jobs[0];
  if (job === undefined || job.error !== 0) {
    throw new BenchFailure(`fio reports error ${job?.error ?? '(no job ran)'}`);
  }
  const direction = job[DIRECTIONS[pattern]];
  if (direction === undefined || direction.total_ios === 0) {
    throw new BenchFailure('fio finished without a single request');
  }
  const { total_ios, iops, bw_bytes, clat_ns } = direction;
  const percentile = (key: string): number => (clat_ns.percentile?.[key] ?? Number.NaN) / 1000;
  return {
    requests: total_ios,
    iops,
    bytesPerSecond: bw_bytes,
    p50Microseconds: percentile('50.000000'),
    p99Microseconds: percentile('99.000000'),
    p999Microseconds: percentile('99.900000'),
    clientCpuMicroseconds: ((job.usr_cpu + job.sys_cpu) / 100) * job.job_runtime * 1000,
    clientContextSwitches: job.ctx,
  };
}
