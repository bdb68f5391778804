// A real server in this process on a Unix socket, from the greeting to the last reply, several cases at a time; a client
// that keeps to the rules is there all along, and its data has to stay right.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from '../../src/index.js';
import { MiB, patternFile, sparseFile } from '../support/files.js';
import type { Address } from '../transmission/raw-client.js';
import {
  anyBytes,
  clientFlags,
  connectionCase,
  disconnect,
  type Ground,
  option,
  request,
} from './generate.js';
import type { ModelExport } from './handshake-model.js';
import type { Grammar } from './mutate.js';
import { ServerSession } from './server-session.js';
import { SteadyClient } from './steady-client.js';
import type { Target } from './target.js';

const PARALLEL = 16;
const PATIENCE_MS = 20_000;
/** Once something is wrong, what hangs is known to. */
const LITTLE_PATIENCE_MS = 2000;
/** Descriptors that come and go: a timer's, a module's. */
const FEW = 4;
/** Beyond what there was when it was first looked at; what the collector has not come to is in it. */
const MOST_GROWN_BYTES = 512 * MiB;
const SIZE = MiB;
const READ_ONLY_SIZE = 200_003;
/** HAS_FLAGS, FLUSH, FUA, CAN_MULTI_CONN and CACHE; with TRIM, WRITE_ZEROES and FAST_ZERO; with READ_ONLY. */
const WRITABLE = 0x0d6d;
const READ_ONLY = 0x050f;

const ground: Ground = { sizeBytes: SIZE, largestPayload: 70_000 };

export const serverGrammar: Grammar = {
  fresh: (random) => connectionCase(random, ground),
  step: (random) => {
    if (random.oneIn(10)) return { kind: random.oneIn(4) ? 'leave' : 'split' };
    if (random.oneIn(20)) return { kind: 'bytes', bytes: anyBytes(random, 80) };
    if (random.oneIn(40)) return random.oneIn(2) ? clientFlags(random) : disconnect();
    return random.oneIn(3) ? option(random) : request(random, ground);
  },
  settings: { cut: ['0', '0', '1', '#'] },
  mostSteps: 40,
};

export async function serverTarget(lenient = false): Promise<Target> {
  const directory = mkdtempSync(join(process.env.AIONBD_TEST_DIR ?? tmpdir(), 'f-'));
  const options = [
    { name: 'disk', path: sparseFile(join(directory, 'disk'), SIZE), description: 'the first one' },
    { name: 'zwei', path: patternFile(join(directory, 'zwei'), READ_ONLY_SIZE, 2), readOnly: true },
    { name: 'steady', path: patternFile(join(directory, 'steady'), SIZE, 3) },
  ];
  const server = await createServer({ exports: options, queueDepth: 64, bufferMemoryBytes: 16 * MiB });
  const address = await server.listen({ kind: 'unix', path: join(directory, 's') });
  const steady = await SteadyClient.open(address, 'steady', join(directory, 'steady'));
  const exports = options.map(({ name, description = '', readOnly = false }) =>
    modelOf(server, name, description, readOnly),
  );
  return new ServerTarget(server, address, directory, steady, exports, lenient);
}

class ServerTarget implements Target {
  readonly name = 'server';
  readonly grammar = serverGrammar;
  readonly parallel = PARALLEL;
  readonly #server: Server;
  readonly #address: Address;
  readonly #directory: string;
  readonly #steady: SteadyClient;
  readonly #exports: readonly ModelExport[];
  readonly #lenient: boolean;
  #patienceMs = PATIENCE_MS;
  #cases = 0;
  #descriptors: number | undefined;
  #rss: number | undefined;

  constructor(
    server: Server,
    address: Address,
    directory: string,
    steady: SteadyClient,
    exports: readonly ModelExport[],
    lenient: boolean,
  ) {
    this.#server = server;
    this.#address = address;
    this.#directory = directory;
    this.#steady = steady;
    this.#exports = exports;
    this.#lenient = lenient;
  }

  async run(fuzzCase: Parameters<Target['run']>[0]) {
    const session = new ServerSession(fuzzCase, this.#exports, this.#lenient);
    const others = this.#cases++ % PARALLEL === 0 ? this.#steady.step() : undefined;
    const [outcome, wrong] = await Promise.all([session.play(this.#address, this.#patienceMs), others]);
    const fault = outcome.fault ?? wrong;
    if (fault !== undefined) this.#patienceMs = LITTLE_PATIENCE_MS;
    return { ...outcome, fault };
  }

  /** Everybody has gone, and so has everything that they had. */
  async check(): Promise<string | undefined> {
    const wrong = await this.#steady.step();
    if (wrong !== undefined) return wrong;
    const deadline = Date.now() + PATIENCE_MS;
    while (!this.#isQuiet() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    const connections = this.#server.exports.map(({ counters }) => counters.connections[0]!);
    if (connections.join() !== '0,0,1') return `connections that nobody has: ${connections.join()}`;
    const { rss } = process.memoryUsage();
    this.#rss ??= rss;
    if (rss > this.#rss + MOST_GROWN_BYTES) return `memory grew from ${this.#rss} to ${rss} bytes`;
    const open = readdirSync('/proc/self/fd').length;
    this.#descriptors ??= open + FEW;
    return open <= this.#descriptors
      ? undefined
      : `${open} descriptors are open, and were ${this.#descriptors - FEW}`;
  }

  async close(): Promise<void> {
    await this.#steady.close();
    await this.#server.close(1000);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #isQuiet(): boolean {
    const isAlone = this.#server.exports.every(
      ({ name, counters }) => counters.connections[0] === (name === 'steady' ? 1 : 0),
    );
    return (
      isAlone && (this.#descriptors === undefined || readdirSync('/proc/self/fd').length <= this.#descriptors)
    );
  }
}

function modelOf(server: Server, name: string, description: string, readOnly: boolean): ModelExport {
  return {
    name,
    description,
    sizeBytes: server.exports.find((each) => each.name === name)!.sizeBytes,
    transmissionFlags: readOnly ? READ_ONLY : WRITABLE,
    minimumBlockBytes: 1,
    preferredBlockBytes: 4096,
    maximumPayloadBytes: 32 * MiB,
    metaContexts: [
      { id: 1, name: 'base:allocation' },
      { id: 2, name: 'aionbd:changed' },
    ],
  };
}
