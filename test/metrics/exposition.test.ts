import fc from 'fast-check';
import t from 'tap';
import { createExposition } from '../../src/metrics/exposition.js';
import { FAMILIES } from '../../src/metrics/families.js';
import { LATENCY_BOUNDS_SECONDS } from '../../src/metrics/latency.js';
import { PROCESS_FAMILIES } from '../../src/metrics/process-families.js';
import { HANDSHAKE_FAILURES, OPERATIONS, type ServerSnapshot } from '../../src/metrics/snapshot.js';
import { run } from '../support/programs.js';
import { type Family, parseText } from './parse-text.js';
import {
  connectionOf,
  exportOf,
  latencyOf,
  operationOf,
  PROCESS,
  reactorOf,
  snapshotOf,
} from './snapshots.js';

async function page(snapshot: ServerSnapshot, mostExports = 100): Promise<Map<string, Family>> {
  return parseText(await (await createExposition(mostExports)).render(snapshot, PROCESS));
}

/** Labels in the order of their names, as the reader has them. */
const value = (
  families: Map<string, Family>,
  name: string,
  labels: Record<string, string> = {},
  part?: string,
) => families.get(name)?.samples.get((part === undefined ? '' : `${name}_${part} `) + JSON.stringify(labels));

/** One of everything. */
const FULL = snapshotOf({
  exports: [
    exportOf('disk', {
      operations: {
        read: operationOf({
          requests: 7,
          bytes: 2 ** 52,
          errors: { EIO: 2, EINVAL: 3 },
          latency: latencyOf({ 0: 1, 5: 4, 24: 2 }, 81.5),
          diskLatency: latencyOf({ 1: 5 }, 0.25),
        }),
        write: operationOf({ requests: 9, bytes: 4096, errors: { ENOSPC: 1 } }),
      },
      inFlight: 3,
      inFlightMost: 99,
      requestsGivenUp: 4,
      alignmentFixes: 6,
      connections: 2,
      connectionsTotal: 11,
      health: { healthy: true, reason: '', probeSeconds: 0.125 },
    }),
    exportOf('iso', {
      sizeBytes: 5,
      readOnly: true,
      direct: false,
      bufferedBecause: 'the filesystem says "no"',
      allocatedBytes: undefined,
      filesystemFreeBytes: undefined,
      filesystemSizeBytes: undefined,
      health: { healthy: false, reason: 'hangs', probeSeconds: undefined },
    }),
  ],
  connections: [
    connectionOf({ id: 1, metaContexts: ['base:allocation'] }),
    connectionOf({ id: 2, metaContexts: ['base:allocation'] }),
    connectionOf({ id: 3, exportName: 'iso', transport: 'tcp', replies: 'simple' }),
  ],
  reactors: [
    reactorOf({
      turns: 1,
      ioSubmitCalls: 2,
      ioSubmitted: 3,
      nowaitFallbacks: 4,
      receivedBytes: 5,
      receiveCalls: 6,
      sentBytes: 7,
      sendCalls: 8,
      readerWaits: 99,
      bufferBytes: 9,
      bufferUsedBytes: 10,
      backpressureStops: 11,
      loopLagSeconds: 12,
      aliveAtMs: 13_000,
    }),
    reactorOf({ index: 1, turns: 77 }),
  ],
  handshakeFailures: { ...snapshotOf().handshakeFailures, timeout: 3 },
  warnings: [
    { kind: 'buffered-fallback', exportName: 'iso', text: 'x' },
    { kind: 'buffered-fallback', exportName: 'disk', text: 'y' },
  ],
});

