// What other threads find out about a file, and write to it, while a request looks at the map of its contents.

import t from 'tap';
import { SharedMap } from '../../src/engine/shared-map.js';
import { KiB, MiB } from '../support/files.js';
import { Simulation } from './simulation.js';
import { BLOCK_STATUS, CHANGED, READ } from './wire.js';

const GRANULE = 64 * KiB;
const GRANULES = 16;

/** Each look meets another thread: what it asks for becomes true just before, and untrue right after. */
class RestlessMap extends SharedMap {
  override isHole(offset: number): boolean {
    const granule = Math.floor(offset / GRANULE);
    const start = granule * GRANULE;
    if (granule % 2 === 0) this.foundHole(start, start + GRANULE);
    const isHole = super.isHole(offset);
    this.written(start, 1);
    return isHole;
  }

  override isChanged(offset: number): boolean {
    const isChanged = super.isChanged(offset);
    this.changed(offset, 1);
    return isChanged;
  }
}

function simulate() {
  const sizeBytes = GRANULES * GRANULE;
  const simulation = new Simulation({ sizeBytes, unitBytes: 512, memoryBytes: 8 * MiB, sparse: true });
  for (let i = 1; i < GRANULES; i += 2) simulation.disk.write(i * GRANULE, Buffer.alloc(GRANULE, i));
  const map = new RestlessMap(SharedMap.allocate(sizeBytes), sizeBytes, true);
  Object.assign(simulation.target.volume, { map });
  return { simulation, map, sizeBytes };
}

for (const replies of ['structured', 'extended'] as const) {
  t.test(`READ tells no data as a hole while a scan and writes go on (${replies})`, async (t) => {
    const { simulation, sizeBytes } = simulate();
    const peer = simulation.connect({ replies });
    peer.send({ type: READ, cookie: 1n, offset: 0, length: sizeBytes });
    simulation.run();
    t.equal(peer.reader.fault, undefined);
    t.same(simulation.faults, []);
    const [reply] = peer.replies;
    t.equal(reply?.error, 0);
    t.ok(reply?.data.equals(simulation.image), 'every byte is the disk’s');
    t.same(reply?.holes[0], { start: 0, end: GRANULE }, 'and the first granule was seen to be a hole');
  });

  t.test(`BLOCK_STATUS tells nothing as unchanged that was changed before (${replies})`, async (t) => {
    const { simulation, map, sizeBytes } = simulate();
    for (const granule of [1, 5, 9, 13]) map.changed(granule * GRANULE, 2 * GRANULE);
    const peer = simulation.connect({ replies, metaContexts: [2] });
    peer.send({ type: BLOCK_STATUS, cookie: 1n, offset: 0, length: sizeBytes });
    simulation.run();
    t.equal(peer.reader.fault, undefined);
    t.same(
      peer.replies[0]?.contexts
        .get(2)
        ?.map(({ length, status }) => [Number(length) / GRANULE, Number(status)]),
      [1, 2, 2, 2, 2, 2, 2, 2, 1].map((granules, i) => [granules, i % 2 === 1 ? CHANGED : 0]),
    );
  });
}
