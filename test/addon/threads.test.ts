// Several reactors in one process, and all the ways in which a thread or the process can end under them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { ADDON, inProcess, PRELUDE } from './processes.js';

/** Starts a thread from such code: `prelude` in front of `body`, which is the body of an async function. */
const WORKER = `
  const { Worker } = require('node:worker_threads');
  const prelude = ${JSON.stringify(`${PRELUDE}\nconst { parentPort, workerData } = require('node:worker_threads');\n`)};
  const start = (body, workerData) =>
    new Worker(prelude + '(async () => {' + body + '})();', { eval: true, workerData });
  const exited = (worker) => new Promise((resolve) => worker.once('exit', resolve));
  const message = (worker) => new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
`;

t.test('reactors in four threads do I/O on one file at once', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 16 * MiB);
  const body = `${WORKER}
    const code = \`
      const fd = fs.openSync(workerData.path, fs.constants.O_RDWR | fs.constants.O_DIRECT);
      const reactor = new Small();
      const file = reactor.native.addFile(fd, true, false);
      reactor.bytes.fill(workerData.number);
      let asked = 0;
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 32; i++) {
          reactor.put({ op: WRITE, target: file, buffer: i * 4096, length: 4096,
            offset: ((round * 32 + i) * 4 + workerData.number - 1) * 4096 });
        }
        reactor.submit();
        await reactor.all(asked += 32);
      }
      await reactor.close();
      fs.closeSync(fd);
      parentPort.postMessage(reactor.done.every(({ result }) => result === 4096));
    \`;
    const workers = [1, 2, 3, 4].map((number) => start(code, { number, path: ${JSON.stringify(path)} }));
    const codes = workers.map(exited);
    const good = await Promise.all(workers.map(message));
    return { good, codes: await Promise.all(codes) };`;
  t.same(await inProcess(body), { good: [true, true, true, true], codes: [0, 0, 0, 0] });
  const content = readFileSync(path);
  const wrong = Array.from({ length: 2560 }, (_, i) => i).filter(
    (i) => !content.subarray(i * 4096, i * 4096 + 4096).equals(Buffer.alloc(4096, (i % 4) + 1)),
  );
  t.same(wrong, []);
});

t.test('a thread that is terminated with I/O in flight ends, and takes everything with it', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 1024 * MiB);
  const body = `${WORKER}
    const code = \`
      const fd = fs.openSync(workerData, fs.constants.O_RDWR | fs.constants.O_DIRECT);
      const reactor = new Small();
      const file = reactor.native.addFile(fd, true, false);
      reactor.native.listenTcp('127.0.0.1', 0, 1);
      for (let round = 0; ; round++) {
        for (let i = 0; i < 32; i++) {
          reactor.put({ op: WRITE, target: file, length: 65536, offset: ((round * 64 + i) * 65536 * 2) % (1 << 30) });
          reactor.put({ op: ZERO, target: file, length: 65536, offset: ((round * 64 + i) * 65536 * 2 + 65536) % (1 << 30) });
        }
        const asked = reactor.done.length;
        reactor.submit();
        parentPort.postMessage('busy');
        await reactor.all(asked + 32);
      }
    \`;
    const measure = () => ({
      descriptors: fs.readdirSync('/proc/self/fd').length,
      aioMappings: fs.readFileSync('/proc/self/maps', 'utf8').split('/[aio]').length - 1,
      workers: fs.readdirSync('/proc/self/task')
        .filter((task) => fs.readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('aionbd')).length,
    });
    const round = async () => {
      const workers = [1, 2, 3, 4].map(() => start(code, ${JSON.stringify(path)}));
      await Promise.all(workers.map(message));
      await Promise.all(workers.map((worker) => worker.terminate()));
    };
    await round();
    const before = measure();
    for (let i = 0; i < 4; i++) await round();
    return { before, after: measure() };`;
  const { before, after } = (await inProcess(body)) as { before: object; after: object };
  t.match(before, { aioMappings: 0, workers: 0 });
  t.same(after, before);
});

t.test('a thread may be terminated while it calls into the addon', async (t) => {
  // The call then finds that it can neither convert its arguments nor throw.
  const body = `${WORKER}
    const calls = {
      submit: 'reactor.native.submit(0)',
      push: 'reactor.native.push(0)',
      wake: 'reactor.native.wake()',
      addFile: 'reactor.native.removeFile(reactor.native.addFile(0, true, false))',
      listen: 'reactor.native.listenTcp("no address", 0, 1); reactor.native.listenUnix("", 1)',
      names: 'reactor.native.peerName(3); reactor.native.listenerPort(3); reactor.native.removeListener(3)',
      handing: 'reactor.native.adopt(-1); reactor.native.detach(3)',
      probe: 'try { addon.probeFile(-1); } catch {} addon.lockFile(-1, true)',
      closed: 'try { closed.native.submit(0); } catch {}',
      make: 'try { new Small({ queueDepth: 0 }); } catch {} try { new Small({ memoryBytes: 2 ** 46 }); } catch {}',
    };
    const code = (call) => \`
      const addon = require(${JSON.stringify(ADDON)});
      const reactor = new Small();
      const closed = new Small();
      closed.native.close();
      parentPort.postMessage('busy');
      for (;;) { \${call} }
    \`;
    const ended = [];
    for (const call of Object.values(calls)) {
      const workers = [1, 2].map(() => start(code(call)));
      await Promise.all(workers.map(message));
      for (const worker of workers) ended.push(await worker.terminate());
    }
    return ended.every((code) => code === 1) && ended.length;`;
  t.equal(await inProcess(body), 20);
});

