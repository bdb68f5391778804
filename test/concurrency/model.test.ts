// Many requests at once against a model in memory. A range belongs to one request at a time, so what it holds is known
// exactly; its neighbours share disk blocks with it all the time, which is what read-modify-write has to survive.

import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { BACKING_CASES, type BackingCase, makeBacking } from '../support/backing.js';
import { KiB, MiB } from '../support/files.js';
import { chosenSeed, seededRandom } from '../support/random.js';
import { serve } from '../support/server.js';
import { RawClient } from '../transmission/raw-client.js';
import { FLUSH, FUA, NO_HOLE, READ, TRIM, WRITE, WRITE_ZEROES } from '../transmission/wire.js';

const CONNECTIONS = 8;
const DEPTH = 64;
const OPERATIONS = 6000;
const LARGEST_BYTES = 256 * KiB;
/** With the odd end still one READ. */
const IMAGE_BYTES = 31 * MiB;
/** A file may end anywhere; the last bytes are another way to the disk. */
const ODD_END_BYTES = 1003;

interface Range {
  readonly start: number;
  readonly end: number;
}

class Workload {
  readonly model: Buffer;
  readonly mistakes: string[] = [];
  done = 0;
  readonly #busy = new Set<Range>();
  readonly #random: () => number;

  constructor(sizeBytes: number, seed: number) {
    this.model = Buffer.alloc(sizeBytes);
    this.#random = seededRandom(seed);
  }

  /** Keeps DEPTH requests in flight on one connection until enough are done. */
  async run(client: RawClient): Promise<void> {
    const lane = async () => {
      while (this.done < OPERATIONS && this.mistakes.length === 0) await this.#step(client);
    };
    await Promise.all(Array.from({ length: DEPTH }, lane));
  }

