// What the reactor counts in memory that it is given.

import { join } from 'node:path';
import t from 'tap';
import {
  RING_CELLS,
  RING_CLOCK,
  RING_IO_SUBMIT_CALLS,
  RING_IO_SUBMITTED,
  RING_NOWAIT_FALLBACKS,
  RING_RECEIVE_CALLS,
  RING_RECEIVED_BYTES,
  RING_SEND_CALLS,
  RING_SENT_BYTES,
} from '../../src/engine/ring-counters.js';
import { makeBacking } from '../support/backing.js';
import { KiB, MiB, patternFile, scratch, sparseFile } from '../support/files.js';
import { addFile } from './open.js';
import { openReactor, READ, RECV, SEND, WRITE } from './reactor.js';
import { connect, readExactly } from './socket.js';

const PIECE = 4 * KiB;

function monotonicMicroseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

for (const Memory of [SharedArrayBuffer, ArrayBuffer]) {
  t.test(`bytes and calls on sockets are counted in ${Memory.name}`, async (t) => {
    const counters = new Float64Array(new Memory(RING_CELLS * 8));
    const reactor = openReactor(t, { counters });
    const { connection, peer } = await connect(t, reactor);
    counters.fill(0);
    peer.write(Buffer.alloc(1000, 1));
    const received = await reactor.one({ op: RECV, target: connection, buffer: 0, length: 5000 });
    t.equal(received, 1000);
    t.equal(counters[RING_RECEIVED_BYTES], 1000);
    t.ok(counters[RING_RECEIVE_CALLS]! >= 1);
    t.equal(counters[RING_SEND_CALLS], 0);
    await reactor.run(
      { op: SEND, target: connection, buffer: 0, length: 300, auxBuffer: 4096, auxLength: 16 },
      { op: SEND, target: connection, buffer: 0, length: 700 },
    );
    t.equal((await readExactly(peer, 1016)).length, 1016);
    t.equal(counters[RING_SENT_BYTES], 1016);
    t.equal(counters[RING_SEND_CALLS], 1, 'two replies of one batch are one call');
    t.equal(counters[RING_IO_SUBMITTED], 0);
  });
}

t.test('the clock is that of the system, as of the last completions', async (t) => {
  const counters = new Float64Array(RING_CELLS);
  const reactor = openReactor(t, { counters });
  const file = addFile(t, reactor, patternFile(join(scratch(t), 'f'), MiB, 1), false);
  for (let i = 0; i < 3; i++) {
    const before = monotonicMicroseconds();
    await reactor.one({ op: READ, target: file, buffer: 0, length: PIECE, offset: 0 });
    t.ok(counters[RING_CLOCK]! >= before && counters[RING_CLOCK]! <= monotonicMicroseconds());
  }
});

t.test('a batch of direct I/O is one call', async (t) => {
  const counters = new Float64Array(RING_CELLS);
  const reactor = openReactor(t, { counters });
  const backing = await makeBacking(t, 'tmpfs', MiB);
  const file = addFile(t, reactor, backing.path, true);
  // The first shows that this filesystem does not know NOWAIT; it is asked twice.
  await reactor.one({ op: READ, target: file, buffer: 0, length: PIECE, offset: 0 });
  const [calls, submitted] = [counters[RING_IO_SUBMIT_CALLS]!, counters[RING_IO_SUBMITTED]!];
  const reads = Array.from({ length: 20 }, (_, i) => i * PIECE);
  await reactor.run(
    ...reads.map((offset) => ({ op: READ, target: file, buffer: offset, length: PIECE, offset })),
  );
  t.equal(counters[RING_IO_SUBMIT_CALLS]! - calls, 1);
  t.equal(counters[RING_IO_SUBMITTED]! - submitted, 20);
  t.equal(counters[RING_NOWAIT_FALLBACKS], 0);
  await reactor.close();
});

t.test('writes into holes, which would block, are counted as what a worker got instead', async (t) => {
  const counters = new Float64Array(RING_CELLS);
  const reactor = openReactor(t, { counters });
  const backing = await makeBacking(t, 'file4k', 64 * MiB);
  const file = addFile(t, reactor, sparseFile(`${backing.path}.sparse`, 16 * MiB), true);
  const writes = Array.from({ length: 10 }, (_, i) => ({
    op: WRITE,
    target: file,
    buffer: 0,
    length: PIECE,
    offset: i * 64 * KiB,
  }));
  t.same(await reactor.run(...writes), new Array(10).fill(PIECE));
  t.equal(counters[RING_NOWAIT_FALLBACKS], 10);
  await reactor.close();
});

t.test('memory that is too small, or no doubles, is left alone', async (t) => {
  for (const counters of [new Float64Array(RING_CELLS - 1), new Float32Array(RING_CELLS)]) {
    const reactor = openReactor(t, { counters: counters as Float64Array });
    const file = addFile(t, reactor, patternFile(join(scratch(t), 'f'), MiB, 1), false);
    await reactor.one({ op: READ, target: file, buffer: 0, length: PIECE, offset: 0 });
    t.ok(counters.every((cell) => cell === 0));
    await reactor.close();
  }
});

t.test('after a close nothing is counted any more', async (t) => {
  const counters = new Float64Array(RING_CELLS);
  const reactor = openReactor(t, { counters });
  const { connection } = await connect(t, reactor);
  reactor.put({ op: RECV, target: connection, buffer: 0, length: 100 });
  reactor.push();
  await reactor.close();
  const then = [...counters];
  await new Promise(setImmediate);
  t.same([...counters], then);
});
