import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as ring from '../../src/engine/ring-counters.js';
import { LATENCY_BUCKETS } from '../../src/metrics/latency.js';
import {
  CONNECTION,
  ERROR_NAMES,
  EXPORT,
  OPERATION,
  OPERATIONS_BY_PLACE,
  PROBE,
  THREAD,
  threadLayout,
} from '../../src/metrics/layout.js';
import { ThreadRecord } from '../../src/metrics/record.js';
import { HANDSHAKE_FAILURES, OPERATIONS } from '../../src/metrics/snapshot.js';

t.test('the places of a block lie one behind the other, with room for what they hold', async (t) => {
  const sizes: Record<string, number> = {
    errors: ERROR_NAMES.length,
    latencyCounts: LATENCY_BUCKETS,
    diskCounts: LATENCY_BUCKETS,
    handshakeFailures: HANDSHAKE_FAILURES.length,
    operations: OPERATIONS.length * OPERATION.cells,
    probe: PROBE.cells,
  };
  for (const [name, block] of Object.entries({ THREAD, CONNECTION, OPERATION, EXPORT })) {
    if (name === 'CONNECTION') delete sizes.errors;
    const { cells, ...places } = block as Record<string, number>;
    const inOrder = Object.entries(places).sort(([, a], [, b]) => a - b);
    let end = 0;
    for (const [place, at] of inOrder) {
      t.equal(at, end, `${name}.${place} begins where what is before it ends`);
      end = at + (place === 'errors' && name === 'CONNECTION' ? 1 : (sizes[place] ?? 1));
    }
    t.equal(cells, end, `${name} is as long as all that it holds`);
    sizes.errors = ERROR_NAMES.length;
  }
});

t.test('the parts of the memory of a thread do not overlap', async (t) => {
  for (const [connections, exports] of [
    [0, 0],
    [1, 1],
    [1024, 1000],
  ] as const) {
    const layout = threadLayout(connections, exports);
    t.ok(layout.thread >= ring.RING_CELLS, 'behind what the addon counts');
    t.ok(layout.connections >= layout.thread + THREAD.cells);
    t.ok(layout.nowhere >= layout.connections + connections * CONNECTION.cells);
    t.ok(layout.exports >= layout.nowhere + CONNECTION.cells);
    t.equal(layout.cells, layout.exports + exports * EXPORT.cells);
  }
});

t.test('each operation has a place of its own', async (t) => {
  t.same([...OPERATIONS_BY_PLACE].sort(), [...OPERATIONS].sort());
});

t.test('the addon counts in the order that is read here', async (t) => {
  const header = readFileSync(join(import.meta.dirname ?? '.', '../../addon/counters.h'), 'utf8');
  const names = [...header.matchAll(/^ {2}double (\w+) = 0;/gm)].map((match) => match[1]!);
  const { RING_CELLS, ...places } = ring as unknown as Record<string, number>;
  const ours = Object.entries(places)
    .sort(([, a], [, b]) => a - b)
    .map(([name]) => name.replace(/^RING_/, '').toLowerCase());
  t.same(
    ours,
    names.map((name) => name.replace(/_us$/, '')),
  );
  t.ok(RING_CELLS! >= names.length);
});

t.test('what ends after its connection is counted for no other connection', async (t) => {
  const memory = ThreadRecord.allocate(1, 1);
  const record = new ThreadRecord(memory);
  const gone = record.connect(1);
  record.exports[0]!.began(0, gone);
  record.disconnect(gone);
  const next = record.connect(2);
  record.exports[0]!.began(0, next);
  record.exports[0]!.gaveUp(gone);
  const cells = new Float64Array(memory.memory);
  t.equal(cells[next.at + CONNECTION.answered], 0, 'its request is still in flight');
  t.equal(cells[next.at + CONNECTION.requests], 1);
});