  async #step(client: RawClient): Promise<void> {
    const range = this.#claim();
    if (!range) {
      await sleep(1);
      return;
    }
    try {
      await this.#operate(client, range);
      this.done++;
    } finally {
      this.#busy.delete(range);
    }
  }

  async #operate(client: RawClient, { start, end }: Range): Promise<void> {
    const length = end - start;
    const flags = this.#random() < 0.2 ? FUA : 0;
    const kind = this.#random();
    if (kind < 0.45) {
      const payload = randomFillSync(Buffer.allocUnsafe(length));
      await this.#expect(client, { type: WRITE, flags, offset: start, payload });
      payload.copy(this.model, start);
    } else if (kind < 0.85) {
      const reply = await client.call({ type: READ, flags, offset: start, length });
      if (reply?.error !== 0 || !reply.data.equals(this.model.subarray(start, end)))
        this.mistakes.push(
          `READ ${start}+${length}: error ${reply?.error}, or other bytes than were written`,
        );
    } else if (kind < 0.93) {
      const hole = this.#random() < 0.5 ? NO_HOLE : 0;
      await this.#expect(client, { type: WRITE_ZEROES, flags: flags | hole, offset: start, length });
      this.model.fill(0, start, end);
    } else if (kind < 0.98) {
      // What a trimmed range holds is anybody's guess until it is written.
      await this.#expect(client, { type: TRIM, flags, offset: start, length });
      await this.#expect(client, { type: WRITE_ZEROES, offset: start, length });
      this.model.fill(0, start, end);
    } else {
      await this.#expect(client, { type: FLUSH });
    }
  }

  async #expect(client: RawClient, request: Parameters<RawClient['call']>[0]): Promise<void> {
    const reply = await client.call(request);
    if (reply?.error !== 0) {
      const what = `command ${request.type} at ${request.offset} of ${request.length ?? request.payload?.length}`;
      this.mistakes.push(`${what}: ${reply ? `error ${reply.error}` : 'the connection ended'}`);
    }
  }

  /** A range that no request in flight touches: small ones are as frequent as large ones, any byte is as good as any. */
  #claim(): Range | undefined {
    for (let attempt = 0; attempt < 20; attempt++) {
      const length = Math.max(1, Math.round(LARGEST_BYTES ** this.#random()));
      const atTheEnd = this.#random() < 0.02;
      const room = this.model.length - length;
      let start = atTheEnd ? room : Math.floor(this.#random() * (room + 1));
      if (this.#random() < 0.3) start -= start % 4096;
      const range = { start, end: start + length };
      let free = true;
      for (const other of this.#busy) {
        if (other.start < range.end && range.start < other.end) {
          free = false;
          break;
        }
      }
      if (!free) continue;
      this.#busy.add(range);
      return range;
    }
    return undefined;
  }
}

/** Disjoint writes to the same few blocks, from all connections at once, again and again. */
async function shareBlocks(
  clients: readonly RawClient[],
  model: Buffer,
  blockAt: number,
  seed: number,
): Promise<string[]> {
  const random = seededRandom(seed);
  const mistakes: string[] = [];
  const BLOCKS = 6;
  const BLOCK_BYTES = 4096;
  const ROUNDS = 25;
  for (let round = 0; round < ROUNDS; round++) {
    const wanted = randomFillSync(Buffer.allocUnsafe(BLOCKS * BLOCK_BYTES));
    const cuts = new Set<number>([0, wanted.length]);
    while (cuts.size < CONNECTIONS * DEPTH) cuts.add(Math.floor(random() * wanted.length));
    const edges = [...cuts].sort((a, b) => a - b);
    const pieces = edges.slice(1).map((end, i) => ({ start: edges[i]!, end }));
    for (let i = pieces.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [pieces[i], pieces[j]] = [pieces[j]!, pieces[i]!];
    }
    const replies = await Promise.all(
      pieces.map(({ start, end }, i) =>
        clients[i % clients.length]!.call({
          type: WRITE,
          offset: blockAt + start,
          payload: wanted.subarray(start, end),
        }),
      ),
    );
    if (replies.some((reply) => reply?.error !== 0)) mistakes.push(`round ${round}: a write failed`);
    const back = await clients[round % clients.length]!.call({
      type: READ,
      offset: blockAt,
      length: wanted.length,
    });
    if (!back?.data.equals(wanted)) mistakes.push(`round ${round}: a byte was lost`);
    wanted.copy(model, blockAt);
  }
  return mistakes;
}

async function check(t: Test, backingCase: BackingCase, extraArgs: readonly string[] = []): Promise<void> {
  const isFile = !backingCase.kind.startsWith('device');
  const backing = await makeBacking(t, backingCase.kind, IMAGE_BYTES + (isFile ? ODD_END_BYTES : 0));
  const server = await serve(t, {
    exports: [{ name: 'disk', path: backing.path, direct: backingCase.direct }],
    args: extraArgs,
  });
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, () =>
      RawClient.open({ kind: 'unix', path: server.socketPath }, 'disk'),
    ),
  );
  const seed = chosenSeed();
  const work = new Workload(backing.sizeBytes, seed);
  await Promise.all(clients.map((client) => work.run(client)));
  t.same(work.mistakes, [], `every reply is right (seed ${seed})`);
  t.ok(work.done >= OPERATIONS, 'all operations were done');

  const lost = await shareBlocks(clients, work.model, 5 * 4096, seed);
  t.same(lost, [], `disjoint writes within a block never lose a byte (seed ${seed})`);
  const whole = await clients[0]!.call({ type: READ, offset: 0, length: backing.sizeBytes });
  t.ok(
    whole?.data.equals(work.model),
    `read back over the network, the image equals the model (seed ${seed})`,
  );
  t.equal((await clients[0]!.call({ type: FLUSH }))?.error, 0, 'the final flush succeeds');

  await Promise.all(clients.map((client) => client.destroy()));
  await server.stop(t);
  t.ok(readFileSync(backing.path).equals(work.model), `the image itself equals the model (seed ${seed})`);
}

for (const backingCase of BACKING_CASES) {
  t.test(
    `${CONNECTIONS} connections × ${DEPTH} in flight, any size and alignment, on ${backingCase.title}`,
    { timeout: 90_000 },
    (t) => check(t, backingCase),
  );
}

t.test('the same with hardly any memory, on a file, direct', { timeout: 90_000 }, (t) =>
  check(t, { title: '', kind: 'file', direct: 'on' }, ['--buffer-memory', '8M', '--queue-depth', '64']),
);
