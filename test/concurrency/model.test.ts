// Many requests at once against a model in memory. A range belongs to one request at a time, so what it holds is known
// exactly; its neighbours share disk blocks with it all the time, which is what read-modify-write has to survive. The
// connections are of all three modes: holes that one is told of are data that another has just written.

import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { BACKING_CASES, type BackingCase, makeBacking } from '../support/backing.js';
import { KiB, MiB } from '../support/files.js';
import { chosenSeed, seededRandom } from '../support/random.js';
import { serve } from '../support/server.js';
import { RawClient } from '../transmission/raw-client.js';
import type { Extent } from '../transmission/reply-reader.js';
import {
  BLOCK_STATUS,
  CHANGED,
  DF,
  ENOTSUP,
  FAST_ZERO,
  FLUSH,
  FUA,
  MODES,
  NO_HOLE,
  READ,
  REQ_ONE,
  statusPayload,
  TRIM,
  WRITE,
  WRITE_ZEROES,
  ZERO,
} from '../transmission/wire.js';

const CONNECTIONS = 8;
const DEPTH = 64;
const OPERATIONS = 6000;
const LARGEST_BYTES = 256 * KiB;
/** With the odd end still one READ. */
const IMAGE_BYTES = 31 * MiB;
/** A file may end anywhere; the last bytes are another way to the disk. */
const ODD_END_BYTES = 1003;
const ZEROES = Buffer.alloc(IMAGE_BYTES + ODD_END_BYTES);
const ALLOCATION = 'base:allocation';
const CHANGED_CONTEXT = 'aionbd:changed';

interface Range {
  readonly start: number;
  readonly end: number;
}

class Workload {
  readonly model: Buffer;
  /** 1 for each byte that was written or zeroed. */
  readonly touched: Uint8Array;
  readonly mistakes: string[] = [];
  done = 0;
  readonly #busy = new Set<Range>();
  readonly #random: () => number;

  constructor(sizeBytes: number, seed: number) {
    this.model = Buffer.alloc(sizeBytes);
    this.touched = new Uint8Array(sizeBytes);
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
    const hasChunks = client.mode !== 'simple';
    const kind = this.#random();
    if (kind < 0.45) {
      const payload = randomFillSync(Buffer.allocUnsafe(length));
      await this.#expect(client, { type: WRITE, flags, offset: start, payload });
      this.changes(start, payload);
    } else if (hasChunks && kind < 0.52) {
      await this.#status(client, start, end);
    } else if (kind < 0.85) {
      const df = hasChunks && this.#random() < 0.3 ? DF : 0;
      const reply = await client.call({ type: READ, flags: flags | df, offset: start, length });
      if (reply?.error !== 0 || !reply.data.equals(this.model.subarray(start, end)))
        this.mistakes.push(
          `READ ${start}+${length}, ${client.mode}: error ${reply?.error}, or other bytes than were written`,
        );
    } else if (kind < 0.93) {
      const hole = this.#random() < 0.5 ? NO_HOLE : 0;
      if (this.#random() < 0.3) {
        const fast = { type: WRITE_ZEROES, flags: flags | hole | FAST_ZERO, offset: start, length };
        const error = (await client.call(fast))?.error;
        if (error === 0) this.changes(start, Buffer.alloc(length));
        else if (error !== ENOTSUP) this.mistakes.push(`WRITE_ZEROES with FAST_ZERO: error ${error}`);
        return;
      }
      await this.#expect(client, { type: WRITE_ZEROES, flags: flags | hole, offset: start, length });
      this.changes(start, Buffer.alloc(length));
    } else if (kind < 0.98) {
      // What a trimmed range holds is anybody's guess until it is written.
      await this.#expect(client, { type: TRIM, flags, offset: start, length });
      await this.#expect(client, { type: WRITE_ZEROES, offset: start, length });
      this.changes(start, Buffer.alloc(length));
    } else {
      await this.#expect(client, { type: FLUSH });
    }
  }

  /** These bytes are there now. */
  changes(start: number, bytes: Buffer): void {
    bytes.copy(this.model, start);
    this.touched.fill(1, start, start + bytes.length);
  }

