// What a running server counts, compared with what its clients have sent and got: exactly, on one thread and on several.

import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { ConnectionInfo, ServerOptions } from '../../src/index.js';
import type { Operation, ServerSnapshot } from '../../src/metrics/snapshot.js';
import { MiB, patternFile, scratch } from '../support/files.js';
import { seededRandom } from '../support/random.js';
import { createServer } from '../threads/library.js';
import { RawClient } from '../transmission/raw-client.js';
import type { Reply } from '../transmission/reply-reader.js';
import {
  BLOCK_STATUS,
  CACHE,
  FLUSH,
  MODES,
  type Mode,
  READ,
  type Request,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from '../transmission/wire.js';

const SIZE = 8 * MiB;
const NAMES: Readonly<Record<number, Operation>> = {
  [READ]: 'read',
  [WRITE]: 'write',
  [FLUSH]: 'flush',
  [TRIM]: 'trim',
  [CACHE]: 'cache',
  [WRITE_ZEROES]: 'write_zeroes',
  [BLOCK_STATUS]: 'block_status',
};
const ERRORS: Readonly<Record<number, string>> = {
  1: 'EPERM',
  5: 'EIO',
  22: 'EINVAL',
  28: 'ENOSPC',
  95: 'ENOTSUP',
};

async function start(t: Test, options: Partial<ServerOptions> = {}) {
  const folder = scratch(t);
  const exports = ['one', 'two'].map((name, i) => ({
    name,
    path: patternFile(join(folder, name), SIZE, i + 1),
    readOnly: i === 1,
  }));
  const server = await createServer({ exports, queueDepth: 256, ...options });
  t.teardown(() => server.close(500));
  const ended: ConnectionInfo[] = [];
  server.on('disconnect', (info) => ended.push(info));
  const unix = await server.listen({ kind: 'unix', path: join(folder, 's') });
  const tcp = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  return { server, unix, tcp, ended };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 1000; i++) {
    if (await condition()) return true;
    await sleep(10);
  }
  return false;
}

interface Tally {
  requests: number;
  bytes: number;
  errors: Record<string, number>;
}

/** What the client of one connection knows. */
class Account {
  readonly operations = new Map<Operation, Tally>();
  readonly exportName: string;
  readonly client: RawClient;
  /** What the socket had moved when the handshake was over. */
  readonly #writtenBefore: number;
  readonly #readBefore: number;

  constructor(exportName: string, client: RawClient) {
    this.exportName = exportName;
    this.client = client;
    this.#writtenBefore = client.socket.bytesWritten;
    this.#readBefore = client.socket.bytesRead;
  }

  add(request: Omit<Request, 'cookie'>, length: number, { error }: Reply): void {
    const operation = NAMES[request.type] ?? 'unknown';
    const tally = this.operations.get(operation) ?? { requests: 0, bytes: 0, errors: {} };
    this.operations.set(operation, tally);
    tally.requests++;
    if (error === 0) tally.bytes += length;
    else tally.errors[ERRORS[error]!] = (tally.errors[ERRORS[error]!] ?? 0) + 1;
  }

