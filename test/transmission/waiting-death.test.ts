// Clients that die while they wait for memory, on the simulated reactor: nothing of theirs starts any more, unless they
// had said DISC. Their successors have written meanwhile.

import t from 'tap';
import { OP_READ, OP_WRITE } from '../../src/engine/ring.js';
import { KiB, MiB, pattern } from '../support/files.js';
import { type PeerTerms, randomNumbers, type SimulatedPeer, Simulation } from './simulation.js';
import { DISC, MODES, READ, type Request, WRITE, WRITE_ZEROES } from './wire.js';

const OLD = 0xaa;
const NEW = 0xbb;
const HELD_FROM = 512 * KiB;

/** Clients whose READs don't end have all request slots, but for one or two. */
function withoutSlots(seed: number): Simulation {
  const simulation = new Simulation({
    sizeBytes: MiB,
    unitBytes: 512,
    seed,
    memoryBytes: 2 * MiB,
    requests: 16,
  });
  simulation.heldBack = (op, offset) => op === OP_READ && offset >= HELD_FROM;
  for (let hog = 0; hog < 3; hog++) {
    const peer = simulation.connect();
    for (let i = 0; i < 8; i++)
      peer.send({ type: READ, cookie: BigInt(i), offset: HELD_FROM + 512 * (8 * hog + i), length: 512 });
  }
  simulation.run();
  return simulation;
}

/** A client with one READ that doesn't end, so that whatever else it sends has to wait. */
function waiting(simulation: Simulation, terms: PeerTerms = {}): SimulatedPeer {
  const peer = simulation.connect(terms);
  peer.send({ type: READ, cookie: 1n, offset: 600 * KiB, length: 512 });
  simulation.run();
  return peer;
}

function write(cookie: bigint, byte: number, length = 4096): Request {
  return { type: WRITE, cookie, offset: 0, payload: Buffer.alloc(length, byte) };
}

t.test('the WRITE of a client that died while it waited does not undo that of its successor', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const simulation = withoutSlots(seed);
    const old = waiting(simulation, { replies: MODES[seed % 3]! });
    old.send(write(2n, OLD));
    simulation.run();
    if (!old.client.waiting) t.fail(`seed ${seed}: the client does not wait`);
    old.hasLeft = true;
    simulation.run();
    const successor = simulation.connect();
    successor.send(write(3n, NEW));
    // One of the other READs ends, so that there is room.
    simulation.heldBack = (op, offset) => op === OP_READ && offset >= HELD_FROM + 512;
    simulation.run();
    if (successor.replies.length !== 1) t.fail(`seed ${seed}: the successor was not answered`);
    simulation.heldBack = undefined;
    simulation.run();
    if (!old.isClosed || simulation.image[0] !== NEW)
      t.fail(`seed ${seed}: closed ${old.isClosed}, byte ${simulation.image[0]}`);
    if (simulation.faults.length > 0) t.fail(simulation.faults.join('; '));
  }
  t.pass('with 40 seeds');
});

t.test('nor does a WRITE of one whose end nobody has noticed when its successor comes', async (t) => {
  for (const hasRead of [true, false]) {
    for (const offset of [0, 3]) {
      for (let seed = 1; seed <= 60; seed++) {
        const simulation = new Simulation({ sizeBytes: MiB, unitBytes: 512, seed });
        const old = simulation.connect({ replies: MODES[seed % 3]! });
        // What has nothing under way is not asked for its end: it comes with what it has sent, before a successor is past its handshake.
        simulation.heldBack = (op) => op === OP_READ && !hasRead;
        old.push(old.bytesOf({ type: READ, cookie: 9n, offset: HELD_FROM, length: 512 }));
        simulation.run();
        old.push(old.bytesOf({ ...write(1n, OLD), offset }, { ...write(2n, OLD), offset }));
        // The server knows of these requests, or they are still in the socket.
        if (hasRead) while (old.input.length > 0) simulation.run(1);
        old.hasLeft = true;
        const successor = simulation.connect();
        successor.send({ ...write(3n, NEW), offset });
        simulation.heldBack = undefined;
        simulation.run();
        const found = simulation.image.subarray(offset, offset + 4096);
        if (!found.equals(Buffer.alloc(4096, NEW)))
          t.fail(`seed ${seed}: at ${offset}, ${hasRead ? 'read' : 'unread'}: ${found[0]}`);
        if (!old.isClosed || successor.replies.length !== 1 || simulation.faults.length > 0)
          t.fail(`seed ${seed}: ${simulation.faults.join('; ')}`);
      }
    }
  }
  t.pass('with 60 seeds');
});

