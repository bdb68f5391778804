// Which reads are a stream, and how far ahead of it is read.

import fc from 'fast-check';
import t from 'tap';
import { JobEngine } from '../../src/engine/jobs.js';
import { LARGEST_WINDOW_BYTES, ReadAhead } from '../../src/engine/read-ahead.js';
import { OP_ADVISE } from '../../src/engine/ring.js';
import { KiB, MiB } from '../support/files.js';
import { FakeRing, fakeVolume } from './fake-ring.js';

const SIZE = 16 * 1024 * MiB;

interface Advice {
  readonly offset: number;
  readonly length: number;
}

/** Reads one behind the other; returns what was advised, checked against the bound. */
function stream(ahead: ReadAhead, from: number, count: number, length: number): Advice[] {
  const advices: Advice[] = [];
  for (let i = 0; i < count; i++) {
    const offset = from + i * length;
    if (!ahead.follow(offset, length)) continue;
    const end = ahead.offset + ahead.length;
    if (end > offset + length + LARGEST_WINDOW_BYTES) throw new Error(`${end} after a read at ${offset}`);
    if (ahead.offset < offset + length) throw new Error('it was asked for already');
    advices.push({ offset: ahead.offset, length: ahead.length });
  }
  return advices;
}

for (const length of [512, 4 * KiB, 64 * KiB]) {
  t.test(`reads of ${length} bytes in a row are read ahead of, without gaps, up to the bound`, async (t) => {
    const count = Math.ceil((64 * MiB) / length);
    const advices = stream(new ReadAhead(SIZE), MiB, count, length);
    t.ok(advices.length > 8);
    t.ok(advices[0]!.offset <= MiB + 8 * length, 'from the first few reads on');
    for (const [i, { offset }] of advices.entries()) {
      const before = advices[i - 1];
      if (before && offset !== before.offset + before.length) t.fail(`a gap before ${offset}`);
    }
    const lengths = advices.map((advice) => advice.length);
    t.ok(lengths[0]! <= 256 * KiB, 'it begins small');
    t.ok(Math.max(...lengths) >= LARGEST_WINDOW_BYTES / 2, 'and grows');
    t.ok(advices.at(-1)!.offset >= MiB + count * length - LARGEST_WINDOW_BYTES, 'and goes on');
  });
}

t.test('random readers are never read ahead of', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: SIZE / (4 * KiB) - 1 }), { maxLength: 500 }), (pages) => {
      const ahead = new ReadAhead(SIZE);
      const sorted = [...pages].sort((a, b) => a - b);
      // What lies close together by chance is left out.
      const far = sorted.filter((page, i) => i === 0 || page - sorted[i - 1]! > 1024);
      const order = pages.filter((page) => far.includes(page));
      return order.every((page) => !ahead.follow(page * 4 * KiB, 4 * KiB));
    }),
  );
  t.pass();
});

t.test('a reader that skips, or goes backwards, is not read ahead of', async (t) => {
  for (const step of [64 * KiB, MiB, -4 * KiB, -MiB]) {
    const ahead = new ReadAhead(SIZE);
    for (let i = 0; i < 1000; i++) {
      if (ahead.follow(SIZE / 2 + i * step, 4 * KiB)) t.fail(`steps of ${step}`);
    }
  }
  t.pass();
});

t.test('long reads keep the disk busy by themselves', async (t) => {
  t.same(stream(new ReadAhead(SIZE), 0, 1000, 256 * KiB), []);
});

t.test('after a jump the window is small again, and nothing of the old place is read', async (t) => {
  const ahead = new ReadAhead(SIZE);
  stream(ahead, 0, 1000, 64 * KiB);
  const [first] = stream(ahead, 8192 * MiB, 1000, 64 * KiB);
  t.ok(first!.length <= 256 * KiB);
  t.ok(first!.offset > 8192 * MiB);
});

t.test('eight streams side by side are followed, with random reads among them', async (t) => {
  const ahead = new ReadAhead(SIZE);
  const advised = new Array<number>(6).fill(0);
  let random = 0;
  for (let i = 0; i < 2000; i++) {
    for (let s = 0; s < 6; s++) {
      if (ahead.follow(s * 2048 * MiB + i * 64 * KiB, 64 * KiB)) advised[s]! += ahead.length;
    }
    if (ahead.follow((13 * 1024 + ((i * 7919) % 3000)) * MiB, 4 * KiB)) random++;
  }
  t.ok(
    advised.every((bytes) => bytes >= 2000 * 64 * KiB),
    advised.join(' '),
  );
  t.equal(random, 0);
});

t.test('requests that arrive a little out of order are one stream', async (t) => {
  const ahead = new ReadAhead(SIZE);
  let bytes = 0;
  for (let i = 0; i < 2000; i += 4) {
    for (const j of [1, 0, 3, 2]) {
      if (ahead.follow((i + j) * 4 * KiB, 4 * KiB)) bytes += ahead.length;
    }
  }
  t.ok(bytes >= 2000 * 4 * KiB, `${bytes} bytes`);
});

t.test('nothing is read behind the end of the file', async (t) => {
  const ahead = new ReadAhead(10 * MiB);
  const advices = stream(ahead, 0, 160, 64 * KiB);
  const last = advices.at(-1)!;
  t.equal(last.offset + last.length, 10 * MiB);
});

t.test('a volume has one read-ahead at work at a time, and none when it is direct', async (t) => {
  for (const unitBytes of [1, 4096]) {
    const ring = new FakeRing(0, 0);
    const volume = fakeVolume(ring, { sizeBytes: SIZE, unitBytes });
    const jobs = new JobEngine(ring.ring, { jobDone: (job) => jobs.release(job) }, 64);
    const read = (index: number) => {
      const job = jobs.take(volume, 0);
      jobs.block[job] = 0;
      jobs.data[job] = 0;
      jobs.offset[job] = index * 64 * KiB;
      jobs.length[job] = 64 * KiB;
      jobs.read(job);
      ring.complete(jobs, ring.find(1, job), 64 * KiB);
    };
    for (let i = 0; i < 100; i++) read(i);
    const advices = () => ring.pending.filter(({ op }) => op === OP_ADVISE);
    if (unitBytes > 1) {
      t.equal(advices().length, 0);
      continue;
    }
    t.equal(advices().length, 1);
    ring.complete(jobs, advices()[0], 0);
    for (let i = 100; i < 200; i++) read(i);
    t.equal(advices().length, 1);
    t.match(advices()[0], { file: volume.bufferedFile });
    // Whether it worked is nobody's business: it is only advice.
    ring.complete(jobs, advices()[0], -5);
    read(200);
    t.equal(advices().length, 1);
  }
});