t.test('every number of a snapshot is on the page', async (t) => {
  const { contentType } = await createExposition(100);
  t.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8');
  const families = await page(FULL);
  const read = { export: 'disk', operation: 'read' };
  t.equal(value(families, 'aionbd_requests_total', read), 7);
  t.equal(value(families, 'aionbd_requests_total', { export: 'disk', operation: 'write' }), 9);
  t.equal(value(families, 'aionbd_request_bytes_total', read), 2 ** 52);
  t.equal(value(families, 'aionbd_request_bytes_total', { export: 'disk', operation: 'write' }), 4096);
  const errors = (operation: string, error: string) =>
    value(families, 'aionbd_request_errors_total', { error, export: 'disk', operation });
  t.equal(errors('read', 'EIO'), 2);
  t.equal(errors('read', 'EINVAL'), 3);
  t.equal(errors('write', 'ENOSPC'), 1);
  t.equal(errors('write', 'EIO'), 0, 'an error of the disk is there before it occurs');
  t.equal(errors('write', 'EINVAL'), undefined, 'a mistake of a client is not');
  for (const [name, disk] of [
    ['aionbd_requests_in_flight', 3],
    ['aionbd_requests_in_flight_max', 99],
    ['aionbd_requests_given_up_total', 4],
    ['aionbd_alignment_fixes_total', 6],
    ['aionbd_connections_active', 2],
    ['aionbd_connections_total', 11],
    ['aionbd_export_size_bytes', 1_000_003],
    ['aionbd_export_allocated_bytes', 8192],
    ['aionbd_export_filesystem_free_bytes', 300],
    ['aionbd_export_filesystem_size_bytes', 1000],
    ['aionbd_export_direct', 1],
    ['aionbd_export_read_only', 0],
    ['aionbd_export_healthy', 1],
    ['aionbd_export_probe_duration_seconds', 0.125],
  ] as const) {
    t.equal(value(families, name, { export: 'disk' }), disk, name);
  }
  for (const [name, iso] of [
    ['aionbd_export_size_bytes', 5],
    ['aionbd_export_allocated_bytes', undefined],
    ['aionbd_export_filesystem_free_bytes', undefined],
    ['aionbd_export_filesystem_size_bytes', undefined],
    ['aionbd_export_direct', 0],
    ['aionbd_export_read_only', 1],
    ['aionbd_export_healthy', 0],
    ['aionbd_export_probe_duration_seconds', undefined],
  ] as const) {
    t.equal(value(families, name, { export: 'iso' }), iso, name);
  }
  t.same(
    [...(families.get('aionbd_export_buffered_info')?.samples ?? [])],
    [[JSON.stringify({ export: 'iso', reason: 'the filesystem says "no"' }), 1]],
  );
  t.same(
    [...(families.get('aionbd_connections_negotiated')?.samples ?? [])],
    [
      [JSON.stringify({ block_status: 'yes', export: 'disk', replies: 'structured', transport: 'unix' }), 2],
      [JSON.stringify({ block_status: 'no', export: 'iso', replies: 'simple', transport: 'tcp' }), 1],
    ],
  );
  for (const reason of HANDSHAKE_FAILURES) {
    const expected = reason === 'timeout' ? 3 : 0;
    t.equal(value(families, 'aionbd_handshake_failures_total', { reason }), expected, reason);
  }
  for (const [i, name] of [
    'turns_total',
    'io_submit_calls_total',
    'io_submitted_total',
    'nowait_fallbacks_total',
    'received_bytes_total',
    'receive_calls_total',
    'sent_bytes_total',
    'send_calls_total',
    'buffer_bytes',
    'buffer_used_bytes',
    'backpressure_stops_total',
    'loop_lag_seconds',
    'alive_timestamp_seconds',
  ].entries()) {
    t.equal(value(families, `aionbd_reactor_${name}`, { reactor: '0' }), i + 1, name);
  }
  t.equal(value(families, 'aionbd_reactor_reader_waits_total', { reactor: '0' }), 99);
  t.equal(value(families, 'aionbd_reactor_turns_total', { reactor: '1' }), 77);
  t.equal(value(families, 'aionbd_exports'), 2);
  t.equal(value(families, 'aionbd_draining'), 0);
  t.equal(value(await page(snapshotOf({ state: 'draining' })), 'aionbd_draining'), 1);
  t.equal(value(families, 'aionbd_warnings', { kind: 'buffered-fallback' }), 2);
  t.equal(value(families, 'aionbd_build_info', { node: process.version, version: '1.2.3' }), 1);
});

t.test(
  'histograms are cumulative, have every bound, and are there for operations that have occurred',
  async (t) => {
    const families = await page(FULL);
    const name = 'aionbd_request_duration_seconds';
    const read = { export: 'disk', operation: 'read' };
    const buckets = LATENCY_BOUNDS_SECONDS.map((le) =>
      value(families, name, { export: 'disk', le: String(le), operation: 'read' }, 'bucket'),
    );
    t.same(
      buckets,
      LATENCY_BOUNDS_SECONDS.map((_, i) => (i < 5 ? 1 : 5)),
    );
    t.equal(value(families, name, { export: 'disk', le: '+Inf', operation: 'read' }, 'bucket'), 7);
    t.equal(value(families, name, read, 'count'), 7);
    t.equal(value(families, name, read, 'sum'), 81.5);
    t.equal(value(families, name, { export: 'disk', operation: 'write' }, 'count'), undefined);
    t.equal(value(families, 'aionbd_request_disk_duration_seconds', read, 'count'), 5);
    t.equal(value(families, 'aionbd_request_disk_duration_seconds', read, 'sum'), 0.25);
  },
);

