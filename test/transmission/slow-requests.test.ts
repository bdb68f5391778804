// Requests that take long, by the clock of the simulated reactor.

import t from 'tap';
import { RING_CLOCK } from '../../src/engine/ring-counters.js';
import { KiB, MiB } from '../support/files.js';
import { type SimulatedPeer, Simulation } from './simulation.js';
import { FLUSH, READ, WRITE } from './wire.js';

const SLOW_MS = 1000;

function slowSimulation(): { simulation: Simulation; peer: SimulatedPeer; wait(ms: number): void } {
  const simulation = new Simulation({
    sizeBytes: 4 * MiB,
    unitBytes: 512,
    memoryBytes: 16 * MiB,
    slowRequestMs: SLOW_MS,
  });
  return {
    simulation,
    peer: simulation.connect(),
    wait(ms) {
      simulation.record.ring[RING_CLOCK]! += ms * 1000;
      simulation.transmission.lookForSlow();
    },
  };
}

t.test(
  'a request that takes longer than the threshold is told of when it is answered, with the share of the disk',
  async (t) => {
    const { simulation, peer, wait } = slowSimulation();
    simulation.heldBack = () => true;
    peer.send({ type: READ, cookie: 1n, offset: 8192, length: 4096 });
    simulation.run();
    wait(999);
    t.same(simulation.warnings, [], 'a little less is not slow');
    wait(2);
    t.equal(simulation.warnings.length, 1);
    t.match(
      simulation.warnings[0],
      /^a request is still not answered .*"command":"READ","offset":8192,"length":4096,"durationMs":1001/,
    );
    wait(5000);
    t.equal(simulation.warnings.length, 1, 'one that hangs is told of once');
    simulation.heldBack = undefined;
    simulation.run();
    t.equal(peer.replies.length, 1);
    t.match(
      simulation.warnings[1],
      /^slow request \{"connection":1,"peer":"simulated","export":"[^"]*","command":"READ","offset":8192,"length":4096,"durationMs":6001,"diskMs":6001\}$/,
    );
    t.equal(simulation.warnings.length, 2);
    t.same(simulation.faults, []);
  },
);

t.test('a request that is answered in time says nothing', async (t) => {
  const { simulation, peer, wait } = slowSimulation();
  peer.send({ type: READ, cookie: 1n, offset: 0, length: 4096 });
  peer.send({ type: WRITE, cookie: 2n, offset: 4096, payload: Buffer.alloc(512) });
  peer.send({ type: FLUSH, cookie: 3n, offset: 0, length: 0 });
  simulation.run();
  wait(10_000);
  t.equal(peer.replies.length, 3);
  t.same(simulation.warnings, []);
  t.same(simulation.faults, []);
});

t.test('a client that takes its time with a payload is not a disk that hangs', async (t) => {
  const { simulation, peer, wait } = slowSimulation();
  const request = { type: WRITE, cookie: 1n, offset: 0, payload: Buffer.alloc(64 * KiB) };
  const bytes = peer.bytesOf(request);
  peer.reader.expect(request);
  peer.push(bytes.subarray(0, 1000));
  simulation.run();
  wait(5000);
  t.same(simulation.warnings, []);
  peer.push(bytes.subarray(1000));
  simulation.run();
  t.match(simulation.warnings, [/^slow request .*"durationMs":5000(\.\d)?,"diskMs":0(\.\d)?\}$/]);
  t.same(simulation.faults, []);
});

t.test('a flood of slow requests is cut short, and the count comes out at the end', async (t) => {
  const { simulation, peer, wait } = slowSimulation();
  simulation.heldBack = () => true;
  for (let i = 0; i < 30; i++) peer.send({ type: READ, cookie: BigInt(i), offset: i * 4096, length: 4096 });
  simulation.run();
  wait(1500);
  t.equal(simulation.warnings.length, 20);
  simulation.heldBack = undefined;
  simulation.run();
  simulation.transmission.endLog();
  t.equal(peer.replies.length, 30);
  t.match(simulation.warnings.at(-1), /^more slow requests, not logged \{"leftOut":40,/);
  t.same(simulation.faults, []);
});
