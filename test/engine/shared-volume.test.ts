// What one thread learns of a volume and another has to know.

import fc from 'fast-check';
import t from 'tap';
import { JobEngine } from '../../src/engine/jobs.js';
import { OP_SYNC, OP_WRITE } from '../../src/engine/ring.js';
import { SharedMap } from '../../src/engine/shared-map.js';
import { SharedVolume } from '../../src/engine/shared-volume.js';
import { Volume } from '../../src/engine/volume.js';
import { FakeRing, fakeBacking } from './fake-ring.js';

const EIO = 5;
const GRANULE = 65_536;

/** Two threads over one volume. */
function pair() {
  const backing = fakeBacking({ sizeBytes: 1 << 20, unitBytes: 4096 });
  const memory = SharedVolume.allocate(backing);
  return [0, 1].map(() => {
    const ring = new FakeRing(1 << 20, 1 << 20);
    const ended: number[] = [];
    const volume = new Volume(ring.ring, backing, new SharedVolume(memory, backing));
    const jobs = new JobEngine(ring.ring, { jobDone: (_, errno) => ended.push(errno) }, 16);
    const sync = () => jobs.sync(jobs.take(volume, 0));
    return { ring, volume, jobs, ended, sync };
  }) as [Thread, Thread];
}

interface Thread {
  readonly ring: FakeRing;
  readonly volume: Volume;
  readonly jobs: JobEngine;
  readonly ended: number[];
  sync(): void;
}

t.test('once a sync has failed on one thread, all later ones fail on every thread', async (t) => {
  const [one, other] = pair();
  other.sync();
  other.ring.complete(other.jobs, other.ring.find(OP_SYNC));
  t.same(other.ended, [0]);
  one.sync();
  one.ring.complete(one.jobs, one.ring.find(OP_SYNC), -EIO);
  t.same(one.ended, [EIO]);
  other.sync();
  t.same(other.ended, [0, EIO]);
  t.equal(other.ring.pending.length, 0, 'without asking the kernel, which would call it a success');
});

t.test('a sync at work on another thread when one fails does fail, and so do those behind it', async (t) => {
  const [one, other] = pair();
  other.sync();
  other.sync();
  one.sync();
  one.ring.complete(one.jobs, one.ring.find(OP_SYNC), -EIO);
  other.ring.complete(other.jobs, other.ring.find(OP_SYNC), 0);
  t.same(other.ended, [EIO, EIO]);
  t.equal(other.ring.pending.length, 0);
});

t.test(
  'a sync is a system call of its own on each thread: none relies on what another had begun',
  async (t) => {
    const [one, other] = pair();
    one.sync();
    const job = other.jobs.take(other.volume, 0);
    other.jobs.block[job] = other.jobs.data[job] = other.jobs.offset[job] = 0;
    other.jobs.length[job] = 4096;
    other.jobs.write(job, 0);
    other.ring.complete(other.jobs, other.ring.find(OP_WRITE));
    other.sync();
    t.ok(other.ring.find(OP_SYNC), 'begun after the write was answered');
    one.ring.complete(one.jobs, one.ring.find(OP_SYNC));
    t.same(other.ended, [0], 'and not done with the other');
  },
);

t.test('what a write touches is no hole for any thread from the moment it starts', async (t) => {
  const [one, other] = pair();
  t.ok(one.volume.map.claimScan());
  t.notOk(other.volume.map.claimScan(), 'one thread scans');
  t.notOk(other.volume.map.hasHoles);
  one.volume.map.foundHole(0, 1 << 20);
  t.ok(other.volume.map.isHole(5 * GRANULE));
  t.equal(other.volume.map.holeRunEnd(0, 1 << 20, true), 1 << 20);
  other.volume.map.written(3 * GRANULE + 17, 1);
  t.notOk(one.volume.map.isHole(3 * GRANULE));
  t.equal(one.volume.map.holeRunEnd(0, 1 << 20, true), 3 * GRANULE);
  t.ok(one.volume.map.isChanged(3 * GRANULE));
  one.volume.map.foundHole(0, 1 << 20);
  one.volume.map.zeroed(3 * GRANULE, 4 * GRANULE);
  t.notOk(other.volume.map.isHole(3 * GRANULE), 'a scan that comes late does not make it one again');
  one.volume.map.distrust();
  t.notOk(other.volume.map.isHole(0));
  t.notOk(other.volume.map.tracksHoles);
  t.equal(other.volume.map.holeRunEnd(0, 99, false), 99);
});

