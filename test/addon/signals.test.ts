// Direct I/O that completes at once for long enough is submitted without a signal for its end; what takes longer after all
// is noticed nevertheless.

import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeBacking } from '../support/backing.js';
import { patternFile, scratch } from '../support/files.js';
import { addFile } from './open.js';
import { KiB, MiB, openReactor, type RawReactor, READ, SYNC } from './reactor.js';

const PIECE = 4 * KiB;
/** More turns than it takes at first until there are no signals. */
const MANY = 300;

/** Reads from memory, each complete within the call that asks for it. */
function readMemory(t: Test, reactor: RawReactor, file: number, times: number): void {
  for (let i = 0; i < times; i++) {
    const tag = reactor.put({ op: READ, target: file, buffer: 0, length: PIECE });
    reactor.submit();
    if (reactor.done.at(-1)?.tag !== tag) t.fail('tmpfs has kept a read waiting');
  }
}

for (const reapInUserSpace of [true, false]) {
  const reaping = reapInUserSpace ? 'with completions taken from the mapped ring' : 'with io_getevents';

  t.test(`a read that takes a disk is noticed after many that took none, ${reaping}`, async (t) => {
    const reactor = openReactor(t, { reapInUserSpace });
    const memory = addFile(t, reactor, (await makeBacking(t, 'tmpfs', MiB)).path, true);
    const path = patternFile(join(scratch(t), 'disk'), 8 * MiB, 1);
    const disk = addFile(t, reactor, path, true);
    await reactor.one({ op: SYNC, target: disk });
    let late = 0;
    for (let round = 0; round < 8; round++) {
      readMemory(t, reactor, memory, MANY);
      const tag = reactor.put({ op: READ, target: disk, buffer: 0, length: MiB, offset: round * MiB });
      reactor.submit();
      if (!reactor.done.some((done) => done.tag === tag)) late++;
      t.equal(await reactor.result(tag), MiB);
    }
    t.ok(late > 0, `${late} of 8 were under way when the call came back`);
  });
}

t.test('a sync is noticed, too', async (t) => {
  const reactor = openReactor(t);
  const memory = addFile(t, reactor, (await makeBacking(t, 'tmpfs', MiB)).path, true);
  const disk = addFile(t, reactor, patternFile(join(scratch(t), 'disk'), MiB, 2), true);
  for (let round = 0; round < 8; round++) {
    readMemory(t, reactor, memory, MANY);
    t.equal(await reactor.one({ op: SYNC, target: disk }), 0);
  }
});

t.test('a reactor closes while a read without a signal is under way', async (t) => {
  const reactor = openReactor(t);
  const memory = addFile(t, reactor, (await makeBacking(t, 'tmpfs', MiB)).path, true);
  const disk = addFile(t, reactor, patternFile(join(scratch(t), 'disk'), 8 * MiB, 3), true);
  await reactor.one({ op: SYNC, target: disk });
  readMemory(t, reactor, memory, MANY);
  for (let i = 0; i < 4; i++) reactor.put({ op: READ, target: disk, length: MiB, offset: i * MiB });
  reactor.push();
  await reactor.close();
  t.pass('it is closed');
});
