// Reads that are done at once go in groups, so that the first replies need not wait for the last read.

import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { RING_CELLS, RING_IO_SUBMITTED, RING_NOWAIT_FALLBACKS } from '../../src/engine/ring-counters.js';
import { pattern, patternFile, scratch } from '../support/files.js';
import { addFile } from './open.js';
import { CANCEL, ECANCELED, KiB, MiB, openReactor, type RawReactor, READ, RECV } from './reactor.js';
import { type Connected, connect } from './socket.js';

const PIECE = 4 * KiB;
const READS = 20;
const GROUP = 8;
/** More than it takes until a file is known to be read at once. */
const AT_ONCE = 300;
const DATA_OFFSET = 64 * MiB;

interface Bench {
  readonly counters: Float64Array;
  readonly reactor: RawReactor;
  readonly file: number;
  readonly client: Connected;
}

/**
 * A file with a hole, and data on the disk behind it; and a client. With O_DIRECT the hole is read at once and the data is
 * not, without all is read at once.
 */
async function bench(t: Test, direct: boolean): Promise<Bench> {
  const counters = new Float64Array(new SharedArrayBuffer(RING_CELLS * 8));
  const reactor = openReactor(t, { counters });
  const path = join(scratch(t), 'disk');
  const fd = openSync(path, 'w+');
  const length = READS * PIECE;
  ftruncateSync(fd, DATA_OFFSET);
  writeSync(fd, pattern(length, 1), 0, length, DATA_OFFSET);
  fsyncSync(fd);
  if (!direct) for (const at of [0, DATA_OFFSET]) readSync(fd, Buffer.alloc(length), 0, length, at);
  closeSync(fd);
  const file = addFile(t, reactor, path, direct);
  const entry = { op: READ, target: file, buffer: 0, length: PIECE, offset: 0 };
  for (let i = 0; i < AT_ONCE; i++) {
    const tag = reactor.put(entry);
    reactor.submit();
    if (reactor.done.at(-1)?.tag !== tag) t.fail('a read that should be done at once has to wait');
  }
  return { counters, reactor, file, client: await connect(t, reactor) };
}

/** Lets `act` happen in the turn in which bytes of all these clients have come. */
async function inTurn<T>(reactor: RawReactor, clients: readonly Connected[], act: () => T): Promise<T> {
  const tags = clients.map(({ connection }) =>
    reactor.put({ op: RECV, target: connection, buffer: 3 * MiB, length: KiB }),
  );
  reactor.submit();
  const from = reactor.done.length;
  const acted = new Promise<T>((resolve) => {
    reactor.onTurn = () => {
      const done = reactor.done.slice(from);
      if (!tags.every((tag) => done.some((one) => one.tag === tag))) return;
      reactor.onTurn = undefined;
      resolve(act());
    };
  });
  for (const { peer } of clients) peer.write('request');
  return acted;
}

function putReads({ reactor, file }: Bench, offset: number): number[] {
  return Array.from({ length: READS }, (_, i) =>
    reactor.put({
      op: READ,
      target: file,
      buffer: i * PIECE,
      length: PIECE,
      offset: offset + i * PIECE,
    }),
  );
}

/** Hands over what was put, and says how many completions each call brought. */
function submitAll(reactor: RawReactor): number[] {
  const counts: number[] = [];
  for (;;) {
    const count = reactor.submit();
    if (count === 0) return counts;
    counts.push(count);
  }
}