t.test('the page has the metrics of the process and of Node beside ours', async (t) => {
  const families = await page(snapshotOf());
  t.ok((value(families, 'process_resident_memory_bytes') ?? 0) > 1e6);
  t.ok((value(families, 'process_virtual_memory_bytes') ?? 0) > 1e6);
  t.ok((value(families, 'process_open_fds') ?? 0) > 2);
  t.ok((value(families, 'process_max_fds') ?? 0) > 2);
  const cpu = value(families, 'process_cpu_seconds_total') ?? 0;
  t.ok(cpu > 0 && cpu < 10_000);
  const age = Date.now() / 1000 - (value(families, 'process_start_time_seconds') ?? 0);
  t.ok(age > 0 && age < 3600, `${age} s old`);
  t.equal(value(families, 'aionbd_main_thread_answers'), 1);
  t.equal(value(families, 'nodejs_eventloop_lag_seconds'), 0.001);
  t.equal(value(families, 'nodejs_heap_size_total_bytes'), 10);
  t.equal(value(families, 'nodejs_heap_size_used_bytes'), 5);
  t.equal(value(families, 'nodejs_external_memory_bytes'), 7);
  t.equal(value(families, 'nodejs_gc_duration_seconds', { kind: 'minor' }, 'count'), 3);
  t.equal(value(families, 'nodejs_gc_duration_seconds', { kind: 'major' }, 'sum'), 0.5);
});

t.test('a main thread that does not answer leaves out what only it knows, and nothing else', async (t) => {
  const { render } = await createExposition(100);
  const families = parseText(await render(FULL, { main: undefined, mainAnswerSeconds: 0.25 }));
  t.equal(value(families, 'aionbd_main_thread_answers'), 0);
  t.equal(value(families, 'nodejs_eventloop_lag_seconds'), 0.25);
  t.equal(value(families, 'nodejs_heap_size_total_bytes'), undefined);
  t.equal(value(families, 'aionbd_requests_total', { export: 'disk', operation: 'read' }), 7);
});

t.test('names are as Prometheus and OpenMetrics want them', async (t) => {
  const families = await page(FULL);
  for (const [name, { help, type }] of families) {
    t.match(help, /^[A-Z0-9].*\.$/, name);
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
    // In OpenMetrics a counter's family is called as it is without _total.
    if (type === 'counter') t.notOk(families.has(name.replace(/_total$/, '')), `${name} stands alone`);
    t.notMatch(name, /(_milliseconds|_ms|_kib|_mb)\b/i);
  }
});

t.test('each family has the labels that it declares', async (t) => {
  const families = await page(FULL);
  for (const { name, labels } of [...FAMILIES, ...PROCESS_FAMILIES]) {
    const seen = new Set<string>();
    for (const key of families.get(name)?.samples.keys() ?? []) {
      for (const label of Object.keys(JSON.parse(key.slice(key.indexOf('{'))))) seen.add(label);
    }
    t.same([...seen].sort(), [...labels].sort(), name);
  }
});

t.test('promtool has nothing to complain of', async (t) => {
  const text = await (await createExposition(1)).render(FULL, PROCESS);
  const { code, stdout, stderr } = await run('promtool', ['check', 'metrics'], { input: text });
  t.same({ code, said: stdout + stderr }, { code: 0, said: '' });
});

