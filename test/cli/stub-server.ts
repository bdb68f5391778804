import { EventEmitter } from 'node:events';
import { AionbdError } from '../../src/errors.js';
import { ExportCounters } from '../../src/metrics/counters.js';
import type { ServerObservation } from '../../src/metrics/observation.js';
import { ThreadRecord } from '../../src/metrics/record.js';
import type { ServerSnapshot } from '../../src/metrics/snapshot.js';
import { SnapshotReader } from '../../src/metrics/snapshot-reader.js';
import type { InheritedSocket, ListenAddress, Server, ServerOptions } from '../../src/server/api.js';

/** A server that only remembers what was asked of it. Port 0 becomes 40000, 40001, … */
export class StubServer extends EventEmitter implements Server {
  readonly options: ServerOptions;
  readonly exports: Server['exports'];
  readonly defaultExport: string;
  readonly listened: ListenAddress[] = [];
  closeCount = 0;
  /** Addresses that cannot be had, as `host:port`, with the system's word for why. */
  readonly refused: Readonly<Record<string, string>>;
  /** What `close` waits for. */
  closing: Promise<void> = Promise.resolve();

  constructor(options: ServerOptions, refused: Readonly<Record<string, string>> = {}) {
    super();
    this.options = options;
    this.refused = refused;
    this.exports = options.exports.map(({ name, path }) => ({
      name,
      path,
      description: '',
      sizeBytes: 4096,
      readOnly: false,
      direct: true,
      counters: new ExportCounters(),
    }));
    this.defaultExport = options.defaultExport ?? '';
  }

  readonly served: number[] = [];

  serve(fd: number): number {
    this.served.push(fd);
    return this.served.length;
  }

  async listen(given: ListenAddress | InheritedSocket): Promise<ListenAddress> {
    const address: ListenAddress =
      given.kind === 'inherited' ? { kind: 'unix', path: `/inherited/${given.fd}` } : given;
    this.listened.push(address);
    if (address.kind === 'unix') {
      return address;
    }
    const port = address.port === 0 ? 40_000 + this.listened.length - 1 : address.port;
    const code = this.refused[`${address.host}:${port}`];
    if (code !== undefined) {
      const cause = Object.assign(new Error(code), { code });
      throw new AionbdError('AIONBD_E_LISTEN', `${address.host}:${port}: ${code}`, { cause });
    }
    return { ...address, port };
  }

  observation(): ServerObservation {
    return {
      version: '0.0.0',
      pid: process.pid,
      startedAtMs: 0,
      state: 'serving',
      listeners: [],
      exports: this.exports.map(({ counters, ...facts }) => ({
        ...facts,
        blockDevice: false,
        bufferedBecause: '',
      })),
      threads: [ThreadRecord.allocate(1, this.exports.length)],
      acceptor: undefined,
      connections: [],
    };
  }

  async snapshot(): Promise<ServerSnapshot> {
    return new SnapshotReader(this.observation()).snapshot();
  }

  async close(): Promise<void> {
    this.closeCount++;
    await this.closing;
  }
}