t.test('a thread that is terminated while its onTurn never returns ends', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 16 * MiB);
  const body = `${WORKER}
    const code = \`
      const fd = fs.openSync(workerData, 'r+');
      const reactor = new Small();
      const file = reactor.native.addFile(fd, false, false);
      reactor.put({ op: ZERO, target: file, length: 65536 });
      reactor.submit();
      reactor.wake = () => {
        parentPort.postMessage('stuck');
        for (;;);
      };
    \`;
    const worker = start(code, ${JSON.stringify(path)});
    await message(worker);
    return worker.terminate();`;
  t.equal(await inProcess(body), 1);
});

t.test('a thread that ends with its reactor open, or closing, ends with its own exit code', async (t) => {
  const body = `${WORKER}
    const open = start("new Small(); process.exit(7);");
    const idle = start("const reactor = new Small(); parentPort.postMessage(0);");
    const thrown = start("const reactor = new Small(); throw new Error('on purpose');");
    thrown.on('error', () => {});
    const closing = start("new Small().native.close(() => {}); process.exit(8);");
    const later = start("new Small().native.close(() => {}); setImmediate(() => process.exit(9));");
    const codes = [open, closing, later, thrown].map(exited);
    await message(idle);
    return [...await Promise.all(codes), await idle.terminate()];`;
  t.same(await inProcess(body), [7, 8, 9, 1, 1]);
});

t.test('an open reactor keeps its thread alive, a closed one lets it end', async (t) => {
  const body = `${WORKER}
    const closing = start("const reactor = new Small(); await reactor.close();");
    return exited(closing);`;
  t.equal(await inProcess(body), 0);
});

t.test('process.exit with open reactors and I/O in flight ends the process at once', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 64 * MiB);
  for (const where of ['outside', 'in onTurn', 'in the close callback', 'while closing']) {
    const code = `${PRELUDE}
      const fd = fs.openSync(${JSON.stringify(path)}, fs.constants.O_RDWR | fs.constants.O_DIRECT);
      new Small();
      const reactor = new Small();
      const file = reactor.native.addFile(fd, true, false);
      for (let i = 0; i < 100; i++) reactor.put({ op: WRITE, target: file, length: 65536, offset: i * 131072 });
      reactor.submit();
      const where = ${JSON.stringify(where)};
      if (where === 'outside') process.exit(3);
      if (where === 'in onTurn') reactor.wake = () => process.exit(3);
      if (where === 'in the close callback') reactor.native.close(() => process.exit(3));
      if (where === 'while closing') {
        reactor.native.close();
        setImmediate(() => process.exit(3));
      }`;
    const result = await run(process.execPath, ['-e', code], { timeoutMs: 20_000 });
    t.equal(result.code, 3, `${where}: ${describe(result)}`);
  }
});

t.test('an exception out of onTurn is an uncaught exception of the process', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), 16 * MiB);
  const body = `
    const fd = fs.openSync(${JSON.stringify(path)}, 'r+');
    const reactor = new Small();
    const file = reactor.native.addFile(fd, false, false);
    reactor.put({ op: ZERO, target: file, length: 65536 });
    reactor.submit();
    reactor.wake = () => { throw new Error('from onTurn'); };
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve));
    const message = (await uncaught).message;
    reactor.wake = () => {};
    await reactor.close();
    return message;`;
  t.equal(await inProcess(body), 'from onTurn');
});

t.test('garbage collection takes closed reactors, and memory that was kept longer', async (t) => {
  const body = `
    const sleep = require('node:timers/promises').setTimeout;
    const settle = async () => { for (let i = 0; i < 5; i++) { gc(); await sleep(5); } };
    const mapped = () => /VmSize:\\s*(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1] / 1024;
    const kept = [];
    let collected = 0;
    const registry = new FinalizationRegistry(() => collected++);
    await settle();
    const start = mapped();
    await (async () => {
      const all = Array.from({ length: 8 }, () => new Small({ memoryBytes: 64 << 20 }));
      for (const reactor of all) {
        registry.register(reactor.native, 0);
        reactor.bytes.fill(1, 0, 4096);
        kept.push(reactor.bytes);
      }
      await settle();
      if (collected > 0) throw new Error('an open reactor was collected');
      await Promise.all(all.map((reactor) => reactor.close()));
    })();
    await settle();
    const afterClose = mapped() - start;
    const readable = kept.every((bytes) => bytes[4095] === 1 && bytes[(64 << 20) - 1] === 0);
    kept.length = 0;
    await settle();
    return { collected, readable, keptMapped: afterClose >= 512, gone: mapped() - start < 128 };`;
  t.same(await inProcess(body, ['--expose-gc']), {
    collected: 8,
    readable: true,
    keptMapped: true,
    gone: true,
  });
});