t.test('the runs of a map are those of its granules one by one', async (t) => {
  const granules = 130;
  const size = granules * GRANULE - 1000;
  const range = fc.tuple(fc.nat(granules - 1), fc.integer({ min: 1, max: 70 }));
  const property = fc.property(fc.array(range), fc.array(range), (holes, writes) => {
    const map = new SharedMap(SharedMap.allocate(size), size, true);
    const isHole = new Uint8Array(granules);
    const isChanged = new Uint8Array(granules);
    const end = (first: number, count: number) => Math.min(size, (first + count) * GRANULE);
    for (const [first, count] of holes) {
      map.foundHole(first * GRANULE, end(first, count));
      isHole.fill(1, first, first + count);
    }
    for (const [first, count] of writes) {
      map.written(first * GRANULE + 5, end(first, count) - first * GRANULE - 5);
      isChanged.fill(1, first, first + count);
    }
    for (let i = 0; i < granules; i++) if (isChanged[i]) isHole[i] = 0;
    for (let i = 0; i < granules; i++) {
      const at = i * GRANULE;
      if (map.isHole(at) !== (isHole[i] === 1) || map.isChanged(at) !== (isChanged[i] === 1)) return false;
      for (const [bits, told] of [
        [isHole, map.holeRunEnd(at, size, isHole[i] === 1)],
        [isChanged, map.changedRunEnd(at, size, isChanged[i] === 1)],
      ] as const) {
        let run = i;
        while (run < granules && bits[run] === bits[i]) run++;
        if (told !== Math.min(size, run * GRANULE)) return false;
      }
    }
    return true;
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test(
  'the run that is followed is the one that was seen, whatever another thread does meanwhile',
  async (t) => {
    const size = 8 * GRANULE;
    const start = () => {
      const memory = SharedMap.allocate(size);
      const [map, other] = [0, 1].map(() => new SharedMap(memory, size, true)) as [SharedMap, SharedMap];
      return { map, other };
    };

    t.test('a hole that is written to', async (t) => {
      const { map, other } = start();
      other.foundHole(GRANULE, 3 * GRANULE);
      const isHole = map.isHole(GRANULE);
      t.ok(isHole);
      other.written(GRANULE, 1);
      t.equal(map.holeRunEnd(GRANULE, size, isHole), 3 * GRANULE, 'the data behind it is not told as a hole');
      other.written(2 * GRANULE, 1);
      t.equal(map.holeRunEnd(GRANULE, size, isHole), 2 * GRANULE);
    });

    t.test('a hole of a map that is distrusted', async (t) => {
      const { map, other } = start();
      other.foundHole(0, 3 * GRANULE);
      const isHole = map.isHole(GRANULE + 5);
      t.ok(isHole);
      other.distrust();
      t.equal(map.holeRunEnd(GRANULE + 5, size, isHole), 3 * GRANULE);
    });

    t.test('data that is found to be a hole', async (t) => {
      const { map, other } = start();
      const isHole = map.isHole(0);
      t.notOk(isHole);
      other.foundHole(0, GRANULE);
      t.equal(map.holeRunEnd(0, size, isHole), size);
      other.foundHole(4 * GRANULE, 5 * GRANULE);
      t.equal(map.holeRunEnd(0, size, isHole), 4 * GRANULE);
    });

    t.test('an unchanged granule that is changed, with changed ones behind it', async (t) => {
      const { map, other } = start();
      other.changed(3 * GRANULE, GRANULE);
      const isChanged = map.isChanged(GRANULE);
      t.notOk(isChanged);
      other.changed(GRANULE, 2 * GRANULE);
      t.equal(map.changedRunEnd(GRANULE, size, isChanged), 2 * GRANULE, 'they are not told as unchanged');
    });
  },
);