t.test('what a client waited for is carried out if it said DISC, wherever that lies', async (t) => {
  for (const replies of MODES) {
    for (let seed = 1; seed <= 20; seed++) {
      const random = randomNumbers(seed);
      const simulation = withoutSlots(seed);
      const peer = waiting(simulation, { replies });
      const lengths = [1 + random(5000), 1 + random(30_000), 1 + random(300)];
      const requests = lengths.map((length, i) => ({
        ...write(BigInt(2 + i), OLD, length),
        offset: 64 * KiB * i,
      }));
      const bytes = Buffer.concat([peer.bytesOf(...requests), peer.bytesOf({ type: DISC, cookie: 0n })]);
      // DISC comes with what is in front of it, or apart, or is cut, or some of it has been received already.
      const cut = bytes.length - random(40);
      peer.push(bytes.subarray(0, cut));
      if (random(2) === 0) simulation.run();
      peer.push(bytes.subarray(cut));
      if (random(2) === 0) simulation.run();
      peer.hasLeft = true;
      simulation.run();
      simulation.heldBack = undefined;
      simulation.run();
      for (const [i, length] of lengths.entries()) {
        const at = 64 * KiB * i;
        if (!simulation.image.subarray(at, at + length).equals(Buffer.alloc(length, OLD)))
          t.fail(`${replies}, seed ${seed}: WRITE ${i} of ${length} bytes was not carried out`);
      }
      if (!peer.isClosed || simulation.faults.length > 0)
        t.fail(`closed ${peer.isClosed} ${simulation.faults.join('; ')}`);
    }
  }
  t.pass('with 20 seeds in each mode');
});

t.test('a small DISC that has been received whole with what waits counts', async (t) => {
  for (const replies of MODES) {
    for (const cut of [0, 1, 27]) {
      const simulation = withoutSlots(1);
      const peer = waiting(simulation, { replies });
      const bytes = Buffer.concat([
        peer.bytesOf(write(2n, OLD, 512)),
        peer.bytesOf({ type: DISC, cookie: 0n }),
      ]);
      peer.push(bytes.subarray(0, bytes.length - cut));
      simulation.run();
      t.ok(peer.client.waiting);
      peer.push(bytes.subarray(bytes.length - cut));
      peer.hasLeft = true;
      simulation.heldBack = undefined;
      simulation.run();
      t.equal(simulation.image[511], OLD, `${replies}: ${cut} bytes of DISC are still in the socket`);
    }
  }
});

t.test('a header that is cut off by death is not DISC', async (t) => {
  for (const missing of [1, 27, 28]) {
    const simulation = withoutSlots(1);
    const peer = waiting(simulation);
    const disc = peer.bytesOf({ type: DISC, cookie: 0n });
    peer.push(Buffer.concat([peer.bytesOf(write(2n, OLD)), disc.subarray(0, 28 - missing)]));
    peer.hasLeft = true;
    simulation.run();
    simulation.heldBack = undefined;
    simulation.run();
    t.ok(peer.isClosed);
    t.equal(simulation.image[0], 0, `${missing} bytes of it are missing`);
  }
});

