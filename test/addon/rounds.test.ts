// How many turns share a round of Node's event loop. Each round costs system calls, and Node makes an object in it.

import t, { type Test } from 'tap';
import { makeBacking } from '../support/backing.js';
import { addFile } from './open.js';
import { ADVISE, KiB, MiB, openReactor, type RawReactor, READ } from './reactor.js';

const TURNS = 20_000;
/** A stay of two milliseconds has room for hundreds, but the system may interrupt any of them. */
const FEWEST_TURNS_A_ROUND = 10;

/** Each turn leaves a direct read for the next one, {@link TURNS} times. Returns the rounds that took. */
async function keepBusy(t: Test, reactor: RawReactor, onTurn: (rounds: number) => void): Promise<number> {
  const backing = await makeBacking(t, 'tmpfs', MiB);
  const file = addFile(t, reactor, backing.path, true);
  let rounds = 0;
  const goOn = (): void => {
    reactor.put({ op: READ, target: file, buffer: 0, length: 4 * KiB, offset: 0 });
    reactor.push();
    reactor.native.wake();
  };
  const count = (): void => {
    rounds++;
    if (reactor.turns < TURNS) setImmediate(count);
  };
  reactor.onTurn = () => {
    if (reactor.turns >= TURNS) return;
    onTurn(rounds);
    goOn();
  };
  goOn();
  setImmediate(count);
  await reactor.until(() => reactor.turns >= TURNS);
  return rounds;
}

t.test('while each turn finds something to do at once, many share a round of the event loop', async (t) => {
  const reactor = openReactor(t);
  const rounds = await keepBusy(t, reactor, () => {});
  t.ok(rounds > 1, 'the event loop has its turn, too');
  t.ok(TURNS / rounds >= FEWEST_TURNS_A_ROUND, `${rounds} rounds for ${TURNS} turns`);
});

t.test('what a worker has done is taken meanwhile, not only when the event loop goes round', async (t) => {
  const reactor = openReactor(t);
  const file = addFile(t, reactor, (await makeBacking(t, 'tmpfs', MiB)).path, false);
  let waiting: { tag: number; round: number } | undefined;
  let [soon, all] = [0, 0];
  await keepBusy(t, reactor, (round) => {
    // What this turn has brought is at the end.
    if (waiting && !reactor.done.slice(-4).some(({ tag }) => tag === waiting!.tag)) return;
    if (waiting) {
      all++;
      if (waiting.round === round) soon++;
    }
    waiting = { tag: reactor.put({ op: ADVISE, target: file, length: 4 * KiB }), round };
  });
  t.ok(all > 1, `${all} operations`);
  t.ok(soon > all / 4, `${soon} of ${all} operations ended in the round in which they began`);
});
