// A real Prometheus scrapes a server under load, and knows afterwards what fio has counted.

import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { collect, ended, run, tied } from '../support/programs.js';
import { serve } from '../support/server.js';

const RULES = fileURLToPath(new URL('../../deploy/prometheus/rules.yml', import.meta.url));
/** What Prometheus, YAML and URLs have to carry as it is. */
const NAME = 'disk "ä" 1';
const LOAD_SECONDS = 8;
const SCRAPE_MS = 250;
const PATIENCE_MS = 60_000;

interface Result {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [seconds: number, value: string];
  readonly values?: readonly (readonly [seconds: number, value: string])[];
}

/** A Prometheus that scrapes `target`, until the test ends. */
async function startPrometheus(t: Test, target: string) {
  const folder = scratch(t);
  const config = {
    global: {
      scrape_interval: `${SCRAPE_MS}ms`,
      scrape_timeout: `${SCRAPE_MS}ms`,
      evaluation_interval: '1s',
    },
    rule_files: [RULES],
    scrape_configs: [{ job_name: 'aionbd', static_configs: [{ targets: [target] }] }],
  };
  // JSON is YAML, too.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const args = [
    `--config.file=${folder}/prometheus.yml`,
    `--storage.tsdb.path=${folder}/data`,
    '--web.listen-address=127.0.0.1:0',
  ];
  const child = spawn(...tied('prometheus', args), { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended(child, 10_000);
  });
  const log = collect(child.stderr);
  const address = () => /msg="Listening on" address=(\S+)/.exec(log())?.[1];
  await until(async () => address() !== undefined && log().includes('ready to receive web requests'), log);
  return async (query: string, atSeconds?: number): Promise<readonly Result[]> => {
    const url = new URL(`http://${address()}/api/v1/query`);
    url.searchParams.set('query', query);
    if (atSeconds !== undefined) url.searchParams.set('time', String(atSeconds));
    const answer = (await (await fetch(url)).json()) as {
      status: string;
      data: { result: readonly Result[] };
    };
    if (answer.status !== 'success') throw new Error(`${query}: ${JSON.stringify(answer)}`);
    return answer.data.result;
  };
}

async function until(condition: () => Promise<boolean>, state: () => string): Promise<void> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error(`waited in vain: ${state()}`);
    await sleep(50);
  }
}

interface Counted {
  readonly total_ios: number;
  readonly io_bytes: number;
}

/** Reads and writes of several sizes, paced, so that there is some processor left. `completedAtMs` has each of them. */
async function load(t: Test, uri: string) {
  const folder = scratch(t);
  const { code, stdout, stderr } = await run(
    'fio',
    [
      '--name=load',
      '--ioengine=nbd',
      `--uri=${uri}`,
      '--rw=randrw',
      '--bsrange=4k-32k',
      '--iodepth=4',
      '--rate_iops=1000,500',
      '--time_based',
      `--runtime=${LOAD_SECONDS}`,
      `--write_lat_log=${folder}/load`,
      '--log_unix_epoch=1',
      '--output-format=json',
    ],
    { cwd: folder },
  );
  if (code !== 0) throw new Error(`fio: ${stderr}${stdout}`);
  // A line of the engine comes first.
  const [job] = (
    JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: readonly { read: Counted; write: Counted }[] }
  ).jobs;
  const completedAtMs = readFileSync(join(folder, 'load_clat.1.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(',').map(Number))
    // Of the direction 0, which is reading.
    .flatMap(([atMs = 0, , direction]) => (direction === 0 ? [atMs] : []));
  return { read: job!.read, write: job!.write, completedAtMs };
}

t.test('queries of Prometheus return the numbers that fio has counted', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), 64 * MiB);
  const server = await serve(t, { exports: [{ name: NAME, path }], args: ['--metrics', '127.0.0.1:0'] });
  const target = /"url":"http:\/\/([^/"]+)\//.exec(server.log())?.[1];
  t.ok(target, server.log());
  const query = await startPrometheus(t, target ?? '');
  const one = async (expression: string, atSeconds?: number) => {
    const results = await query(expression, atSeconds);
    return results.length === 1 ? Number(results[0]?.value?.[1]) : Number.NaN;
  };
  const labels = (operation: string) => `{export=${JSON.stringify(NAME)}, operation="${operation}"}`;
  await until(async () => (await one(`aionbd_requests_total${labels('read')}`)) === 0, server.log);

  const { read, write, completedAtMs } = await load(t, server.uri(NAME));
  t.ok(read.total_ios > 50 && write.total_ios > 50, 'there was load');
  t.equal(completedAtMs.length, read.total_ios);

  // Once a scrape has found it quiet, all is there that there will be.
  const reads = `aionbd_requests_total${labels('read')}`;
  await until(
    async () =>
      (await one('sum(aionbd_connections_active)')) === 0 && (await one('sum(aionbd_connections_total)')) > 0,
    server.log,
  );
  for (const [operation, { total_ios, io_bytes }] of [
    ['read', read],
    ['write', write],
  ] as const) {
    t.equal(await one(`aionbd_requests_total${labels(operation)}`), total_ios, `requests: ${operation}`);
    t.equal(await one(`aionbd_request_bytes_total${labels(operation)}`), io_bytes, `bytes: ${operation}`);
    t.equal(await one(`aionbd_request_duration_seconds_count${labels(operation)}`), total_ios);
  }
  t.equal(await one('sum(aionbd_request_errors_total)'), 0);
  t.equal(await one('sum(aionbd_requests_in_flight)'), 0);

  // A scrape's time is when it was asked for, so where the machine was busy its numbers are later ones: of the scrapes near both ends of
  // the load take the quickest. Between them Prometheus has to have seen what fio has.
  const [samples] = await query(`${reads}[2m]`);
  const [durations] = await query('scrape_duration_seconds[2m]');
  const tookAt = new Map(durations?.values?.map(([seconds, took]) => [seconds, Number(took)]));
  const firstMs = completedAtMs[0] ?? 0;
  const lastMs = completedAtMs.at(-1) ?? 0;
  const quickest = (fromShare: number, toShare: number) => {
    const at = (share: number) => (firstMs + share * (lastMs - firstMs)) / 1000;
    const times = (samples?.values ?? [])
      .map(([seconds]) => seconds)
      .filter((seconds) => seconds > at(fromShare) && seconds < at(toShare) && tookAt.has(seconds));
    return times.sort((a, b) => (tookAt.get(a) ?? 0) - (tookAt.get(b) ?? 0))[0] ?? Number.NaN;
  };
  const from = quickest(0.02, 0.3);
  const to = quickest(0.7, 0.98);
  t.ok(to - from > LOAD_SECONDS / 4, `a window from ${from} to ${to}`);
  const windowMs = Math.round((to - from) * 1000);
  const rate = await one(`rate(${reads}[${windowMs}ms])`, to);
  const byFio = completedAtMs.filter((ms) => ms > from * 1000 && ms <= to * 1000).length / (windowMs / 1000);
  t.ok(Math.abs(rate / byFio - 1) < 0.02, `rate: ${rate} by Prometheus, ${byFio} by fio`);

  await until(
    async () => (await query('export_operation:aionbd_requests:rate1m')).length > 0,
    () => 'the recorded series',
  );
  t.same(
    (await query('ALERTS{alertstate="firing", alertname!~"AionbdBuffered.*|AionbdFilesystem.*"}')).map(
      ({ metric }) => metric,
    ),
    [],
    'no alert, but of what depends on the machine',
  );
  await server.stop(t);
});
