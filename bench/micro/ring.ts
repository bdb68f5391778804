import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OP_READ, Ring } from '../../src/engine/ring.js';
import { BenchFailure } from '../failure.js';
import type { Task } from './task.js';

/** This program is compiled into build-micro/bench/micro, from where the engine would look for another build. */
const ADDON = fileURLToPath(new URL('../../../build/Release/aionbd.node', import.meta.url));
const READ_BYTES = 4096;
const MEMORY_BYTES = 4 * 1024 * 1024;
const FILE_BYTES = 1024 * 1024;

/** Calls into the addon and back. The file is in the page cache, so its reads are complete when submit returns. */
export async function ringTasks(): Promise<{ tasks: readonly Task[]; close: () => Promise<void> }> {
  process.env.AIONBD_ADDON ??= ADDON;
  const folder = await mkdtemp(join(tmpdir(), 'aionbd-micro-'));
  const path = join(folder, 'cached.img');
  await writeFile(path, Buffer.alloc(FILE_BYTES, 1));
  const fd = openSync(path, 'r');
  const ring = new Ring({ memoryBytes: MEMORY_BYTES, queueDepth: 64 });
  const file = ring.native.addFile(fd, false, false);
  let completed = 0;
  ring.attach({
    complete(_op, _tag, result) {
      if (result === READ_BYTES) completed++;
    },
    batchEnd() {},
  });
  const reads = (count: number): Task => ({
    name: `read 4 KiB from the page cache, ${count} in one submit`,
    operations: count,
    run: () => {
      completed = 0;
      for (let i = 0; i < count; i++) {
        ring.file(OP_READ, file, i * READ_BYTES, READ_BYTES, i * READ_BYTES, 0, i);
      }
      ring.kick();
      if (completed !== count) throw new BenchFailure(`${completed} of ${count} reads were complete at once`);
    },
  });
  return {
    tasks: [
      { name: 'submit nothing', operations: 1, run: () => void ring.native.submit(0) },
      {
        name: 'an entry that asks for nothing (cancel), 32 in one submit',
        operations: 32,
        run: () => {
          for (let i = 0; i < 32; i++) ring.cancel(1_000_000 + i);
          ring.kick();
        },
      },
      reads(1),
      reads(32),
      reads(256),
    ],
    close: async () => {
      await ring.shutdown();
      closeSync(fd);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
