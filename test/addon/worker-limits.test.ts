// Worker threads at their limits: none more is to be had, what is in line blocks, the line never ends.

import { join } from 'node:path';
import t from 'tap';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { slowWrites } from '../support/slow-writes.js';
import { inProcess } from './processes.js';

t.test('a thread that cannot be started takes nothing from those that are at work', async (t) => {
  // The limit on threads does not bind root, so the process becomes somebody else, once there is one worker thread.
  const path = sparseFile(join(scratch(t), 'f'), MiB);
  const body = `
    const COUNT = 200_000, DEPTH = 8;
    const fd = fs.openSync(${JSON.stringify(path)}, 'r+');
    const reactor = new Small({ workerThreads: 16 });
    const file = reactor.native.addFile(fd, false, false);
    const advise = { op: ADVISE, target: file, length: 4096 };
    const threads = () => fs.readdirSync('/proc/self/task')
      .filter((task) => fs.readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('aionbd')).length;
    reactor.put(advise);
    reactor.submit();
    await reactor.all(1);
    require('node:child_process').execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1']);
    if (process.getuid() === 0) process.setuid(65534);
    let given = 1;
    let isFilling = false;
    const fill = () => {
      if (isFilling) return;
      isFilling = true;
      for (;;) {
        const room = Math.min(DEPTH - (given - reactor.done.length), COUNT - given);
        if (room === 0) break;
        for (let i = 0; i < room; i++) reactor.put(advise);
        given += room;
        reactor.submit();
      }
      isFilling = false;
    };
    reactor.wake = fill;
    fill();
    // Until all are done, or none is for five seconds.
    let before = 0;
    let since = performance.now();
    while (reactor.done.length < COUNT && performance.now() - since < 5000) {
      if (reactor.done.length > before) since = performance.now();
      before = reactor.done.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const result = { done: reactor.done.length, failed: reactor.done.filter(({ result }) => result !== 0).length,
      threads: threads() };
    await reactor.close();
    return result;
  `;
  t.same(await inProcess(body), { done: 200_000, failed: 0, threads: 1 });
});

for (const [when, body] of [
  ['comes while it is at work', 'write(0); reactor.submit(); await sleep(10); write(1); reactor.submit();'],
  ['was in line with it from the start', 'write(2); write(0); write(1); reactor.submit();'],
]) {
  t.test(`a buffered write is told of at once, even if the next one blocks that ${when}`, async (t) => {
    const path = sparseFile(join(scratch(t), 'f'), MiB);
    // The first takes long enough for the others to be in line, the second a good while.
    const env = await slowWrites(t, 'offset == 0 ? 100000 : offset == 4096 ? 2000000 : 0');
    const script = `
      const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const fd = fs.openSync(${JSON.stringify(path)}, 'r+');
      const reactor = new Small();
      const file = reactor.native.addFile(fd, false, false);
      let count = 0;
      const write = (i) => {
        reactor.put({ op: WRITE, target: file, length: 4096, offset: i * 4096 });
        count++;
      };
      ${body}
      await reactor.all(count - 1);
      const first = performance.now();
      await reactor.all(count);
      const apart = performance.now() - first;
      await reactor.close();
      return { results: reactor.done.map(({ result }) => result), apart };
    `;
    const { results, apart } = (await inProcess(script, [], env)) as { results: number[]; apart: number };
    t.ok(results.every((result) => result === 4096));
    t.ok(apart > 1000, `the blocked one is complete ${apart} ms later`);
  });
}

t.test('a line of writes that never runs empty takes no more memory with time', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 2 * MiB);
  const env = await slowWrites(t, '10');
  const script = `
    const DEPTH = 2000, PIECE = 4096;
    class Endless extends Small {
      finished = 0;
      isOver = false;
      write(i) {
        const offset = (i % 512) * PIECE;
        this.put({ op: WRITE, target: file, buffer: i % 256 * PIECE, length: PIECE, offset });
      }
      collect(n) {
        for (let count = n; count > 0; count = this.native.submit(this.count)) {
          this.count = 0;
          this.finished += count;
          for (let i = 0; i < count && !this.isOver; i++) this.write(this.finished + i);
        }
        this.count = 0;
        this.wake();
      }
      async reached(count) {
        while (this.finished < count) await new Promise((resolve) => { this.wake = resolve; });
      }
    }
    const fd = fs.openSync(${JSON.stringify(path)}, 'r+');
    const reactor = new Endless({ submissionCapacity: 4096, completionCapacity: 4096 });
    const file = reactor.native.addFile(fd, false, false);
    for (let i = 0; i < DEPTH; i++) reactor.write(i);
    reactor.submit();
    await reactor.reached(50_000);
    const before = process.memoryUsage.rss();
    await reactor.reached(350_000);
    const grown = (process.memoryUsage.rss() - before) / 1048576;
    reactor.isOver = true;
    await reactor.close();
    return grown;
  `;
  const grown = (await inProcess(script, ['--max-semi-space-size=1'], env)) as number;
  t.ok(grown < 10, `${grown.toFixed(1)} MiB more after 300,000 writes`);
});
