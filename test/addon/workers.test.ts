// What blocks is done by worker threads: queued, cancelled, and done even where no thread is to be had.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { KiB, MiB, pattern, patternFile, scratch, sparseFile } from '../support/files.js';
import { addFile } from './open.js';
import { inProcess } from './processes.js';
import { CANCEL, ECANCELED, openReactor, READ, WRITE, ZERO } from './reactor.js';

const workerThreads = () =>
  readdirSync('/proc/self/task').filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8') === 'aionbd-worker\n';
    } catch {
      return false; // it has just ended
    }
  }).length;

t.test('threads start when they are needed, no more than allowed, and end with the reactor', async (t) => {
  const reactor = openReactor(t, { workerThreads: 3 });
  const file = addFile(t, reactor, sparseFile(join(scratch(t), 'f'), 64 * MiB), false);
  t.equal(workerThreads(), 0);
  const zero = (i: number) => ({ op: ZERO, target: file, offset: i * 64 * KiB, length: 64 * KiB });
  const results = await reactor.run(...Array.from({ length: 200 }, (_, i) => zero(i)));
  t.same(results, new Array(200).fill(0));
  const started = workerThreads();
  t.ok(started >= 1 && started <= 3, `${started} threads`);
  await reactor.close();
  t.equal(workerThreads(), 0);
});

t.test('CANCEL gives up what no thread has begun, once, and nothing else', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 16 * MiB, 1);
  const reactor = openReactor(t, { workerThreads: 1 });
  const file = addFile(t, reactor, path, false);
  const tags = Array.from({ length: 100 }, (_, i) =>
    reactor.put({ op: ZERO, target: file, offset: i * 64 * KiB, length: 64 * KiB }),
  );
  for (const tag of tags.slice(50).reverse()) reactor.put({ op: CANCEL, tag });
  reactor.put({ op: CANCEL, tag: tags[99]! });
  reactor.put({ op: CANCEL, tag: 4711 });
  reactor.submit();
  const results = await Promise.all(tags.map((tag) => reactor.result(tag)));
  t.ok(results.slice(0, 50).every((result) => result === 0));
  const givenUp = results.filter((result) => result === ECANCELED).length;
  t.ok(givenUp > 0, `${givenUp} of 50 were given up`);
  const done = results.length - givenUp;
  t.same(results.slice(50), [...new Array(done - 50).fill(0), ...new Array(givenUp).fill(ECANCELED)]);
  t.equal(reactor.done.length, 100, 'CANCEL has no completion of its own');
  const expected = pattern(16 * MiB, 1).fill(0, 0, done * 64 * KiB);
  t.ok(readFileSync(path).equals(expected), 'what was given up has not happened');
});

t.test('CANCEL gives up direct I/O that waits for room in the queue', async (t) => {
  const path = patternFile(join(scratch(t), 'f'), 4 * MiB, 2);
  const reactor = openReactor(t, { queueDepth: 1 });
  const file = addFile(t, reactor, path, true);
  const read = (i: number) => ({ op: READ, target: file, buffer: i * 4096, length: 4096, offset: i * 4096 });
  const tags = Array.from({ length: 20 }, (_, i) => reactor.put(read(i)));
  for (const tag of tags.slice(10)) reactor.put({ op: CANCEL, tag });
  reactor.submit();
  const results = await Promise.all(tags.map((tag) => reactor.result(tag)));
  t.same(results, [...new Array(10).fill(4096), ...new Array(10).fill(ECANCELED)]);
});

t.test('after writes to holes were cancelled, writes go to the kernel again', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 64 * MiB);
  const reactor = openReactor(t, { workerThreads: 1 });
  const file = addFile(t, reactor, path, true);
  for (let round = 0; round < 20; round++) {
    const write = (i: number) => ({
      op: WRITE,
      target: file,
      length: 4096,
      offset: (round * 50 + i) * 64 * KiB,
    });
    const tags = Array.from({ length: 50 }, (_, i) => reactor.put(write(i)));
    for (const tag of tags) reactor.put({ op: CANCEL, tag });
    reactor.submit();
    const results = await Promise.all(tags.map((tag) => reactor.result(tag)));
    if (!results.every((result) => result === 4096 || result === ECANCELED)) t.fail(`results ${results}`);
  }
  t.equal(await reactor.one({ op: WRITE, target: file, length: 4096 }), 4096);
});

t.test('where no thread is to be had, what blocks is done all the same', async (t) => {
  // The limit on threads does not bind root, so the process becomes somebody else.
  const path = patternFile(join(scratch(t), 'f'), MiB, 3);
  const body = `
    const fd = fs.openSync(${JSON.stringify(path)}, 'r+');
    const reactor = new Small();
    const file = reactor.native.addFile(fd, false, false);
    require('node:child_process').execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1']);
    if (process.getuid() === 0) process.setuid(65534);
    for (let i = 0; i < 4; i++) reactor.put({ op: TRIM, target: file, offset: i * 65536, length: 65536 });
    reactor.submit();
    await reactor.all(4);
    const threads = fs.readdirSync('/proc/self/task')
      .filter((task) => fs.readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('aionbd'));
    await reactor.close();
    return { results: reactor.done.map(({ result }) => result), threads: threads.length };
  `;
  t.same(await inProcess(body), { results: [0, 0, 0, 0], threads: 0 });
  const expected = pattern(MiB, 3).fill(0, 0, 256 * KiB);
  t.ok(readFileSync(path).equals(expected));
});