  /** What is told about a range that nobody is changing is true. */
  async #status(client: RawClient, start: number, end: number): Promise<void> {
    const flags = this.#random() < 0.5 ? REQ_ONE : 0;
    const ids = [...client.contexts.values()];
    const byPayload = client.mode === 'extended' && this.#random() < 0.5;
    const where = byPayload ? { payload: statusPayload(end - start, ids) } : { length: end - start };
    const reply = await client.call({ type: BLOCK_STATUS, flags, offset: start, ...where });
    if (reply?.error === 0) this.checkStatus(client, start, end, reply.contexts);
    else this.mistakes.push(`BLOCK_STATUS ${start}+${end - start}: error ${reply?.error}`);
  }

  checkStatus(
    client: RawClient,
    start: number,
    end: number,
    contexts: ReadonlyMap<number, readonly Extent[]>,
  ): void {
    for (const part of parts(contexts.get(client.contexts.get(ALLOCATION)!), start, end)) {
      const isZero = (part.status & ZERO) !== 0;
      if (
        isZero &&
        !this.model.subarray(part.start, part.end).equals(ZEROES.subarray(0, part.end - part.start))
      )
        this.mistakes.push(`BLOCK_STATUS calls [${part.start}, ${part.end}) zeroes`);
    }
    for (const part of parts(contexts.get(client.contexts.get(CHANGED_CONTEXT)!), start, end)) {
      const isChanged = (part.status & CHANGED) !== 0;
      if (!isChanged && this.touched.subarray(part.start, part.end).includes(1))
        this.mistakes.push(`BLOCK_STATUS calls [${part.start}, ${part.end}) unchanged`);
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

/** The parts of [start, end) that extents tell of. */
function* parts(
  extents: readonly Extent[] = [],
  start: number,
  end: number,
): Generator<Range & { readonly status: number }> {
  let at = start;
  for (const { length, status } of extents) {
    yield { start: at, end: Math.min(at + Number(length), end), status: Number(status) };
    at += Number(length);
  }
}

/** A map of all that BLOCK_STATUS tells, compared with the model. */
async function checkMap(client: RawClient, work: Workload): Promise<void> {
  const size = work.model.length;
  for (let at = 0; at < size; ) {
    const reply = await client.call({ type: BLOCK_STATUS, offset: at, length: size - at });
    if (reply?.error !== 0) throw new Error(`BLOCK_STATUS at ${at}: error ${reply?.error}`);
    work.checkStatus(client, at, size, reply.contexts);
    const told = [...reply.contexts.values()].map((extents) =>
      extents.reduce((sum, { length }) => sum + Number(length), 0),
    );
    at += Math.min(...told);
  }
}

/** Disjoint writes to the same few blocks, from all connections at once, again and again. */
async function shareBlocks(
  clients: readonly RawClient[],
  work: Workload,
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
    work.changes(blockAt, wanted);
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
    Array.from({ length: CONNECTIONS }, (_, i) => {
      const replies = MODES[i % MODES.length]!;
      const contexts = replies === 'simple' ? [] : [ALLOCATION, CHANGED_CONTEXT];
      return RawClient.open({ kind: 'unix', path: server.socketPath }, 'disk', { replies, contexts });
    }),
  );
  const seed = chosenSeed();
  const work = new Workload(backing.sizeBytes, seed);
  await Promise.all(clients.map((client) => work.run(client)));
  t.same(work.mistakes, [], `every reply is right (seed ${seed})`);
  t.ok(work.done >= OPERATIONS, 'all operations were done');

  const lost = await shareBlocks(clients, work, 5 * 4096, seed);
  t.same(lost, [], `disjoint writes within a block never lose a byte (seed ${seed})`);
  for (const client of clients.slice(0, MODES.length)) {
    const whole = await client.call({ type: READ, offset: 0, length: backing.sizeBytes });
    t.ok(
      whole?.data.equals(work.model),
      `read back over the network (${client.mode}), the image equals the model (seed ${seed})`,
    );
    if (client.mode !== 'simple') await checkMap(client, work);
  }
  t.same(work.mistakes, [], `BLOCK_STATUS tells nothing untrue (seed ${seed})`);
  const faults = clients.flatMap(({ reader }) => reader.fault ?? []);
  t.same(faults, [], `no reply broke a rule (seed ${seed})`);
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

const ON_THREADS = [
  'a file, direct',
  'a block device, buffered',
  'a block device with 4 KiB sectors, direct',
];
for (const { title, kind, direct } of BACKING_CASES.filter(({ title }) => ON_THREADS.includes(title))) {
  t.test(`the same on four threads, on ${title}`, { timeout: 90_000 }, (t) =>
    check(t, { title, kind, direct }, ['--threads', '4']),
  );
}
