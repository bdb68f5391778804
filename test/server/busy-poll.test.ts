// A reactor that stays awake while there is traffic: what others of the same process and machine have of it.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createServer, type ServerOptions } from '../../src/index.js';
import { checkedSettings, sharesOf } from '../../src/server/settings.js';
import { KiB, MiB, pattern, patternFile, scratch } from '../support/files.js';
import { serve } from '../support/server.js';
import { start } from '../transmission/in-process.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ, WRITE } from '../transmission/wire.js';

const SIZE = MiB;
const MODES = ['auto', 'off', 1, 1000] as const;

const disk = (t: Test) => patternFile(join(scratch(t), 'disk'), SIZE, 5);

for (const busyPoll of MODES) {
  t.test(
    `with busyPoll ${busyPoll}, one request at a time and many at once get the right data`,
    async (t) => {
      const started = await start(t, { exports: [{ name: '', path: disk(t) }], busyPoll });
      const client = await started.client();
      const expected = pattern(SIZE, 5);
      for (let i = 0; i < 300; i++) {
        const offset = ((i * 37) % 255) * 4 * KiB;
        const reply = await client.call({ type: READ, offset, length: 4 * KiB });
        if (!reply?.data.equals(expected.subarray(offset, offset + 4 * KiB))) t.fail(`READ ${i}`);
      }
      const many = Array.from({ length: 400 }, (_, i) => ({
        type: READ,
        offset: (i % 200) * 5000,
        length: 5000,
      }));
      const replies = await Promise.all(many.map((request) => client.call(request)));
      const wrong = replies.filter(
        (reply, i) => !reply?.data.equals(expected.subarray(many[i]!.offset, many[i]!.offset + 5000)),
      );
      t.equal(wrong.length, 0);
    },
  );
}

t.test(
  'timers and promises of the process have their turn while requests come without a pause',
  async (t) => {
    const started = await start(t, { exports: [{ name: '', path: disk(t) }], busyPoll: 1000 });
    const client = await started.client();
    let goesOn = true;
    let answered = 0;
    const lane = async () => {
      for (; goesOn; answered++) await client.call({ type: READ, offset: 0, length: 4 * KiB });
    };
    const load = Promise.all(Array.from({ length: 16 }, lane));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    while (ticks < 50) await sleep(1);
    goesOn = false;
    clearInterval(timer);
    await load;
    t.ok(answered > 0, `${answered} requests meanwhile`);
  },
);

t.test(
  'a server that has been busy and is idle takes no processor time, whatever busyPoll says',
  async (t) => {
    for (const flag of ['auto', 'off', '1000']) {
      const args = ['--busy-poll', flag];
      const server = await serve(t, { exports: [{ name: 'disk', path: disk(t) }], args });
      const client = await RawClient.open({ kind: 'unix', path: server.socketPath });
      const pid = server.child.pid!;
      for (let i = 0; i < 500; i++) await client.errorOf({ type: READ, offset: 0, length: 4 * KiB });
      await client.errorOf({ type: WRITE, offset: 0, payload: Buffer.alloc(4 * KiB) });
      // What a start leaves behind (compilers, garbage collection) comes to its end.
      await sleep(1500);
      const before = ticksOf(pid);
      await sleep(2000);
      const ticks = ticksOf(pid) - before;
      t.ok(ticks <= 10, `--busy-poll ${flag}: ${ticks * 10} ms of processor time in 2 s`);
      await client.destroy();
      await server.stop(t);
    }
  },
);

t.test('auto is the default, and off where threads would take all processors from the clients', async (t) => {
  const exports = [{ name: '', path: disk(t) }];
  const shared = (options: Partial<ServerOptions>) =>
    sharesOf(checkedSettings({ exports, ...options })).busyPoll;
  const threads = availableParallelism();
  const bufferMemoryBytes = threads * 8 * MiB;
  t.equal(shared({}), threads > 1 ? 'auto' : 'off');
  t.equal(shared({ threads, bufferMemoryBytes }), 'off');
  t.equal(shared({ threads, bufferMemoryBytes, busyPoll: 20 }), 20, 'what is asked for stays');
});

t.test('a busyPoll that is none is refused with what may be given', async (t) => {
  const exports = [{ name: '', path: disk(t) }];
  for (const busyPoll of [0, 1001, 1.5, -1, Number.NaN]) {
    await t.rejects(createServer({ exports, busyPoll }), {
      code: 'AIONBD_E_USAGE',
      message: `busyPoll is ${busyPoll}; it must be 'auto', 'off' or a whole number of microseconds from 1 to 1000`,
    });
  }
});

/** User and system time of a process, in units of 10 ms. */
function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
