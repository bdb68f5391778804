import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { statusField } from './accounting.js';
import { type Address, freeAddress } from './address.js';
import { formatIdle } from './documents.js';
import { BenchFailure, runProgram } from './failure.js';
import { IdleClient } from './idle-client.js';
import type { IdleResults, IdleStage } from './idle-results.js';
import { commitOfThisTree } from './machine.js';
import { wholeNumber } from './options.js';
import { writeFigures } from './output.js';
import { startServer } from './server-process.js';
import { aionbdCommand } from './servers.js';

// What idle connections cost the server: memory of its process per connection, once when they have only shaken hands,
// and once when each has moved data and has gone quiet again. The sockets' own memory is the kernel's and not in it.

const USAGE = `Usage: npm run bench:idle -- [--connections N] [--settle S] [--transport unix|tcp] [--out DIR]

Memory of aionbd per idle connection.

  --connections N   default 1000
  --settle S        seconds of quiet before each look; default 25: buffer memory goes back after ten, 8 MiB a second
  --transport KIND  unix or tcp; default unix
  --out DIR         write idle.json and idle.md there
`;

const MIB = 1024 ** 2;
const FILE_BYTES = 64 * MIB;
const BUFFER_MEMORY_MIB = 64;
/** A second mapping may have grown together with the block of buffer memory, but not by more than this. */
const MAPPING_SLACK_KIB = 8 * 1024;
const BURST_READS = 256;
const BURST_READ_BYTES = 4096;
const BURST_WRITE_BYTES = MIB;
const BURST_DATA = Buffer.alloc(BURST_WRITE_BYTES, 2);
/** Connections that move data at the same time. */
const FIRST_CONNECTIONS = 500;
/** Of the first ones, one of so many moves data. */
const FIRST_BURSTS = 10;
const BURST_GROUP = 16;

interface Options {
  readonly connections: number;
  readonly settleSeconds: number;
  readonly transport: Address['kind'];
  readonly out: string | undefined;
}

await runProgram(async (signal) => {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(USAGE);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'aionbd-bench-'));
  try {
    const results = await measureIdle(options, folder, signal);
    const table = formatIdle(results);
    process.stdout.write(`${table}\n`);
    if (options.out !== undefined) await writeFigures(options.out, 'idle', results, table);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function measureIdle(options: Options, folder: string, signal: AbortSignal): Promise<IdleResults> {
  const file = join(folder, 'disk.img');
  // Real blocks: a hole would be answered without a buffer.
  await writeFile(file, Buffer.alloc(FILE_BYTES, 1));
  const address = await freeAddress(options.transport, folder);
  const flags = ['--buffer-memory', `${BUFFER_MEMORY_MIB}M`];
  const command = aionbdCommand({ file, address, folder }, flags);
  const server = await startServer({ name: 'aionbd', command, address, ready: 'uri', signal });
  const clients: IdleClient[] = [];
  const settle = (): Promise<void> => sleep(options.settleSeconds * 1000, undefined, { signal });
  try {
    // What the first connections make the server load, and V8 compile, is not what a further one costs.
    for (let i = 0; i < FIRST_CONNECTIONS; i++) {
      signal.throwIfAborted();
      const first = await IdleClient.open(address);
      if (i % FIRST_BURSTS === 0) await burst(first, i);
      first.close();
    }
    await settle();
    const before = memoryOf(server.pid);
    const stages: IdleStage[] = [];
    const look = async (name: string): Promise<void> => {
      await settle();
      stages.push(growth(name, before, memoryOf(server.pid), options.connections));
    };

    while (clients.length < options.connections) {
      signal.throwIfAborted();
      clients.push(await IdleClient.open(address));
    }
    await look('after the handshake');
    for (let start = 0; start < clients.length; start += BURST_GROUP) {
      signal.throwIfAborted();
      await Promise.all(clients.slice(start, start + BURST_GROUP).map(burst));
    }
    await look(`after ${BURST_READS} reads of 4 KiB and a write of 1 MiB on each`);
    return {
      kind: 'idle',
      connections: options.connections,
      bufferMemoryMib: BUFFER_MEMORY_MIB,
      commit: commitOfThisTree(),
      stages,
    };
  } catch (error) {
    const death = server.death();
    throw death === undefined ? error : new BenchFailure(`aionbd ended (${death})`);
  } finally {
    for (const client of clients) client.close();
    await server.stop();
  }
}

async function burst(client: IdleClient, index: number): Promise<void> {
  const offset = (index * BURST_WRITE_BYTES) % FILE_BYTES;
  await client.write(BURST_DATA, offset);
  await client.readMany(BURST_READS, BURST_READ_BYTES, offset);
}

interface Memory {
  readonly pssKib: number;
  readonly rssKib: number;
  readonly bufferKib: number | undefined;
}

function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return {
    pssKib: statusField(rollup, 'Pss') ?? Number.NaN,
    rssKib: statusField(rollup, 'Rss') ?? Number.NaN,
    bufferKib: bufferKib(readFileSync(`/proc/${pid}/smaps`, 'latin1')),
  };
}

/**
 * What is resident of the memory that has the size of the buffer memory. The server has told the kernel to leave it out of
 * forks (dc), and of each part whether there may be huge pages (hg, nh), which makes mappings of their own of them.
 */
function bufferKib(smaps: string): number | undefined {
  const wanted = BUFFER_MEMORY_MIB * 1024;
  const blocks: { end: string; size: number; resident: number }[] = [];
  for (const mapping of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    if (!/^VmFlags:(?=.* dc\b).* (?:hg|nh)\b/m.test(mapping)) continue;
    const [start = '', end = ''] = mapping.slice(0, mapping.indexOf(' ')).split('-');
    const size = statusField(mapping, 'Size') ?? 0;
    const resident = statusField(mapping, 'Rss') ?? 0;
    const last = blocks.at(-1);
    if (last?.end === start) {
      last.end = end;
      last.size += size;
      last.resident += resident;
    } else blocks.push({ end, size, resident });
  }
  const candidates = blocks.filter(({ size }) => size >= wanted && size <= wanted + MAPPING_SLACK_KIB);
  return candidates.length === 1 ? candidates[0]?.resident : undefined;
}

function growth(name: string, before: Memory, after: Memory, connections: number): IdleStage {
  const buffers =
    before.bufferKib === undefined || after.bufferKib === undefined
      ? undefined
      : (after.bufferKib - before.bufferKib) / connections;
  return {
    name,
    pssKibPerConnection: (after.pssKib - before.pssKib) / connections,
    rssKibPerConnection: (after.rssKib - before.rssKib) / connections,
    bufferKibPerConnection: buffers,
  };
}

function readOptions(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        connections: { type: 'string', default: '1000' },
        settle: { type: 'string', default: '25' },
        transport: { type: 'string', default: 'unix' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return undefined;
    const { transport } = values;
    if (transport !== 'unix' && transport !== 'tcp') {
      throw new BenchFailure(`--transport ${transport}: unix or tcp`);
    }
    return {
      connections: wholeNumber('--connections', values.connections),
      settleSeconds: wholeNumber('--settle', values.settle),
      transport,
      out: values.out,
    };
  } catch (error) {
    throw new BenchFailure(error instanceof Error ? error.message : String(error));
  }
}
