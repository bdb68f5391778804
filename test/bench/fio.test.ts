// fio's command line, and its report as it was recorded from fio 3.33.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { caseNamed, type LoadCase } from '../../bench/cases.js';
import { fioArguments, parseReport } from '../../bench/fio.js';

const recorded = (name: string): string => readFileSync(new URL(`fio-${name}.json`, import.meta.url), 'utf8');

function load(name: string): LoadCase {
  const found = caseNamed(name);
  if (found.kind !== 'load') throw new Error(`${name} is no load`);
  return found;
}

const OPTIONS = {
  target: { uri: 'nbd://127.0.0.1:1/' },
  seconds: 3,
  zeroes: true,
  folder: '/nowhere',
  signal: new AbortController().signal,
} as const;

t.test('a report of reads gives counts, rates, latencies and what the client itself used', async (t) => {
  t.same(parseReport(recorded('randread'), 'randread'), {
    requests: 202139,
    iops: 201937.062937,
    bytesPerSecond: 827134209,
    p50Microseconds: 162.816,
    p99Microseconds: 4227.072,
    p999Microseconds: 8224.768,
    // 13.7 % user and 36.5 % system of two jobs of a second each.
    clientCpuMicroseconds: 1_004_000,
    clientContextSwitches: 10139,
  });
});

t.test('a report of reads and writes together counts both', async (t) => {
  const report = parseReport(recorded('randrw'), 'randrw');
  t.equal(report.requests, 66358);
  t.equal(report.p999Microseconds, 8978.432);
});

t.test('an error, no job and no request are failures', async (t) => {
  t.throws(() => parseReport(recorded('randread'), 'randwrite'), { message: /without a single request/ });
  t.throws(() => parseReport(recorded('randread'), 'randrw'), { message: /without a single request/ });
  t.throws(() => parseReport('{"jobs":[{"error":5}]}', 'read'), { message: /error 5/ });
  t.throws(() => parseReport('{"jobs":[]}', 'read'), { message: /no job ran/ });
});

t.test('a case becomes fio arguments', async (t) => {
  const args = fioArguments(load('conns4-qd16-write-unix'), OPTIONS, 'out.json');
  for (const wanted of [
    '--ioengine=nbd',
    '--uri=nbd://127.0.0.1:1/',
    '--rw=randwrite',
    '--bs=4096',
    '--iodepth=16',
    '--numjobs=4',
    '--runtime=3',
    '--zero_buffers',
    '--output=out.json',
  ]) {
    t.ok(args.includes(wanted), wanted);
  }
  t.notOk(args.some((arg) => arg.startsWith('--rwmixread')));
});

t.test('seven of ten requests of the mixed case read', async (t) => {
  t.ok(fioArguments(load('randrw-qd32-unix'), OPTIONS, 'o').includes('--rwmixread=70'));
});

t.test('without a server fio opens the file with O_DIRECT', async (t) => {
  const local = { ...OPTIONS, target: { path: '/a/file' }, zeroes: false };
  const args = fioArguments(load('randread-qd32-unix'), local, 'o');
  t.ok(['--ioengine=libaio', '--direct=1', '--filename=/a/file'].every((arg) => args.includes(arg)));
  t.notOk(args.includes('--zero_buffers'));
});

t.test('a whole file is read without a time limit', async (t) => {
  const args = fioArguments(load('seqread-1m-qd8-unix'), { ...OPTIONS, seconds: 'whole' }, 'o');
  t.notOk(args.some((arg) => /runtime|time_based/.test(arg)));
});
