// How many turns share a round of Node's event loop. Each round costs system calls, and Node makes an object in it.

import t from 'tap';
import { makeBacking } from '../support/backing.js';
import { addFile } from './open.js';
import { KiB, MiB, openReactor, READ } from './reactor.js';

const TURNS = 20_000;
/** A stay of two milliseconds has room for hundreds, but the system may interrupt any of them. */
const FEWEST_TURNS_A_ROUND = 10;

t.test('while each turn finds something to do at once, dozens share a round of the event loop', async (t) => {
  const reactor = openReactor(t);
  const backing = await makeBacking(t, 'tmpfs', MiB);
  const file = addFile(t, reactor, backing.path, true);
  const read = () => reactor.put({ op: READ, target: file, buffer: 0, length: 4 * KiB, offset: 0 });
  reactor.onTurn = () => {
    if (reactor.turns >= TURNS) return;
    read();
    reactor.push();
    reactor.native.wake();
  };
  let rounds = 0;
  const count = () => {
    rounds++;
    if (reactor.turns < TURNS) setImmediate(count);
  };
  read();
  reactor.push();
  reactor.native.wake();
  setImmediate(count);
  await reactor.until(() => reactor.turns >= TURNS);
  t.equal(reactor.done.length, TURNS, 'one read in each turn');
  t.ok(rounds > 1, 'the event loop has its turn, too');
  t.ok(TURNS / rounds >= FEWEST_TURNS_A_ROUND, `${rounds} rounds for ${TURNS} turns`);
});
