// Probes, with a ring that only takes notes.

import t from 'tap';
import { OP_READ, type Ring } from '../../src/engine/ring.js';
import type { Volume } from '../../src/engine/volume.js';
import { PROBE } from '../../src/metrics/layout.js';
import { monotonicMs, ProbeRecord } from '../../src/metrics/probe-record.js';
import { PROBE_TAGS, Prober } from '../../src/server/prober.js';

const BUFFER = 4096;
const KiB = 1024;

const DIRECT = {
  directFile: 3,
  bufferedFile: -1,
  unitBytes: 512,
  directEndBytes: 64 * KiB,
  sizeBytes: 64 * KiB,
};
const BUFFERED = { directFile: -1, bufferedFile: 4, unitBytes: 1, directEndBytes: 0, sizeBytes: 10_000 };
const SMALL = { directFile: 5, bufferedFile: 6, unitBytes: 4096, directEndBytes: 0, sizeBytes: 1000 };

interface Read {
  readonly file: number;
  readonly length: number;
  readonly offset: number;
  readonly tag: number;
}

function proberOf(shapes: readonly Partial<Volume>[], wantedAtMs = monotonicMs) {
  const reads: Read[] = [];
  const ring = {
    file(
      op: number,
      file: number,
      buffer: number,
      length: number,
      offset: number,
      flags: number,
      tag: number,
    ) {
      t.same([op, buffer, flags], [OP_READ, BUFFER, 0]);
      reads.push({ file, length, offset, tag });
    },
  } as unknown as Ring;
  const cells = shapes.map(() => new Float64Array(PROBE.cells));
  const probed = shapes.map((volume, i) => ({
    volume: volume as Volume,
    record: new ProbeRecord(cells[i]!),
  }));
  return { prober: new Prober(ring, BUFFER, probed, wantedAtMs), reads, cells };
}

/** As if the last probe of the export had come back long ago. */
const letTimePass = (cells: Float64Array) => {
  cells[PROBE.doneAtMs] = 1;
};

t.test('nothing is probed unless somebody has asked within a minute', async (t) => {
  for (const ago of [() => 0, () => monotonicMs() - 61_000]) {
    const { prober, reads } = proberOf([DIRECT], ago);
    prober.tick();
    t.same(reads, []);
  }
  const { prober, reads } = proberOf([DIRECT], () => monotonicMs() - 50_000);
  prober.tick();
  t.equal(reads.length, 1);
});

t.test('one unit is read of each export, the beginning and any other place by turns', async (t) => {
  const { prober, reads, cells } = proberOf([DIRECT, { ...DIRECT, sizeBytes: 0, directEndBytes: 0 }]);
  for (let turn = 0; turn < 40; turn++) {
    prober.tick();
    t.equal(reads.length, turn + 1);
    const { file, length, offset, tag } = reads[turn]!;
    t.same([file, length, tag], [3, 512, PROBE_TAGS]);
    t.ok(offset % 512 === 0 && offset < 64 * KiB && (turn % 2 === 1 || offset === 0));
    prober.complete(tag, 512);
    t.equal(cells[0]![PROBE.errno], 0);
    letTimePass(cells[0]!);
  }
  t.ok(reads.some(({ offset }) => offset > 0));
});

t.test('a read through the page cache is a page, or what there is of it', async (t) => {
  const { prober, reads, cells } = proberOf([BUFFERED, SMALL]);
  for (let turn = 0; turn < 40; turn++) {
    prober.tick();
    for (const { tag, length } of reads.slice(-2)) prober.complete(tag, length);
    cells.forEach(letTimePass);
  }
  for (const { file, offset, length } of reads) {
    if (file === 6) t.same([offset, length], [0, 1000]);
    else t.same([file, offset % 4096, length], [4, 0, Math.min(4096, 10_000 - offset)]);
  }
});

t.test('an export that is being probed, or has just been, is not probed again', async (t) => {
  const { prober, reads } = proberOf([DIRECT]);
  prober.tick();
  prober.tick();
  t.equal(reads.length, 1, 'it is under way');
  prober.complete(PROBE_TAGS, 512);
  prober.tick();
  t.equal(reads.length, 1, 'it has just come back');
});

t.test('what came of it is told: how long it took, an error, a file that was cut short', async (t) => {
  const { prober, cells } = proberOf([DIRECT, DIRECT, DIRECT]);
  const startedAtMs = monotonicMs();
  prober.tick();
  t.ok(cells[0]![PROBE.startedAtMs]! >= startedAtMs);
  for (const [index, result] of [512, -5, 100].entries()) prober.complete(PROBE_TAGS + index, result);
  t.same(
    cells.map((each) => each[PROBE.errno]),
    [0, 5, 5],
  );
  t.same(
    cells.map((each) => each[PROBE.startedAtMs]),
    [0, 0, 0],
  );
  for (const each of cells) {
    t.ok(each[PROBE.doneAtMs]! >= startedAtMs);
    t.ok(each[PROBE.seconds]! >= 0 && each[PROBE.seconds]! * 1000 <= monotonicMs() - startedAtMs);
  }
});

t.test(
  'of many exports some begin at each tick, all in their turn, even if some never come back',
  async (t) => {
    const { prober, reads } = proberOf(Array.from({ length: 300 }, () => DIRECT));
    prober.tick();
    t.equal(reads.length, 128);
    prober.tick();
    prober.tick();
    t.equal(reads.length, 300);
    t.equal(new Set(reads.map(({ tag }) => tag)).size, 300);
  },
);
