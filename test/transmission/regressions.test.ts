// Faults that were found by reading, each with the sequence that showed it.

import t from 'tap';
import { OP_READ, OP_SYNC, OP_WRITE, OP_ZERO } from '../../src/engine/ring.js';
import { KiB, MiB } from '../support/files.js';
import { Simulation } from './simulation.js';
import {
  BLOCK_STATUS,
  DF,
  DISC,
  EIO,
  FAST_ZERO,
  FLUSH,
  READ,
  requestBytes,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

const LINUX_EIO = 5;
const LINUX_EOPNOTSUPP = 95;

t.test(
  'X13: an edge that fails where fallocate is not supported either is an error, not the end of the server',
  async (t) => {
    for (let seed = 1; seed <= 20; seed++) {
      const simulation = new Simulation({
        sizeBytes: 512 * KiB,
        unitBytes: 512,
        seed,
        fault: (op, offset) =>
          op === OP_ZERO ? LINUX_EOPNOTSUPP : op === OP_WRITE && offset < 4096 ? LINUX_EIO : 0,
      });
      const peer = simulation.connect();
      peer.send({ type: WRITE_ZEROES, cookie: 1n, offset: 100, length: 300 * KiB });
      simulation.run();
      peer.send({ type: WRITE_ZEROES, cookie: 2n, offset: 8 * KiB, length: 300 * KiB });
      simulation.run();
      t.same(
        peer.replies.map(({ cookie, error }) => [Number(cookie), error]),
        [
          [1, EIO],
          [2, 0],
        ],
        `seed ${seed}`,
      );
    }
  },
);

t.test(
  'X19: what was asked for before DISC is done, even if the client does not wait for its replies',
  async (t) => {
    const simulation = new Simulation({ sizeBytes: 64 * KiB, unitBytes: 4096, requests: 256 });
    const peer = simulation.connect();
    const writes = Array.from({ length: 50 }, (_, i) => ({
      type: WRITE,
      cookie: BigInt(i),
      offset: 10 * i + 1,
      payload: Buffer.alloc(10, i + 1),
    }));
    simulation.heldBack = (op) => op === OP_WRITE;
    peer.send(...writes);
    peer.push(requestBytes({ type: DISC, cookie: 0n }));
    simulation.run();
    peer.hasLeft = true;
    simulation.heldBack = undefined;
    simulation.run();
    const missing = writes.filter(
      ({ offset, payload }) => !simulation.image.subarray(offset, offset + 10).equals(payload),
    );
    t.same(missing, []);
    t.ok(simulation.isAtRest, 'and nothing is held afterwards');
    t.same(simulation.faults, []);
  },
);

t.test('X10: a flush that failed fails those that waited for it, and all later ones', async (t) => {
  let failing = true;
  const simulation = new Simulation({
    sizeBytes: 64 * KiB,
    unitBytes: 512,
    fault: (op) => (op === OP_SYNC && failing ? LINUX_EIO : 0),
  });
  const peers = [simulation.connect(), simulation.connect()];
  simulation.heldBack = (op) => op === OP_SYNC;
  for (const peer of peers) {
    peer.send({ type: FLUSH, cookie: 1n });
    simulation.run();
  }
  simulation.heldBack = undefined;
  simulation.run();
  failing = false;
  peers[0]!.send({ type: FLUSH, cookie: 2n });
  simulation.run();
  t.same(
    peers.map((peer) => peer.replies.map(({ error }) => error)),
    [[EIO, EIO], [EIO]],
  );
});

t.test('a READ of nothing is answered behind a run of bytes', async (t) => {
  for (const replies of ['simple', 'structured', 'extended'] as const) {
    const simulation = new Simulation({ sizeBytes: 8 * MiB, unitBytes: 512, memoryBytes: 16 * MiB });
    const peer = simulation.connect({ replies });
    peer.appetite = 0;
    const flags = replies === 'simple' ? 0 : DF;
    peer.send(
      { type: READ, flags, cookie: 1n, offset: 0, length: 8 * MiB },
      { type: READ, cookie: 2n, offset: 0, length: 0 },
      { type: READ, cookie: 3n, offset: 8 * MiB, length: 1 },
      { type: READ, cookie: 4n, offset: 0, length: 1 },
    );
    simulation.run();
    peer.appetite = Number.POSITIVE_INFINITY;
    simulation.run();
    const errors = new Map(peer.replies.map(({ cookie, error }) => [cookie, error]));
    t.same(
      [1n, 2n, 3n, 4n].map((cookie) => errors.get(cookie)),
      [0, 0, 22, 0],
      replies,
    );
  }
});

t.test(
  'X5: the error of a READ names the first place that could not be read, whatever came first',
  async (t) => {
    const bad = [6 * MiB, 6 * MiB + 512 * KiB, 8 * MiB];
    for (let seed = 1; seed <= 30; seed++) {
      for (const flags of [0, DF]) {
        const simulation = new Simulation({
          sizeBytes: 9 * MiB,
          unitBytes: 512,
          memoryBytes: 16 * MiB,
          seed,
          fault: (op, offset, length) =>
            op === OP_READ && bad.some((at) => offset <= at && at < offset + length) ? LINUX_EIO : 0,
        });
        const peer = simulation.connect({ replies: 'structured' });
        peer.send({ type: READ, flags, cookie: 1n, offset: 0, length: 9 * MiB });
        simulation.run();
        const told = Number(/offset (\d+)/.exec(peer.replies[0]?.message ?? '')?.[1]);
        // In chunks what failed has no data; with DF everything before the offset has to be right.
        if (flags === DF && !(told <= bad[0]!)) t.fail(`seed ${seed}: ${told}`);
        if (peer.reader.fault !== undefined) t.fail(peer.reader.fault);
      }
    }
    t.pass('30 orders of completion');
  },
);

t.test('with little memory left for all, one request is still served, whatever it needs', async (t) => {
  for (const unitBytes of [0, 512, 4096]) {
    const simulation = new Simulation({ sizeBytes: 4 * MiB, unitBytes, memoryBytes: 4 * MiB, requests: 64 });
    while (simulation.slab.freeBytes >= simulation.slab.totalBytes / 4) simulation.connect();
    for (const request of [
      { type: BLOCK_STATUS, cookie: 1n, offset: 0, length: MiB },
      { type: WRITE_ZEROES, cookie: 2n, offset: 100, length: 3 * MiB },
      { type: READ, cookie: 3n, offset: 100, length: 3 * MiB },
      { type: READ, flags: DF, cookie: 4n, offset: 100, length: 3 * MiB },
      { type: WRITE, cookie: 5n, offset: 100, payload: Buffer.alloc(2 * MiB, 7) },
    ]) {
      const peer = simulation.connect({ replies: 'structured', metaContexts: [1, 2] });
      peer.send(request);
      simulation.run();
      t.equal(peer.replies[0]?.error, 0, `units of ${unitBytes}, command ${request.type}`);
    }
    t.same(simulation.faults, []);
  }
});

t.test(
  'X19: a long WRITE_ZEROES goes on to its end after DISC, though nobody takes the replies',
  async (t) => {
    for (const unitBytes of [0, 512]) {
      for (const [flags, zeroing] of [
        [0, 'fast'],
        [FAST_ZERO, 'fast'],
        [0, 'unsupported'],
      ] as const) {
        const sizeBytes = 140 * MiB;
        const simulation = new Simulation({ sizeBytes, unitBytes, zeroing });
        simulation.image.fill(0xaa);
        const peer = simulation.connect();
        simulation.heldBack = (op) => op === OP_ZERO;
        peer.appetite = 0;
        peer.send(
          { type: WRITE_ZEROES, flags, cookie: 1n, offset: 100, length: 139 * MiB },
          { type: READ, cookie: 2n, offset: sizeBytes - 4096, length: 4096 },
        );
        peer.push(requestBytes({ type: DISC, cookie: 0n }));
        simulation.run();
        peer.hasLeft = true; // the READ's reply can't be sent, which is how the server learns of it
        simulation.run();
        simulation.heldBack = undefined;
        simulation.run();
        const what = `units of ${unitBytes}, flags ${flags}, zeroing ${zeroing}`;
        const { image } = simulation;
        t.ok(image.subarray(100, 100 + 139 * MiB).equals(Buffer.alloc(139 * MiB)), `all is zeroed: ${what}`);
        t.ok(image[99] === 0xaa && image[100 + 139 * MiB] === 0xaa, 'and no more');
        t.same(simulation.faults, []);
        t.ok(simulation.isAtRest, 'everything was given back');
      }
    }
  },
);