  get connection() {
    const tallies = [...this.operations.values()];
    return {
      requests: sum(tallies.map(({ requests }) => requests)),
      readBytes: this.operations.get('read')?.bytes ?? 0,
      writtenBytes: this.operations.get('write')?.bytes ?? 0,
      errors: sum(tallies.flatMap(({ errors }) => Object.values(errors))),
      receivedBytes: this.client.socket.bytesWritten - this.#writtenBefore,
      sentBytes: this.client.socket.bytesRead - this.#readBefore,
    };
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Anything that a client may ask, sensible or not; and its length. */
function anyRequest(random: (below: number) => number, mode: Mode): [Omit<Request, 'cookie'>, number] {
  const types = [READ, READ, READ, WRITE, WRITE, FLUSH, TRIM, CACHE, WRITE_ZEROES, 77];
  if (mode !== 'simple') types.push(BLOCK_STATUS);
  const type = types[random(types.length)]!;
  const isAligned = random(2) === 0;
  const unit = isAligned ? 4096 : 1;
  const most = random(6) === 0 ? MiB : 20_000;
  const length = Math.max(unit, Math.floor(random(most) / unit) * unit);
  // Now and then past the end.
  const offset = Math.floor(random(SIZE + SIZE / 16) / unit) * unit;
  if (type === FLUSH || type === 77) return [{ type, offset: 0, length: 0 }, 0];
  if (type === WRITE) return [{ type, offset, length, payload: Buffer.alloc(length, 3) }, length];
  return [{ type, offset, length }, length];
}

async function exercise(account: Account, mode: Mode, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  for (let round = 0; round < 8; round++) {
    const asked = Array.from({ length: 1 + below(12) }, () => anyRequest(below, mode));
    const replies = await Promise.all(asked.map(([request]) => account.client.call(request)));
    for (const [i, [request, length]] of asked.entries()) account.add(request, length, replies[i]!);
  }
}

/** What an export has to say, of all accounts on it. */
function expected(accounts: readonly Account[], operation: Operation): Tally {
  const errors: Record<string, number> = {};
  const tallies = accounts.flatMap((account) => account.operations.get(operation) ?? []);
  for (const tally of tallies) {
    for (const [name, count] of Object.entries(tally.errors)) errors[name] = (errors[name] ?? 0) + count;
  }
  return {
    requests: sum(tallies.map(({ requests }) => requests)),
    bytes: sum(tallies.map(({ bytes }) => bytes)),
    errors,
  };
}

function compareExports(t: Test, { exports }: ServerSnapshot, accounts: readonly Account[]): void {
  for (const target of exports) {
    const own = accounts.filter(({ exportName }) => exportName === target.name);
    for (const [operation, counted] of Object.entries(target.operations)) {
      const { latency, diskLatency, ...tally } = counted;
      t.same(tally, expected(own, operation as Operation), `${target.name}: ${operation}`);
      t.equal(sum(latency.counts), tally.requests, 'each was timed');
      t.ok(sum(diskLatency.counts) <= tally.requests);
      t.ok(diskLatency.sumSeconds <= latency.sumSeconds + 1e-6);
    }
    t.match(target, { inFlight: 0, requestsGivenUp: 0, connectionsTotal: own.length });
    t.ok(target.inFlightMost > 0 && target.operations.read.latency.sumSeconds > 0);
  }
}

for (const threads of [1, 3]) {
  t.test(`on ${threads} threads each counter is exactly what clients have asked and got`, async (t) => {
    const { server, unix, tcp, ended } = await start(t, { threads });
    const accounts: Account[] = [];
    for (const [i, mode] of [...MODES, ...MODES].entries()) {
      const name = i % 3 === 2 ? 'two' : 'one';
      const contexts = mode === 'simple' ? [] : ['base:allocation'];
      const client = await RawClient.open(i % 2 === 0 ? unix : tcp, name, { replies: mode, contexts });
      t.teardown(() => client.destroy());
      accounts.push(new Account(name, client));
    }
    await Promise.all(
      accounts.map((account, i) => exercise(account, account.client.mode, 100 * threads + i)),
    );

    t.ok(await until(async () => (await server.snapshot()).connections.length === accounts.length));
    const snapshot = await server.snapshot();
    compareExports(t, snapshot, accounts);
    for (const [i, account] of accounts.entries()) {
      const counted = snapshot.connections.find(({ id }) => id === i + 1)!;
      t.match(
        counted,
        { ...account.connection, inFlight: 0, exportName: account.exportName },
        `connection ${i + 1}`,
      );
      t.match(counted, {
        transport: i % 2 === 0 ? 'unix' : 'tcp',
        replies: account.client.mode,
        metaContexts: account.client.mode === 'simple' ? [] : ['base:allocation'],
      });
      t.equal(
        snapshot.exports.find(({ name }) => name === account.exportName)!.connections,
        3 + (account.exportName === 'one' ? 1 : -1),
      );
    }
    t.equal(snapshot.reactors.length, threads);
    t.same(
      [...new Set(snapshot.connections.map(({ reactor }) => reactor))].sort().length,
      threads,
      'all threads serve',
    );
    const wire = accounts.map((account) => account.connection);
    // The handshakes are in these, too.
    const total = (of: 'receivedBytes' | 'sentBytes') => sum(snapshot.reactors.map((reactor) => reactor[of]));
    t.equal(total('receivedBytes'), sum(accounts.map(({ client }) => client.socket.bytesWritten)));
    t.ok(
      await until(
        async () =>
          sum((await server.snapshot()).reactors.map(({ sentBytes }) => sentBytes)) ===
          sum(accounts.map(({ client }) => client.socket.bytesRead)),
      ),
    );
    t.ok(total('receivedBytes') > sum(wire.map(({ receivedBytes }) => receivedBytes)));
    for (const reactor of snapshot.reactors) {
      t.ok(reactor.turns > 0 && reactor.receiveCalls > 0 && reactor.sendCalls > 0);
      t.ok(reactor.ioSubmitted >= reactor.ioSubmitCalls || reactor.nowaitFallbacks > 0);
      t.ok(
        reactor.bufferBytes > 0 &&
          reactor.bufferUsedBytes > 0 &&
          reactor.bufferUsedBytes <= reactor.bufferBytes,
      );
      t.ok(reactor.aliveAtMs >= snapshot.startedAtMs && reactor.aliveAtMs <= Date.now());
    }

    await Promise.all(accounts.map(({ client }) => client.destroy()));
    t.ok(await until(() => ended.length === accounts.length));
    for (const { id, totals, session, failure } of ended) {
      const { receivedBytes, sentBytes, ...asked } = accounts[id - 1]!.connection;
      t.match(totals, asked, 'the end of a connection tells what it has come to');
      t.match(session, { id, exportName: accounts[id - 1]!.exportName });
      t.equal(failure, undefined);
    }
    const last = await server.snapshot();
    t.same(last.connections, []);
    for (const target of last.exports) t.match(target, { connections: 0, inFlight: 0 });
  });
}

t.test('a client that is gone in the middle of everything leaves nothing in flight', async (t) => {
  for (const threads of [1, 2]) {
    const { server, unix, ended } = await start(t, { threads });
    for (let i = 0; i < 12; i++) {
      const client = await RawClient.open(unix, 'one', { replies: MODES[i % 3]! });
      for (let n = 0; n < 40; n++) {
        client.call({ type: READ, offset: n * 4096, length: 300_000 });
        client.call({ type: WRITE, offset: n * 5000, payload: Buffer.alloc(5000, n) });
      }
      await sleep(i);
      await client.destroy();
    }
    t.ok(await until(() => ended.length === 12));
    // I/O that was at work when its client went is waited for.
    t.ok(await until(async () => (await server.snapshot()).exports[0]!.inFlight === 0), `${threads} threads`);
    const { operations, requestsGivenUp, connections } = (await server.snapshot()).exports[0]!;
    const all = Object.values(operations);
    const answered = sum(all.flatMap(({ latency }) => latency.counts));
    t.equal(sum(all.map(({ requests }) => requests)), answered + requestsGivenUp);
    t.equal(connections, 0);
  }
});

t.test('handshakes that lead to nothing are counted by their reasons', async (t) => {
  for (const threads of [1, 2]) {
    const { server, unix, ended } = await start(t, { threads, maxConnections: 3, handshakeDeadlineMs: 1500 });
    const { path } = unix as { path: string };
    const failures = async () => (await server.snapshot()).handshakeFailures;
    const count = async (reason: keyof Awaited<ReturnType<typeof failures>>) => (await failures())[reason];

    const silent = connect(path);
    silent.on('error', () => {});
    t.ok(await until(async () => (await count('timeout')) === 1), 'a client that says nothing');

    const leaver = connect(path);
    leaver.once('data', () => leaver.destroy());
    t.ok(await until(async () => (await count('closed')) === 1), 'one that goes');

    const wrong = await RawClient.connect(unix);
    await wrong.greet();
    wrong.write(Buffer.alloc(16, 0xff));
    t.ok(await until(async () => (await count('protocol_error')) === 1), 'one that speaks something else');

    const lost = await RawClient.connect(unix);
    await lost.go('three').catch(() => {});
    await lost.destroy();
    t.ok(
      await until(async () => (await count('unknown_export')) === 1),
      'one that asks for what is not there',
    );

    const ill = await RawClient.connect(unix);
    await ill.exportName('four').catch(() => {});
    t.ok(await until(async () => (await count('unknown_export')) === 2), 'in the old way, too');

    const polite = await RawClient.connect(unix);
    await polite.greet();
    polite.write(Buffer.concat([Buffer.from('IHAVEOPT'), Buffer.from([0, 0, 0, 2, 0, 0, 0, 0])]));
    t.ok(await until(async () => (await count('abort')) === 1), 'one that takes its leave');

    t.ok(await until(() => ended.length === 6));
    const clients = await Promise.all([1, 2, 3].map(() => RawClient.open(unix, 'one')));
    const late = connect(path);
    late.on('error', () => {});
    t.ok(await until(async () => (await count('too_many_connections')) === 1), 'one too many');
    t.ok(await until(() => ended.length === 7));
    t.same(
      ended.map(({ failure }) => failure),
      [
        'timeout',
        'closed',
        'protocol_error',
        'unknown_export',
        'unknown_export',
        'abort',
        'too_many_connections',
      ],
    );
    t.same(await failures(), {
      closed: 1,
      abort: 1,
      timeout: 1,
      protocol_error: 1,
      unknown_export: 2,
      no_memory: 0,
      too_many_connections: 1,
      no_thread: 0,
      server_stopping: 0,
    });
    for (const client of clients) await client.destroy();
    for (const socket of [silent, leaver, late]) socket.destroy();
  }
});

t.test('a snapshot tells where the server listens, what it serves and that it stops', async (t) => {
  const { server, unix, tcp } = await start(t);
  const { listeners, exports, state, version, pid } = await server.snapshot();
  t.same(listeners, [
    `unix:${(unix as { path: string }).path}`,
    `127.0.0.1:${(tcp as { port: number }).port}`,
  ]);
  t.match(exports, [
    { name: 'one', readOnly: false, sizeBytes: SIZE },
    { name: 'two', readOnly: true, sizeBytes: SIZE },
  ]);
  for (const { direct, bufferedBecause, allocatedBytes, filesystemSizeBytes } of exports) {
    t.equal(bufferedBecause === '', direct, 'why it is not direct is told where it is not');
    t.ok(allocatedBytes! >= SIZE && filesystemSizeBytes! > 0);
  }
  t.equal(state, 'serving');
  t.equal(pid, process.pid);
  t.match(version, /^\d+\.\d+\.\d+/);
  let draining = 0;
  server.on('draining', () => draining++);
  await Promise.all([server.close(), server.close()]);
  t.equal(draining, 1, 'said once');
  t.equal(server.observation().state, 'draining');
});
