// Many clients, every order in which their I/O can end: on the simulated reactor, so a seed gives the same run again.

import t from 'tap';
import { STALL_MS } from '../../src/transmission/transmission.js';
import { KiB, pattern } from '../support/files.js';
import { chosenSeed } from '../support/random.js';
import type { Reply } from './reply-reader.js';
import {
  type PeerTerms,
  randomNumbers,
  type SimulatedPeer,
  Simulation,
  type SimulationOptions,
} from './simulation.js';
import {
  BLOCK_STATUS,
  CACHE,
  DF,
  DISC,
  EINVAL,
  EIO,
  ENOTSUP,
  FAST_ZERO,
  FLUSH,
  FUA,
  MODES,
  NO_HOLE,
  READ,
  REQ_ONE,
  type Request,
  requestBytes,
  statusPayload,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from './wire.js';

const OP_READ = 1;
const OP_ZERO = 5;
const EOPNOTSUPP = 95;
const LINUX_EIO = 5;

const KINDS = [
  { title: 'buffered', unitBytes: 0, sizeBytes: 200_003 },
  { title: 'direct, 512-byte units', unitBytes: 512, sizeBytes: 256 * KiB },
  { title: 'direct, 4 KiB units, an odd size', unitBytes: 4096, sizeBytes: 200_003 },
  { title: 'direct, 64 KiB units', unitBytes: 65_536, sizeBytes: 1024 * KiB },
  { title: 'direct, 512-byte units, with room for holes', unitBytes: 512, sizeBytes: 1024 * KiB + 5120 },
];

/** What is wrong with the end of a simulation in which all clients have gone. */
function troubles(simulation: Simulation, peers: readonly SimulatedPeer[] = []): string[] {
  const found = [...simulation.faults, ...simulation.miscounted()];
  for (const peer of peers) if (peer.reader.fault) found.push(peer.reader.fault);
  if (!simulation.isAtRest)
    found.push(`${simulation.freeAtRest - simulation.slab.freeBytes} bytes are still held`);
  return found;
}

/**
 * Calls `play` for seeds until one has something to complain of; returns that complaint. The first seeds are always the
 * same, the last quarter is another one each time, unless AIONBD_TEST_SEED says which.
 */
function firstTrouble(seeds: number, play: (seed: number) => string[]): string {
  const known = Math.ceil((seeds * 3) / 4);
  const base = chosenSeed() - known;
  for (let i = 1; i <= seeds; i++) {
    const seed = i <= known ? i : (base + i) >>> 0;
    const found = play(seed);
    if (found.length > 0) return `seed ${seed}: ${found.slice(0, 8).join('; ')}`;
  }
  return '';
}

const CONTEXTS = [1, 2];

/** What the clients of a seed agree on with the server: all the same, or each something else. */
function termsOf(seed: number, client: number): PeerTerms {
  const replies = MODES[seed % 4] ?? MODES[client % 3]!;
  return replies === 'simple' ? {} : { replies, metaContexts: CONTEXTS };
}

/** Whether the server may remember where there are holes. */
function isSparse(seed: number): boolean {
  return (seed & 4) !== 0;
}

/** Bytes that are the same for the same seed; zeroes are in them, of several lengths, if there are to be holes. */
function contentsOf(sizeBytes: number, seed: number): Buffer {
  const contents = pattern(sizeBytes, seed);
  if (!isSparse(seed)) return contents;
  const random = randomNumbers(seed);
  for (let at = random(100_000); at < sizeBytes; at += random(300_000)) {
    const length = Math.min(random(250_000), sizeBytes - at);
    contents.fill(0, at, at + length);
    at += length;
  }
  return contents;
}

/** Sends a request cut anywhere. */
function sendInPieces(peer: SimulatedPeer, request: Request, random: (below: number) => number): void {
  peer.reader.expect(request);
  const bytes = peer.bytesOf(request);
  const cuts = Array.from({ length: random(4) }, () => random(bytes.length)).sort((a, b) => a - b);
  for (const [i, start] of [0, ...cuts].entries()) peer.push(bytes.subarray(start, cuts[i] ?? bytes.length));
}

/** Some request about [start, end), as a client of this kind may send it. */
function someRequest(
  peer: SimulatedPeer,
  random: (below: number) => number,
  cookie: bigint,
  start: number,
  end: number,
): Request {
  const hasChunks = peer.mode !== 'simple';
  const types = [READ, READ, WRITE, WRITE, WRITE, TRIM, WRITE_ZEROES, FLUSH, CACHE];
  const type = hasChunks && random(8) === 0 ? BLOCK_STATUS : types[random(types.length)]!;
  const request = { type, cookie, offset: start, length: end - start };
  const fua = random(4) === 0 ? FUA : 0;
  switch (type) {
    case WRITE:
      return { ...request, flags: fua, payload: pattern(end - start, random(1 << 30)) };
    case READ:
      return { ...request, flags: fua | (hasChunks && random(3) === 0 ? DF : 0) };
    case WRITE_ZEROES:
      return { ...request, flags: fua | [0, NO_HOLE, FAST_ZERO, FAST_ZERO | NO_HOLE][random(4)]! };
    case BLOCK_STATUS: {
      const flags = fua | (random(2) === 0 ? REQ_ONE : 0);
      if (peer.mode !== 'extended' || random(2) === 0) return { ...request, flags };
      const payload = statusPayload(end - start, [[1], [2], [2, 1]][random(3)]!);
      return { ...request, flags, length: payload.length, payload };
    }
    default:
      return { ...request, flags: fua };
  }
}

/**
 * Clients that each keep some requests in flight, on ranges that do not overlap, with neighbours in the same units.
 * Reads are compared with the model; so is the image at the end.
 */
function mixedLoad(
  simulation: Simulation,
  seed: number,
  { clients = 4, inFlight = 6, requests = 150, largest = 20_000, isUsed = false } = {},
): string[] {
  const random = randomNumbers(seed);
  const { sizeBytes } = simulation.target;
  const model = isUsed ? Buffer.from(simulation.image) : contentsOf(sizeBytes, seed);
  model.copy(simulation.image);
  const busy: { start: number; end: number }[] = [];
  const found: string[] = [];
  let cookie = 1n;
  let left = requests;
  const next = (peer: SimulatedPeer) => {
    if (left-- <= 0) return;
    const length = 1 + random(random(3) === 0 ? largest : 600);
    const start = random(Math.max(1, sizeBytes - length));
    const end = Math.min(start + length, sizeBytes);
    if (busy.some((other) => other.start < end && start < other.end)) {
      next(peer); // counts as one of the requests, so this ends
      return;
    }
    const range = { start, end };
    busy.push(range);
    const request = someRequest(peer, random, cookie++, start, end);
    const { type, flags = 0, payload } = request;
    waiting.set(request.cookie, ({ error, data }) => {
      busy.splice(busy.indexOf(range), 1);
      const isRefused = error === ENOTSUP && (flags & FAST_ZERO) !== 0;
      if (error !== 0 && !isRefused) found.push(`command ${type} [${start}, ${end}) answered ${error}`);
      if (type === READ && !data.equals(model.subarray(start, end)))
        found.push(`READ [${start}, ${end}) differs`);
      if (type === WRITE) model.set(payload!, start);
      if (type === WRITE_ZEROES && !isRefused) model.fill(0, start, end);
      // What a trim leaves is not defined: from now on it is what is there.
      if (type === TRIM) simulation.image.copy(model, start, start, end);
      next(peer);
    });
    sendInPieces(peer, request, random);
  };
  const waiting = new Map<bigint, (reply: Reply) => void>();
  const peers = Array.from({ length: clients }, (_, i) => simulation.connect(termsOf(seed, i)));
  for (const peer of peers) {
    peer.onReply = (reply) => waiting.get(reply.cookie)?.(reply);
    for (let i = 0; i < inFlight; i++) next(peer);
  }
  simulation.run();
  if (busy.length > 0) found.push(`${busy.length} requests were never answered`);
  if (!simulation.image.equals(model))
    found.push(`the image differs from the model at ${firstDifference(simulation.image, model)}`);
  for (const peer of peers) peer.push(peer.bytesOf({ type: DISC, cookie: 0n }));
  simulation.run();
  return [...found, ...troubles(simulation, peers)];
}

function firstDifference(a: Buffer, b: Buffer): number {
  return a.findIndex((byte, at) => byte !== b[at]);
}

for (const { title, unitBytes, sizeBytes } of KINDS) {
  t.test(`on an export that is ${title}, in whatever order I/O ends`, (t) => {
    const kind = { sizeBytes, unitBytes };
    const make = (seed: number, more: Partial<SimulationOptions> = {}) =>
      new Simulation({ ...kind, seed, sparse: isSparse(seed), ...more });
    t.equal(
      firstTrouble(48, (seed) => mixedLoad(make(seed), seed)),
      '',
      'reads are exact and the image equals the model',
    );
    const small = (seed: number) => make(seed, { sizeBytes: 2 * unitBytes || 8192 });
    t.equal(
      firstTrouble(48, (seed) => mixedLoad(small(seed), seed, { largest: 300 })),
      '',
      'also when everybody writes into the same two units',
    );
    const tight = (seed: number) => make(seed, { memoryBytes: 1536 * KiB, requests: 16 });
    t.equal(
      firstTrouble(32, (seed) =>
        mixedLoad(tight(seed), seed, { clients: 8, inFlight: 20, largest: 190_000 }),
      ),
      '',
      'also with hardly any memory and more requests than there are places for',
    );
    const withoutZeroing = (seed: number) =>
      make(seed, { zeroing: (seed & 8) !== 0 ? 'slow' : 'unsupported' });
    t.equal(
      firstTrouble(24, (seed) => mixedLoad(withoutZeroing(seed), seed, { largest: 150_000 })),
      '',
      'also where the filesystem cannot zero ranges, or not quickly',
    );
    t.end();
  });
}

t.test(
  'a filesystem that cannot zero ranges: a large WRITE_ZEROES is written, with NO_HOLE and FUA too',
  (t) => {
    for (const { title, unitBytes } of KINDS) {
      const sizeBytes = 5 * 1024 * KiB + 1;
      const zeroes = Buffer.alloc(sizeBytes - 5);
      const simulation = new Simulation({
        sizeBytes,
        unitBytes,
        fault: (op) => (op === OP_ZERO ? EOPNOTSUPP : 0),
      });
      for (const flags of [0, FUA, NO_HOLE, FUA | NO_HOLE]) {
        simulation.image.fill(0xff);
        const peer = simulation.connect();
        peer.send({ type: WRITE_ZEROES, flags, cookie: 1n, offset: 3, length: sizeBytes - 5 });
        peer.push(requestBytes({ type: DISC, cookie: 0n }));
        simulation.run();
        const inner = simulation.image.subarray(3, -2);
        t.same(
          peer.replies.map((reply) => reply.error),
          [0],
          `${title}, flags ${flags}: success`,
        );
        t.ok(inner.equals(zeroes), 'all zeroes');
        t.ok(
          simulation.image[2] === 0xff && simulation.image.at(-2) === 0xff,
          'and its neighbours as they were',
        );
        t.same(troubles(simulation), []);
      }
    }
    t.end();
  },
);

t.test('writes and zeroes that overlap: when all is quiet, what is told is what is there', (t) => {
  const sizeBytes = 448 * KiB + 5120;
  const granule = 64 * KiB;
  for (const { title, unitBytes } of KINDS.slice(0, 4)) {
    t.equal(
      firstTrouble(16, (seed) => {
        const random = randomNumbers(seed);
        const failsAt = random(3) === 0 ? random(sizeBytes) : -1;
        const simulation = new Simulation({
          sizeBytes,
          unitBytes,
          seed,
          sparse: true,
          // Now and then something fails that has been done, or been done in part, or not.
          fault: (_op, offset, length) =>
            offset <= failsAt && failsAt < offset + length && random(2) === 0 ? LINUX_EIO : 0,
        });
        contentsOf(sizeBytes, seed | 4).copy(simulation.image);
        const peers = [0, 1, 2].map((i) => simulation.connect(termsOf(3, i)));
        const asks = peers[2]!;
        const found: string[] = [];
        for (let round = 0, cookie = 1n; round < 6; round++) {
          for (let i = 0; i < 12; i++) {
            const peer = peers[random(3)]!;
            // Zeroes make holes of whole granules, writes are anywhere.
            const type = [WRITE, WRITE_ZEROES, WRITE_ZEROES, TRIM][random(4)]!;
            const isRound = type !== WRITE && random(4) !== 0;
            const length = isRound ? granule * (1 + random(4)) : 1 + random(random(2) === 0 ? 900 : 70_000);
            const start = random(sizeBytes - length);
            const offset = isRound ? start - (start % granule) : start;
            const payload = type === WRITE ? { payload: pattern(length, random(1 << 30)) } : {};
            peer.send({ type, cookie: cookie++, offset, length, ...payload });
            if (random(3) === 0) simulation.run(random(12));
          }
          if (random(4) === 0) asks.send({ type: READ, cookie: cookie++, offset: 0, length: sizeBytes });
          simulation.run();
          asks.send({ type: READ, cookie: cookie++, offset: 0, length: sizeBytes });
          asks.send({ type: BLOCK_STATUS, cookie: cookie++, offset: 0, length: sizeBytes });
          simulation.run();
        }
        for (const peer of peers) if (peer.reader.outstanding > 0) found.push('something was not answered');
        for (const peer of peers) peer.push(peer.bytesOf({ type: DISC, cookie: 0n }));
        simulation.run();
        return [...found, ...troubles(simulation, peers)];
      }),
      '',
      title,
    );
  }
  t.end();
});

t.test('a disk that fails', (t) => {
  for (const { title, unitBytes, sizeBytes } of KINDS) {
    t.equal(
      firstTrouble(32, (seed) => {
        const random = randomNumbers(seed);
        let failing = true;
        const simulation = new Simulation({
          sizeBytes,
          unitBytes,
          seed,
          // Enough that every READ is complete before its reply begins: after that an error ends the connection (X4).
          memoryBytes: 12 * 1024 * KiB,
          sparse: isSparse(seed),
          fault: () => (failing && random(3) === 0 ? LINUX_EIO : 0),
        });
        const peer = simulation.connect(termsOf(seed, 0));
        const errors = new Set<number>();
        peer.onReply = ({ error }) => errors.add(error);
        for (let i = 0; i < 60; i++) {
          const length = 1 + random(Math.min(sizeBytes / 4, 100_000));
          const offset = random(sizeBytes - length);
          sendInPieces(peer, someRequest(peer, random, BigInt(i), offset, offset + length), random);
        }
        simulation.run();
        failing = false;
        peer.send({ type: READ, cookie: 1000n, offset: 1, length: 1000 });
        simulation.run();
        const found: string[] = [];
        if (peer.reader.outstanding > 0) found.push(`${peer.reader.outstanding} requests without a reply`);
        if (peer.isClosed) found.push('the connection was dropped');
        if ([...errors].some((error) => error !== 0 && error !== EIO && error !== ENOTSUP))
          found.push(`errors ${[...errors]}`);
        peer.push(peer.bytesOf({ type: DISC, cookie: 0n }));
        simulation.run();
        return [...found, ...troubles(simulation, [peer])];
      }),
      '',
      `${title}: EIO or success, one reply each, and the connection lives`,
    );
  }
  t.end();
});

t.test(
  'X4: a READ that fails after its simple reply has begun ends the connection, never with wrong bytes',
  (t) => {
    for (const { title, unitBytes } of KINDS) {
      const sizeBytes = 12 * 1024 * KiB;
      const simulation = new Simulation({
        sizeBytes,
        unitBytes,
        fault: (op, offset) => (op === OP_READ && offset >= 9 * 1024 * KiB ? LINUX_EIO : 0),
      });
      const peer = simulation.connect();
      peer.send({ type: READ, cookie: 1n, offset: 1, length: 11 * 1024 * KiB });
      peer.send({ type: FLUSH, cookie: 2n });
      simulation.run();
      t.ok(peer.isClosed, `${title}: dropped`);
      t.equal(
        peer.replies.find(({ cookie }) => cookie === 1n),
        undefined,
        'the READ is not complete',
      );
      t.same(troubles(simulation, [peer]), []);
      const short = simulation.connect();
      short.send({ type: READ, cookie: 1n, offset: 9 * 1024 * KiB + 1, length: 100_000 });
      simulation.run();
      t.equal(short.replies[0]?.error, EIO, 'one that fails before is answered EIO');
    }
    t.end();
  },
);

t.test(
  'X4: a READ that fails after its first chunk says so in another one, and the connection lives',
  (t) => {
    for (const { title, unitBytes } of KINDS) {
      t.equal(
        firstTrouble(16, (seed) => {
          const sizeBytes = 12 * 1024 * KiB;
          const random = randomNumbers(seed);
          const bad = 9 * 1024 * KiB + random(2 * 1024 * KiB);
          const simulation = new Simulation({
            sizeBytes,
            unitBytes,
            seed,
            memoryBytes: 6 * 1024 * KiB,
            fault: (op, offset, length) =>
              op === OP_READ && offset <= bad && bad < offset + length ? LINUX_EIO : 0,
          });
          const peer = simulation.connect({ replies: MODES[1 + (seed % 2)]! });
          const flags = random(2) === 0 ? DF : 0;
          peer.send({
            type: READ,
            flags,
            cookie: 1n,
            offset: 1 + random(5000),
            length: 11 * 1024 * KiB + 4096,
          });
          peer.send({ type: FLUSH, cookie: 2n });
          peer.send({ type: READ, flags, cookie: 3n, offset: bad, length: 1 });
          peer.send({ type: READ, flags, cookie: 4n, offset: 77, length: 8000 * KiB });
          simulation.run();
          const errors = new Map(peer.replies.map(({ cookie, error }) => [cookie, error]));
          const found =
            [1n, 2n, 3n, 4n].map((cookie) => errors.get(cookie)).join() === '5,0,5,0' ? [] : ['errors'];
          peer.push(peer.bytesOf({ type: DISC, cookie: 0n }));
          simulation.run();
          return [...found, ...troubles(simulation, [peer])];
        }),
        '',
        title,
      );
    }
    t.end();
  },
);

t.test('a connection that dies, at any moment', (t) => {
  for (const { title, unitBytes, sizeBytes } of KINDS) {
    t.equal(
      firstTrouble(64, (seed) => {
        const simulation = new Simulation({
          sizeBytes,
          unitBytes,
          seed,
          memoryBytes: 4096 * KiB,
          requests: 32,
          sparse: isSparse(seed),
        });
        const random = randomNumbers(seed);
        const peers: SimulatedPeer[] = [];
        for (let round = 0; round < 6; round++) {
          const peer = simulation.connect(termsOf(seed, round));
          peers.push(peer);
          const requests: Request[] = [];
          for (let i = 0; i < 20; i++) {
            const length = 1 + random(random(4) === 0 ? Math.min(sizeBytes / 2, 200_000) : 3000);
            const offset = random(sizeBytes - length);
            requests.push(someRequest(peer, random, BigInt(i), offset, offset + length));
          }
          for (const request of requests) peer.reader.expect(request);
          const bytes = peer.bytesOf(...requests);
          peer.push(bytes.subarray(0, random(bytes.length))); // in the middle of anything
          if (random(3) === 0) peer.appetite = random(5000);
          simulation.run(random(200));
          peer.hasLeft = true;
        }
        simulation.run();
        const found = troubles(simulation, peers);
        return [...found, ...mixedLoad(simulation, seed, { requests: 30, isUsed: true })];
      }),
      '',
      `${title}: everything is given back, and the next clients are served`,
    );
  }
  t.end();
});

t.test('an old write of a connection that died does not undo a newer one of its successor', (t) => {
  for (const { title, unitBytes, sizeBytes } of KINDS) {
    t.equal(
      firstTrouble(100, (seed) => {
        const simulation = new Simulation({ sizeBytes, unitBytes, seed, sparse: isSparse(seed) });
        const random = randomNumbers(seed);
        const unit = unitBytes || 4096;
        const old = simulation.connect(termsOf(seed, 0));
        // Some of the old writes touch each other, so that some wait for others; some are aligned, and zeroes are too.
        for (let i = 0; i < 12; i++) {
          const isAligned = random(2) === 0;
          const offset = isAligned ? random(2) * unit : random(2 * unit);
          const length = isAligned ? unit : 1 + random(unit);
          if (random(4) === 0) old.send({ type: WRITE_ZEROES, cookie: BigInt(i), offset, length });
          else old.send({ type: WRITE, cookie: BigInt(i), offset, payload: Buffer.alloc(length, 0x0d) });
        }
        simulation.run(random(30));
        old.hasLeft = true;
        // The server learns of the end, and then the successor comes.
        for (let i = 0; i < 1000 && !old.isClosed; i++) simulation.run(1);
        const successor = simulation.connect(termsOf(seed, 1));
        const payload = pattern(2 * unit + 100, seed);
        const start = random(50);
        successor.send({ type: WRITE, cookie: 1n, offset: start, payload });
        simulation.run();
        successor.send({ type: READ, cookie: 2n, offset: 0, length: 2 * unit });
        simulation.run();
        successor.push(successor.bytesOf({ type: DISC, cookie: 0n }));
        simulation.run();
        const isNew = simulation.image.subarray(start, start + payload.length).equals(payload);
        return [
          ...troubles(simulation, [successor]),
          ...(isNew ? [] : ['an old write came after the new one']),
        ];
      }),
      '',
      title,
    );
  }
  t.end();
});

/** Clients that take a few bytes of their replies, and have more requests than they may. */
function stuckClients(simulation: Simulation, count: number): SimulatedPeer[] {
  return Array.from({ length: count }, (_, number) => {
    const peer = simulation.connect(termsOf(3, number));
    peer.appetite = 100;
    for (let i = 0; i < 50; i++) {
      const length = (number % 3 === 0 ? 300 : 3) * KiB;
      peer.send({ type: READ, cookie: BigInt(i), offset: i, length });
    }
    simulation.run();
    return peer;
  });
}

/** Whether a newcomer gets a large WRITE and READ done. */
function isServed(simulation: Simulation, terms: PeerTerms = {}): boolean {
  const peer = simulation.connect(terms);
  const payload = pattern(700_000, 1);
  peer.send({ type: WRITE, cookie: 1n, offset: 7, payload });
  simulation.run();
  peer.send({ type: READ, cookie: 2n, offset: 7, length: payload.length });
  simulation.run();
  return peer.replies.length === 2 && peer.replies[1]!.data.equals(payload);
}

t.test('X22: clients that never read their replies do not keep others from being served', (t) => {
  for (const { title, unitBytes } of KINDS) {
    for (const count of [1, 2, 5]) {
      const simulation = new Simulation({ sizeBytes: 1024 * KiB, unitBytes, memoryBytes: 8192 * KiB });
      const stuck = stuckClients(simulation, count);
      const served = MODES.every((_, mode) => isServed(simulation, termsOf(mode, 0)));
      t.ok(served, `${title}: ${count} stuck clients, ones of every kind that are served`);
      for (const other of stuck) other.appetite = Number.POSITIVE_INFINITY;
      simulation.run();
      const answered = stuck.reduce((sum, other) => sum + other.replies.length, 0);
      t.equal(answered, 50 * count, 'and when they read again they get everything');
    }
  }
  t.end();
});

/** Lets the server look for clients that stand still, again and again, for longer than it tolerates. */
function letTimePass(simulation: Simulation, begin = 0): void {
  for (const now of [begin, begin + STALL_MS - 1, begin + STALL_MS, begin + 2 * STALL_MS]) {
    const clients = simulation.peers.flatMap((peer) => peer?.client ?? []);
    simulation.transmission.endStalled(clients, now);
    simulation.run();
  }
}

t.test('X22: when clients that stand still hold all there is, they are ended after a while', (t) => {
  const payload = pattern(900_000, 1);
  const ways = [
    { title: 'never read', standStill: (simulation: Simulation) => stuckClients(simulation, 40) },
    {
      title: 'never finish their payload',
      standStill: (simulation: Simulation) =>
        Array.from({ length: 40 }, () => {
          const peer = simulation.connect();
          peer.send({ type: WRITE, cookie: 1n, length: payload.length, payload: payload.subarray(0, 10) });
          simulation.run();
          return peer;
        }),
    },
  ];
  for (const { title, unitBytes } of KINDS) {
    for (const way of ways) {
      const simulation = new Simulation({ sizeBytes: 1024 * KiB, unitBytes, memoryBytes: 8192 * KiB });
      const innocent = simulation.connect();
      way.standStill(simulation);
      innocent.send({ type: READ, cookie: 1n, offset: 1, length: payload.length });
      simulation.run();
      letTimePass(simulation);
      t.equal(innocent.replies.length, 1, `${title}, clients that ${way.title}: one who waited is served`);
      t.notOk(innocent.isClosed, 'and stays');
      t.ok(isServed(simulation), 'and there is room for the next');
      t.same(simulation.faults, []);
    }
  }
  t.end();
});

t.test('X22: clients that stand still are left alone while nobody wants what they hold', (t) => {
  const simulation = new Simulation({ sizeBytes: 1024 * KiB, unitBytes: 0, memoryBytes: 8192 * KiB });
  const stuck = stuckClients(simulation, 3);
  letTimePass(simulation);
  t.notOk(stuck.some((peer) => peer.isClosed));
  simulation.transmission.turnedAway();
  letTimePass(simulation, 3 * STALL_MS);
  t.ok(
    stuck.some((peer) => peer.isClosed),
    'until a new connection has to be refused',
  );
  t.end();
});

t.test('idle clients that each hold a page of another large block do not stop large requests', (t) => {
  for (const { title, unitBytes } of KINDS) {
    const simulation = new Simulation({ sizeBytes: 1024 * KiB, unitBytes, memoryBytes: 8192 * KiB });
    const idle: SimulatedPeer[] = [];
    while (simulation.slab.freeBytes > 0) idle.push(simulation.connect());
    for (const [at, peer] of idle.entries()) peer.hasLeft = at % 32 !== 0;
    simulation.run();
    t.ok(simulation.slab.freeBytes > 7000 * KiB, 'most memory is free');
    t.ok(isServed(simulation), `${title}: a large WRITE and READ`);
  }
  t.end();
});

t.test('thousands of replies may wait behind one', (t) => {
  const requests = 32_768;
  const simulation = new Simulation({
    sizeBytes: 8192 * KiB,
    unitBytes: 0,
    requests,
    memoryBytes: 256 * 1024 * KiB,
  });
  const peer = simulation.connect();
  let held = true;
  simulation.heldBack = (op, offset) => held && op === OP_READ && offset >= 5 * 1024 * KiB;
  peer.send({ type: READ, cookie: 0n, offset: 0, length: 6 * 1024 * KiB });
  simulation.run();
  const small: Request[] = [];
  for (let i = 1; i <= 16_000; i++) small.push({ type: READ, cookie: BigInt(i), offset: i, length: 16 });
  // In the order of their completion, all at once.
  peer.send(...small);
  simulation.run();
  held = false;
  t.doesNotThrow(() => simulation.run());
  t.equal(peer.replies.length, 16_001);
  t.equal(peer.reader.fault, undefined);
  t.end();
});

t.test('a refused request leaves the next ones their turn', (t) => {
  const simulation = new Simulation({ sizeBytes: 64 * KiB, unitBytes: 512, requests: 16 });
  const peer = simulation.connect();
  for (let i = 0; i < 200; i++) {
    peer.send({ type: i % 2 === 0 ? 77 : FLUSH, cookie: BigInt(i), length: 1 });
    if (i % 3 === 0)
      peer.send({ type: WRITE, cookie: 1000n + BigInt(i), offset: 64 * KiB, payload: Buffer.alloc(9000) });
  }
  simulation.run();
  t.equal(peer.reader.outstanding, 0);
  t.equal(peer.replies.filter(({ error }) => error === EINVAL).length, 100);
  t.end();
});
