// What a connection keeps when nothing happens on it, on the simulated reactor.

import t from 'tap';
import { FRAME_BYTES } from '../../src/engine/slab.js';
import { KiB, MiB } from '../support/files.js';
import { randomNumbers, type SimulatedPeer, Simulation } from './simulation.js';
import { READ, type Request, WRITE } from './wire.js';

const SIZE = 4 * MiB;
const STALLED_MS = 10_000;

/** A request that fills a receive buffer of any size: its payload is read and thrown away. */
const REFUSED: Request = { type: WRITE, cookie: 5n, offset: SIZE, payload: Buffer.alloc(128 * KiB) };

function clientsOf(peers: readonly SimulatedPeer[]) {
  return peers.filter((peer) => !peer.isClosed).map((peer) => peer.client);
}

/** The server's look at its clients, twice: what has not moved from one to the next is quiet. */
function quietSpell(simulation: Simulation, peers: readonly SimulatedPeer[]): void {
  for (let look = 0; look < 2; look++) {
    simulation.transmission.endStalled(clientsOf(peers), 1000 * look);
    simulation.run();
  }
}

t.test('a thousand connections that have been busy hold 4 KiB each when they are quiet', async (t) => {
  const simulation = new Simulation({ sizeBytes: SIZE, unitBytes: 512, memoryBytes: 64 * MiB });
  const peers = Array.from({ length: 1000 }, () => simulation.connect());
  const held = () => simulation.freeAtRest - simulation.slab.freeBytes;
  t.equal(held(), 1000 * FRAME_BYTES, 'new ones do');
  for (const peer of peers) {
    peer.send(REFUSED);
    simulation.run();
  }
  t.ok(held() > 16 * KiB * 1000, 'busy ones may hold more', { held: held() });
  t.ok(
    peers.every((peer) => peer.replies.length === 1),
    'everybody was answered',
  );

  quietSpell(simulation, peers);
  t.equal(held(), 1000 * FRAME_BYTES);
  for (const peer of peers) peer.send({ type: READ, cookie: 7777n, offset: 0, length: 512 });
  simulation.run();
  t.ok(
    peers.every((peer) => peer.replies.length === 2 && peer.replies.at(-1)?.error === 0),
    'they are served as before',
  );
  t.same(simulation.faults, []);
});

t.test('a header of which a part has come keeps it when its buffer is given back', async (t) => {
  const simulation = new Simulation({ sizeBytes: SIZE, unitBytes: 512, memoryBytes: 16 * MiB });
  const peer = simulation.connect({ replies: 'extended' });
  peer.send(REFUSED);
  simulation.run();
  const request = { type: READ, cookie: 7777n, offset: 1024, length: 512 };
  peer.reader.expect(request);
  const bytes = peer.bytesOf(request);
  peer.push(bytes.subarray(0, 13));
  simulation.run();
  t.ok(peer.client.bufferBytes > FRAME_BYTES);
  quietSpell(simulation, [peer]);
  t.equal(peer.client.bufferBytes, FRAME_BYTES);
  peer.push(bytes.subarray(13));
  simulation.run();
  t.match(peer.replies.at(-1), { cookie: 7777n, error: 0 });
  t.same(simulation.faults, []);
});

t.test(
  'a connection with something under way keeps its buffer, and so does one that is not quiet',
  async (t) => {
    const simulation = new Simulation({ sizeBytes: SIZE, unitBytes: 512, memoryBytes: 16 * MiB });
    const reading = simulation.connect();
    const busy = simulation.connect();
    for (const peer of [reading, busy]) peer.send(REFUSED);
    simulation.run();
    simulation.heldBack = (_op, offset) => offset === 64 * KiB;
    reading.send({ type: READ, cookie: 7777n, offset: 64 * KiB, length: 512 });
    for (let look = 0; look < 3; look++) {
      busy.send({ type: READ, cookie: BigInt(9000 + look), offset: 0, length: 512 });
      simulation.run();
      simulation.transmission.endStalled(clientsOf([reading, busy]), 1000 * look);
      simulation.run();
    }
    t.ok(reading.client.bufferBytes > FRAME_BYTES);
    t.ok(busy.client.bufferBytes > FRAME_BYTES);
    simulation.heldBack = undefined;
    simulation.run();
    t.match(reading.replies.at(-1), { cookie: 7777n, error: 0 });
  },
);

t.test('buffers that are given back let those go on who wait for memory', async (t) => {
  const simulation = new Simulation({ sizeBytes: SIZE, unitBytes: 512, memoryBytes: 2 * MiB, requests: 16 });
  const quiet = Array.from({ length: 12 }, () => simulation.connect());
  for (const peer of quiet) {
    peer.send(REFUSED);
    simulation.run();
  }
  const grown = quiet.reduce((sum, peer) => sum + peer.client.bufferBytes, 0);
  t.ok(grown > 512 * KiB, 'the buffers are a large part of memory', { grown });
  simulation.transmission.endStalled(clientsOf(quiet), 0);
  const writer = simulation.connect();
  writer.send({ type: WRITE, cookie: 1n, offset: 0, payload: Buffer.alloc(MiB) });
  // All that is left of memory is taken, so the writer has to wait.
  const taken: number[] = [];
  for (let block = simulation.slab.take(FRAME_BYTES); block >= 0; block = simulation.slab.take(FRAME_BYTES)) {
    taken.push(block);
  }
  for (const block of taken.splice(0, 16)) simulation.slab.give(block);
  simulation.run();
  simulation.transmission.endStalled(clientsOf(quiet), 1000);
  simulation.run();
  t.ok(quiet.every((peer) => peer.client.bufferBytes === FRAME_BYTES));
  t.same(simulation.faults, []);
  t.match(writer.replies, [{ error: 0 }]);
});

t.test('looks at any time disturb nothing: every request of every client is answered right', async (t) => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = randomNumbers(seed);
    const simulation = new Simulation({ sizeBytes: SIZE, unitBytes: 512, seed, memoryBytes: 8 * MiB });
    const peers = Array.from({ length: 4 }, () => simulation.connect());
    let sent = 0;
    for (let round = 0; round < 30; round++) {
      const peer = peers[random(4)]!;
      const requests = Array.from({ length: 1 + random(400) }, (): Request => {
        const at = { cookie: BigInt(sent++), offset: 512 * random(1000) };
        return random(2) === 0
          ? { type: READ, ...at, length: 512 }
          : { type: WRITE, ...at, payload: Buffer.alloc(512 * (1 + random(3)), round) };
      });
      for (const request of requests) peer.reader.expect(request);
      const bytes = peer.bytesOf(...requests);
      const cut = random(bytes.length);
      peer.push(bytes.subarray(0, cut));
      for (let i = random(6); i > 0; i--) {
        simulation.run(random(4));
        simulation.transmission.endStalled(clientsOf(peers), random(STALLED_MS));
      }
      peer.push(bytes.subarray(cut));
      if (random(3) === 0) simulation.run();
    }
    simulation.run();
    const answered = peers.reduce((sum, peer) => sum + peer.replies.length, 0);
    if (answered !== sent || simulation.faults.length > 0) {
      t.fail(`seed ${seed}: ${answered} of ${sent} answered; ${simulation.faults.join('; ')}`);
      return;
    }
  }
  t.pass('with 25 seeds');
});
