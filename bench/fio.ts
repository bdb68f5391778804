import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Case, writes } from './cases.js';
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
}

export interface FioOptions {
  readonly uri: string;
  readonly seconds: number;
  /** A folder of ours; fio's report is written there and read back. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Runs one case with fio's nbd engine; throws BenchFailure when fio fails or a request was answered with an error. */
export async function runFio(theCase: Case, options: FioOptions): Promise<FioResult> {
  // The engine prints its greetings on stdout in front of the JSON: the report goes to a file.
  const output = join(options.folder, 'fio.json');
  await rm(output, { force: true });
  const env = theCase.simpleReplies ? { LD_PRELOAD: buildSimpleReplies() } : {};
  await runCommand('fio', fioArguments(theCase, options, output), { signal: options.signal, env });
  return parseReport(await readFile(output, 'utf8'), writes(theCase) ? 'write' : 'read');
}

function fioArguments(theCase: Case, options: FioOptions, output: string): readonly string[] {
  return [
    '--name=bench',
    '--ioengine=nbd',
    `--uri=${options.uri}`,
    `--rw=${theCase.pattern}`,
    `--bs=${theCase.blockBytes}`,
    `--iodepth=${theCase.depth}`,
    `--numjobs=${theCase.connections}`,
    '--group_reporting',
    '--time_based',
    `--runtime=${options.seconds}`,
    // No map of blocks already visited: it costs the client time and nobody asks for it.
    '--norandommap',
    // Pages of zeroes stay the cheapest thing there is for zram, see backing-file.ts.
    '--zero_buffers',
    '--percentile_list=50:99',
    '--output-format=json',
    `--output=${output}`,
  ];
}

/** The parts of fio's report (format json, fio 3) that are read here. */
interface FioReport {
  readonly jobs: readonly (Readonly<Record<'read' | 'write', FioDirection>> & { readonly error: number })[];
}

interface FioDirection {
  readonly total_ios: number;
  readonly iops: number;
  readonly bw_bytes: number;
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

function parseReport(text: string, direction: 'read' | 'write'): FioResult {
  const report = JSON.parse(text) as FioReport;
  // With --group_reporting all connections are one job.
  const job = report.jobs[0];
  if (job === undefined || job.error !== 0) {
    throw new BenchFailure(`fio reports error ${job?.error ?? '(no job ran)'}`);
  }
  const { total_ios, iops, bw_bytes, clat_ns } = job[direction];
  if (total_ios === 0) throw new BenchFailure('fio finished without a single request');
  return {
    requests: total_ios,
    iops,
    bytesPerSecond: bw_bytes,
    p50Microseconds: (clat_ns.percentile?.['50.000000'] ?? Number.NaN) / 1000,
    p99Microseconds: (clat_ns.percentile?.['99.000000'] ?? Number.NaN) / 1000,
  };
}
