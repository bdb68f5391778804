import { createServer } from 'node:net';
import { join } from 'node:path';

/** Where a server under test listens and fio connects. */
export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** An address nobody listens on: a socket path inside `folder`, or a port that was free a moment ago. */
export async function freeAddress(transport: Address['kind'], folder: string): Promise<Address> {
  if (transport === 'unix') return { kind: 'unix', path: join(folder, 'nbd.sock') };
  const host = '127.0.0.1';
  const probe = createServer();
  const port = await new Promise<number>((resolve, reject) => {
    probe.on('error', reject);
    probe.listen(0, host, () => {
      const bound = probe.address();
      if (bound === null || typeof bound === 'string') reject(new Error('a TCP server without a port'));
      else resolve(bound.port);
    });
  });
  await new Promise((resolve) => probe.close(resolve));
  return { kind: 'tcp', host, port };
}

/** The NBD URI of an export behind an address; the default export if no name is given. */
export function nbdUri(address: Address, exportName = ''): string {
  return address.kind === 'unix'
    ? `nbd+unix:///${exportName}?socket=${address.path}`
    : `nbd://${address.host}:${address.port}/${exportName}`;
}