t.test(
  'a client that died in a payload, waiting for memory for its next piece, writes no more',
  async (t) => {
    const next = { first: 0, last: 0 };
    for (const replies of MODES) {
      for (let seed = 1; seed <= 10; seed++) {
        const simulation = new Simulation({ sizeBytes: 4 * MiB, unitBytes: 512, seed, memoryBytes: 2 * MiB });
        simulation.heldBack = () => true;
        const peer = simulation.connect({ replies });
        const payload = Buffer.alloc(3 * MiB, OLD);
        peer.send({ type: WRITE, cookie: 1n, offset: 0, payload });
        simulation.run();
        t.ok(peer.client.waiting && peer.client.payloadLeft > 0, 'it waits in the middle');
        const started = payload.length - peer.client.payloadLeft;
        peer.hasLeft = true;
        simulation.heldBack = undefined;
        simulation.run();
        t.ok(peer.isClosed);
        next.first += simulation.image[0] === OLD ? 1 : 0;
        next.last += simulation.image.subarray(started).some((byte) => byte !== 0) ? 1 : 0;
        t.same(simulation.faults, []);
        t.ok(simulation.isAtRest, 'everything is given back');
      }
    }
    t.ok(next.first > 0, 'what had started may be written');
    t.equal(next.last, 0, 'what had not is not');
  },
);

t.test('clients that wait and have died are ended although nothing is given back', async (t) => {
  const simulation = withoutSlots(1);
  const dead = waiting(simulation);
  dead.send(write(2n, OLD));
  const alive = waiting(simulation);
  alive.send({ ...write(2n, NEW), offset: 8192 });
  simulation.run();
  dead.hasLeft = true;
  simulation.run();
  t.notOk(dead.isClosed, 'nothing tells of it');
  simulation.transmission.endStalled(
    simulation.peers.flatMap((peer) => peer?.client ?? []),
    0,
  );
  simulation.run();
  t.ok(dead.isClosed);
  t.notOk(alive.isClosed);
  simulation.heldBack = undefined;
  simulation.run();
  t.equal(simulation.image[0], 0);
  t.equal(simulation.image[8192], NEW, 'one that waits on and lives is served');
});

t.test('whatever dies while it waits, an answered write of another client stays', async (t) => {
  let waited = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const random = randomNumbers(seed);
    const simulation = new Simulation({
      sizeBytes: MiB,
      unitBytes: [0, 512, 4096][seed % 3]!,
      seed,
      memoryBytes: 2 * MiB,
      requests: 16,
    });
    const hogs = Array.from({ length: 3 }, () => simulation.connect());
    let limit = HELD_FROM;
    simulation.heldBack = (op, offset) => op === OP_READ && offset >= limit;
    for (const [k, hog] of hogs.entries()) {
      for (let i = 0; i < 8; i++)
        hog.send({ type: READ, cookie: BigInt(i), offset: HELD_FROM + 512 * (8 * k + i), length: 512 });
    }
    simulation.run();
    const old = waiting(simulation, { replies: MODES[random(3)]! });
    for (let i = 2; i < 7; i++) {
      const at = { cookie: BigInt(i), offset: random(20_000) };
      if (random(3) === 0) old.send({ type: WRITE_ZEROES, ...at, length: 1 + random(60_000) });
      else old.send({ type: WRITE, ...at, payload: Buffer.alloc(1 + random(9000), OLD) });
      simulation.run(random(10));
    }
    simulation.run();
    old.hasLeft = true;
    if (old.client.waiting) waited++;
    else while (!old.isClosed && !simulation.run(1));
    const successor = simulation.connect();
    const payload = pattern(100_000, seed);
    successor.send({ type: WRITE, cookie: 1n, offset: 0, payload });
    while (successor.replies.length === 0 && limit < MiB) {
      simulation.run();
      limit += 512;
    }
    simulation.heldBack = undefined;
    simulation.run();
    if (!simulation.image.subarray(0, payload.length).equals(payload))
      t.fail(`seed ${seed}: an old write came last`);
    if (simulation.faults.length > 0) t.fail(`seed ${seed}: ${simulation.faults.join('; ')}`);
    if (successor.replies.length !== 1) t.fail(`seed ${seed}: the successor was not answered`);
  }
  t.ok(waited > 50, 'many of them waited', { waited });
});

t.test('writes that wait go on in their order for a client that is there', async (t) => {
  const simulation = withoutSlots(3);
  const peer = waiting(simulation);
  peer.send(write(2n, OLD), { ...write(3n, NEW), offset: 4096 });
  simulation.run();
  simulation.heldBack = (op) => op === OP_WRITE;
  simulation.run();
  simulation.heldBack = undefined;
  simulation.run();
  t.same([simulation.image[0], simulation.image[4096]], [OLD, NEW]);
  t.notOk(peer.isClosed);
});