t.test(
  'exports beyond the bound are one, without a name: their sums, and the worst of their states',
  async (t) => {
    const read = (requests: number) =>
      operationOf({
        requests,
        errors: { EIO: requests, EPERM: 1 },
        latency: latencyOf({ 2: requests }, requests),
      });
    const exports = [
      exportOf('a', { operations: { read: read(1) } }),
      exportOf('b', { operations: { read: read(10) }, inFlight: 1, inFlightMost: 5, connections: 1 }),
      exportOf('c', {
        operations: { read: read(100) },
        inFlight: 2,
        inFlightMost: 3,
        filesystemFreeBytes: 1,
        filesystemSizeBytes: 500,
        direct: false,
        bufferedBecause: 'tmpfs',
        health: { healthy: false, reason: 'hangs', probeSeconds: 3 },
      }),
      exportOf('d', {
        allocatedBytes: undefined,
        filesystemFreeBytes: undefined,
        filesystemSizeBytes: undefined,
        readOnly: true,
        health: { healthy: true, reason: '', probeSeconds: 1 },
      }),
    ];
    const connections = ['a', 'b', 'c'].map((exportName, id) => connectionOf({ id, exportName }));
    const snapshot = snapshotOf({ exports, connections });
    const families = await page(snapshot, 1);
    const requests = (name: string) =>
      value(families, 'aionbd_requests_total', { export: name, operation: 'read' });
    t.equal(requests('a'), 1);
    t.equal(requests('b'), undefined);
    t.equal(requests(''), 110);
    t.equal(value(families, 'aionbd_exports'), 4);
    t.equal(
      value(families, 'aionbd_request_errors_total', { error: 'EIO', export: '', operation: 'read' }),
      110,
    );
    t.equal(
      value(families, 'aionbd_request_errors_total', { error: 'EPERM', export: '', operation: 'read' }),
      2,
    );
    t.equal(
      value(families, 'aionbd_request_duration_seconds', { export: '', operation: 'read' }, 'count'),
      110,
    );
    for (const [name, expected] of [
      ['aionbd_requests_in_flight', 3],
      ['aionbd_requests_in_flight_max', 5],
      ['aionbd_connections_active', 1],
      ['aionbd_export_size_bytes', 3 * 1_000_003],
      ['aionbd_export_allocated_bytes', 2 * 8192],
      ['aionbd_export_filesystem_free_bytes', 1],
      ['aionbd_export_filesystem_size_bytes', 500],
      ['aionbd_export_direct', 0],
      ['aionbd_export_read_only', 0],
      ['aionbd_export_healthy', 0],
      ['aionbd_export_probe_duration_seconds', 3],
    ] as const) {
      t.equal(value(families, name, { export: '' }), expected, name);
    }
    t.equal(
      value(families, 'aionbd_connections_negotiated', {
        block_status: 'no',
        export: '',
        replies: 'structured',
        transport: 'unix',
      }),
      2,
    );
    t.equal(families.get('aionbd_export_size_bytes')?.samples.size, 2);
    t.equal(
      (await page(snapshot, 4)).get('aionbd_export_size_bytes')?.samples.size,
      4,
      'at the bound all have names',
    );
    t.equal((await page(snapshot, 0)).get('aionbd_export_size_bytes')?.samples.size, 1);
  },
);

t.test('the sums over all exports are the same whatever the bound is', async () => {
  const total = (families: Map<string, Family>, name: string) =>
    [...(families.get(name)?.samples.values() ?? [])].reduce((sum, one) => sum + one, 0);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 8 }), fc.nat(9), async (counts, most) => {
      const exports = counts.map((requests, i) =>
        exportOf(`${i}`, { operations: { write: operationOf({ requests, bytes: requests * 3 }) } }),
      );
      const families = await page(snapshotOf({ exports }), most);
      const sum = counts.reduce((total, count) => total + count, 0);
      return (
        total(families, 'aionbd_requests_total') === sum &&
        total(families, 'aionbd_request_bytes_total') === 3 * sum &&
        total(families, 'aionbd_exports') === counts.length &&
        (families.get('aionbd_requests_total')?.samples.size ?? 0) <= (most + 1) * OPERATIONS.length
      );
    }),
    { numRuns: 30 },
  );
});

t.test('two scrapes at a time each get their own numbers', async (t) => {
  const { render } = await createExposition(100);
  const texts = await Promise.all(
    ['a', 'b'].map((name) => render(snapshotOf({ exports: [exportOf(name)] }), PROCESS)),
  );
  t.ok(texts[0]?.includes('export="a"') && !texts[0].includes('export="b"'));
  t.ok(texts[1]?.includes('export="b"') && !texts[1].includes('export="a"'));
});

t.test('an export of any name reads back from the page', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), fc.nat(), async (name, requests) => {
      const export_ = exportOf(name, { operations: { write: operationOf({ requests }) } });
      const families = await page(snapshotOf({ exports: [export_] }));
      return value(families, 'aionbd_requests_total', { export: name, operation: 'write' }) === requests;
    }),
    { numRuns: 50 },
  );
});
