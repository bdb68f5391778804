// The library's server in the test's own process, on a Unix socket.

import { join } from 'node:path';
import type { Test } from 'tap';
import { createServer, type Logger, type Server, type ServerOptions } from '../../src/index.js';
import { scratch } from '../support/files.js';
import { type Address, RawClient, type Wishes } from './raw-client.js';

export interface Started {
  readonly server: Server;
  readonly address: Address;
  /** A connection in the transmission phase; gone when the test ends, which fails if a reply broke a rule. */
  client(name?: string, wishes?: Wishes): Promise<RawClient>;
}

/** Closed at the end of the test at the latest. */
export async function start(t: Test, options: ServerOptions): Promise<Started> {
  const path = join(scratch(t), 's');
  const server = await createServer({ queueDepth: 256, ...options });
  t.teardown(() => server.close(500));
  const address = await server.listen({ kind: 'unix', path });
  return {
    server,
    address,
    async client(name = '', wishes = {}) {
      const client = await RawClient.open(address, name, wishes);
      t.teardown(async () => {
        await client.destroy();
        if (client.reader.fault !== undefined)
          throw new Error(`a reply broke a rule: ${client.reader.fault}`);
      });
      return client;
    },
  };
}

/** A logger that keeps what it is told. */
export function memoryLog(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (level: string) => (fields: object, message: string) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  return {
    lines,
    logger: { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') },
  };
}