for (const direct of [true, false]) {
  const how = direct ? 'with O_DIRECT' : 'out of the page cache';

  t.test(`${how}, reads of one client come back in groups of ${GROUP}, in their order`, async (t) => {
    const all = await bench(t, direct);
    const { reactor, client } = all;
    const { counts, tags } = await inTurn(reactor, [client], () => {
      const tags = putReads(all, 0);
      return { tags, counts: submitAll(reactor) };
    });
    t.same(counts, [GROUP, GROUP, READS - 2 * GROUP]);
    t.same(
      reactor.done.slice(-READS),
      tags.map((tag) => ({ op: READ, tag, result: PIECE })),
    );
  });

  t.test(`${how}, those that come meanwhile are read behind those that were there`, async (t) => {
    const all = await bench(t, direct);
    const { reactor, client } = all;
    const tags = await inTurn(reactor, [client], () => {
      const tags = putReads(all, 0);
      t.equal(reactor.submit(), GROUP);
      tags.push(...putReads(all, 0));
      t.same(submitAll(reactor), [GROUP, GROUP, GROUP, GROUP]);
      return tags;
    });
    t.same(
      reactor.done.slice(-2 * READS).map(({ tag }) => tag),
      tags,
    );
  });

  t.test(`${how}, reads of two clients come back together`, async (t) => {
    const all = await bench(t, direct);
    const other = await connect(t, all.reactor);
    const counts = await inTurn(all.reactor, [all.client, other], () => {
      putReads(all, 0);
      return submitAll(all.reactor);
    });
    t.same(counts, [READS], 'each of them has others to wait for');
  });

  t.test(`${how}, a read that was put off can be given up`, async (t) => {
    const all = await bench(t, direct);
    const { reactor, client } = all;
    const tags = await inTurn(reactor, [client], () => {
      const tags = putReads(all, 0);
      reactor.put({ op: CANCEL, tag: tags[GROUP]! });
      reactor.put({ op: CANCEL, tag: tags[READS - 1]! });
      reactor.put({ op: CANCEL, tag: 77_777 });
      submitAll(reactor);
      return tags;
    });
    const results = await Promise.all(tags.map((tag) => reactor.result(tag)));
    t.same(
      results,
      tags.map((_, i) => (i === GROUP || i === READS - 1 ? ECANCELED : PIECE)),
    );
  });

  t.test(`${how}, what is put off is read though nobody asks for more`, async (t) => {
    const all = await bench(t, direct);
    const { reactor, client } = all;
    const tags = await inTurn(reactor, [client], () => {
      const tags = putReads(all, DATA_OFFSET);
      reactor.push();
      return tags;
    });
    t.same(
      await Promise.all(tags.map((tag) => reactor.result(tag))),
      tags.map(() => PIECE),
    );
    t.ok(reactor.bytes.subarray(0, READS * PIECE).equals(pattern(READS * PIECE, 1)));
  });

  for (const others of [false, true]) {
    const behind = others ? 'and others submit behind it' : 'and nobody asks for more';
    t.test(`${how}, what is put off is read though the turn takes long ${behind}`, async (t) => {
      const all = await bench(t, direct);
      const { reactor, client } = all;
      const tags = await inTurn(reactor, [client], () => {
        const tags = putReads(all, 0);
        reactor.push();
        // Longer than the reactor stays.
        const leave = performance.now() + 5;
        while (performance.now() < leave);
        return tags;
      });
      await new Promise((resolve) => setImmediate(resolve));
      if (others) {
        tags.push(reactor.put({ op: READ, target: all.file, buffer: 2 * MiB, length: PIECE, offset: 0 }));
        reactor.submit();
      }
      t.same(
        await Promise.all(tags.map((tag) => reactor.result(tag))),
        tags.map(() => PIECE),
      );
    });
  }

  t.test(`${how}, what is put off when the reactor closes is not read`, async (t) => {
    const all = await bench(t, direct);
    const { reactor, client } = all;
    reactor.bytes.fill(0xaa, 0, READS * PIECE);
    await inTurn(reactor, [client], () => {
      putReads(all, 0);
      reactor.push();
      void reactor.close();
    });
    await reactor.close();
    const { bytes } = reactor;
    t.ok(bytes.subarray(0, GROUP * PIECE).every((byte) => byte === 0));
    t.ok(bytes.subarray(GROUP * PIECE, READS * PIECE).every((byte) => byte === 0xaa));
  });

  t.test(`${how}, reads over TCP come back together`, async (t) => {
    const all = await bench(t, direct);
    const client = await connect(t, all.reactor, { tcp: true });
    const counts = await inTurn(all.reactor, [client], () => {
      putReads(all, 0);
      return submitAll(all.reactor);
    });
    t.same(counts, [READS], 'nobody waits for such a reader');
  });
}

t.test('reads that are not done at once after all do not wait for each other', async (t) => {
  const all = await bench(t, true);
  const { reactor, client, counters } = all;
  const before = counters[RING_IO_SUBMITTED]!;
  const tags = await inTurn(reactor, [client], () => {
    const tags = putReads(all, DATA_OFFSET);
    submitAll(reactor);
    t.equal(counters[RING_IO_SUBMITTED], before + READS, 'the kernel has them all');
    return tags;
  });
  const results = await Promise.all(tags.map((tag) => reactor.result(tag)));
  t.same(
    results,
    tags.map(() => PIECE),
  );
  t.ok(reactor.bytes.subarray(0, READS * PIECE).equals(pattern(READS * PIECE, 1)));
});

t.test('where one read takes a disk those behind it do not wait for their group', async (t) => {
  const { reactor, client, counters } = await bench(t, false);
  const path = patternFile(join(scratch(t), 'cold'), READS * MiB, 1);
  // Only the first page is in the cache, and read-ahead does not reach from one read to the next.
  const drop = ['sync "$1" && dd if="$1" iflag=nocache count=0', 'drop', path];
  const dropped = spawnSync('sh', ['-c', ...drop], { encoding: 'utf8' });
  t.equal(dropped.status, 0, dropped.stderr);
  const target = addFile(t, reactor, path, false);
  t.equal(await reactor.one({ op: READ, target, buffer: 0, length: PIECE, offset: 0 }), PIECE);
  const before = counters[RING_NOWAIT_FALLBACKS]!;
  const tags = await inTurn(reactor, [client], () => {
    const tags = Array.from({ length: READS }, (_, i) =>
      reactor.put({ op: READ, target, buffer: i * PIECE, length: PIECE, offset: i * MiB }),
    );
    t.equal(reactor.submit(), 1, 'one is in the cache');
    t.equal(counters[RING_NOWAIT_FALLBACKS], before + READS - 1, 'all others are with the workers');
    return tags;
  });
  t.same(
    await Promise.all(tags.map((tag) => reactor.result(tag))),
    tags.map(() => PIECE),
  );
});
