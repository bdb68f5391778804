import fc from 'fast-check';
import t from 'tap';
import { ExportCounters } from '../../src/metrics/counters.js';
import { createExposition, type MetricsExport } from '../../src/metrics/exposition.js';
import { type Family, parseText } from './parse-text.js';

const exportOf = (name: string, rest: Partial<MetricsExport> = {}): MetricsExport => ({
  name,
  sizeBytes: 1_000_003,
  readOnly: false,
  direct: true,
  counters: new ExportCounters(),
  ...rest,
});

const value = (families: Map<string, Family>, name: string, labels: Record<string, string>) =>
  families.get(name)?.samples.get(JSON.stringify(labels));

t.test('every number of an export is on the page, as it is at the time of the scrape', async (t) => {
  const disk = exportOf('disk');
  const iso = exportOf('iso', { sizeBytes: 5, readOnly: true, direct: false });
  const { render, contentType } = await createExposition({ exports: [disk, iso] }, '1.2.3');
  t.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8');
  t.equal(
    value(parseText(await render()), 'aionbd_requests_total', { export: 'disk', operation: 'read' }),
    0,
  );

  const operations = ['read', 'write', undefined, 'flush', 'trim', 'cache', 'write_zeroes', 'block_status'];
  operations.forEach((_, command) => {
    disk.counters.requests[command] = 1000 + command;
    disk.counters.errors[command] = 2000 + command;
  });
  disk.counters.requests[15] = 7;
  disk.counters.bytes.set([2 ** 52, 4096]);
  disk.counters.connections.set([3, 99]);

  const page = parseText(await render());
  operations.forEach((operation, command) => {
    if (operation !== undefined) {
      t.equal(value(page, 'aionbd_requests_total', { export: 'disk', operation }), 1000 + command, operation);
      t.equal(
        value(page, 'aionbd_request_errors_total', { export: 'disk', operation }),
        2000 + command,
        operation,
      );
      t.equal(value(page, 'aionbd_requests_total', { export: 'iso', operation }), 0, operation);
    }
  });
  t.equal(value(page, 'aionbd_requests_total', { export: 'disk', operation: 'unknown' }), 7);
  t.equal(value(page, 'aionbd_read_bytes_total', { export: 'disk' }), 2 ** 52);
  t.equal(value(page, 'aionbd_written_bytes_total', { export: 'disk' }), 4096);
  t.equal(value(page, 'aionbd_connections', { export: 'disk' }), 3);
  t.equal(value(page, 'aionbd_connections_total', { export: 'disk' }), 99);
  for (const [name, size, direct, readOnly] of [
    ['disk', 1_000_003, 1, 0],
    ['iso', 5, 0, 1],
  ] as const) {
    t.equal(value(page, 'aionbd_export_size_bytes', { export: name }), size);
    t.equal(value(page, 'aionbd_export_direct', { export: name }), direct);
    t.equal(value(page, 'aionbd_export_read_only', { export: name }), readOnly);
  }
  t.equal(value(page, 'aionbd_build_info', { node: process.version, version: '1.2.3' }), 1);
});

t.test('the page has the metrics of the process and of Node beside ours', async (t) => {
  const page = parseText(await (await createExposition({ exports: [] }, '0')).render());
  t.ok((value(page, 'process_resident_memory_bytes', {}) ?? 0) > 0);
  t.ok(page.has('nodejs_eventloop_lag_seconds'));
});

t.test('our metrics have help, a type, and names as Prometheus wants them', async (t) => {
  const page = parseText(await (await createExposition({ exports: [exportOf('a')] }, '0')).render());
  const ours = [...page].filter(([name]) => name.startsWith('aionbd_'));
  t.equal(ours.length, 10);
  for (const [name, { help, type }] of ours) {
    t.match(help, /^[A-Z0-9].*\.$/, name);
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
  }
});

t.test('two servers in one process do not share metrics', async (t) => {
  const first = await createExposition({ exports: [exportOf('a')] }, '0');
  const second = await createExposition({ exports: [exportOf('b')] }, '0');
  t.notOk((await first.render()).includes('export="b"'));
  t.notOk((await second.render()).includes('export="a"'));
});

t.test('an export of any name reads back from the page', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), fc.nat(), async (name, count) => {
      const export_ = exportOf(name);
      export_.counters.requests[1] = count;
      const page = parseText(await (await createExposition({ exports: [export_] }, '0')).render());
      return value(page, 'aionbd_requests_total', { export: name, operation: 'write' }) === count;
    }),
    { numRuns: 50 },
  );
});
