import { closeSync, lstatSync, unlinkSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { loadAddon } from '../engine/addon.js';
import { AionbdError } from '../errors.js';

/** Where the pages are: the same shape as the address of an NBD listener. */
export type PageAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

const BACKLOG = 64;

/**
 * A socket that listens already, for an HTTP server that is on another thread or not there yet: clients that come early
 * wait in its queue. Node can't give a listening socket of its own to another thread, so the addon opens it.
 */
export class Listener {
  readonly fd: number;
  /** As bound: a real port instead of 0. */
  readonly address: PageAddress;
  /** Of a Unix address: which file it is, since another one may have the name by the time we stop. */
  readonly #socketFile: string | undefined;

  private constructor(fd: number, address: PageAddress) {
    this.fd = fd;
    this.address = address;
    this.#socketFile = address.kind === 'unix' ? socketFileAt(address.path) : undefined;
  }

  /** @throws AionbdError AIONBD_E_LISTEN, with the system's error as its cause */
  static async open(address: PageAddress): Promise<Listener> {
    const addon = loadAddon();
    if (address.kind === 'unix') {
      await removeStaleSocket(address.path);
      return new Listener(listening(address, addon.openUnixListener(address.path, BACKLOG)), address);
    }
    const host = isIP(address.host) === 0 ? await numeric(address) : address.host;
    const fd = listening(address, addon.openTcpListener(host, address.port, BACKLOG));
    return new Listener(fd, { ...address, port: addon.localPort(fd) });
  }

  /** Takes the file of a Unix address away, unless it is another server's by now. To be called while the socket is open. */
  removeFile(): void {
    if (this.address.kind !== 'unix' || this.#socketFile === undefined) return;
    if (socketFileAt(this.address.path) !== this.#socketFile) return;
    try {
      unlinkSync(this.address.path);
    } catch {
      // Somebody else has removed it, which is what we wanted.
    }
  }

  /** For one that nobody has taken over. */
  close(): void {
    this.removeFile();
    closeSync(this.fd);
  }
}

function listening(address: PageAddress, result: number): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  throw listenError(address, Object.assign(new Error(code), { code }));
}

async function numeric(address: PageAddress & { kind: 'tcp' }): Promise<string> {
  const { lookup } = await import('node:dns/promises');
  try {
    return (await lookup(address.host)).address;
  } catch (error) {
    throw listenError(address, error as Error);
  }
}

/** Device and number of what is at a path; undefined if nothing is, or nobody may know. */
function socketFileAt(path: string): string | undefined {
  try {
    const { dev, ino } = lstatSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
/** A server that was killed leaves its socket behind. Only a socket that nobody answers on is taken away. */
async function removeStaleSocket(path: string): Promise<void> {
  const isSocket = await lstat(path).then(
    (stats) => stats.isSocket(),
    () => false,
  );
  if (isSocket && (await isRefused(path))) {
    await unlink(path).catch(() => {});
  }
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(errnoOf(error) === 'ECONNREFUSED'));
  });
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is in use; choose another address for the metrics or stop what holds this one',
  EADDRNOTAVAIL: 'this machine has no such address; choose one it has',
  ENOTFOUND: 'the host name is not known; check its spelling',
  EACCES: 'permission denied; choose a port above 1023 or a directory you may write to',
  ENOENT: 'its directory does not exist; create that first',
};

function listenError(address: PageAddress, cause: Error): AionbdError {
  const shown = JSON.stringify(
    address.kind === 'unix'
      ? `unix:${address.path}`
      : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`,
  );
  const remedy = REMEDIES[errnoOf(cause)] ?? `${cause.message}; choose another address`;
  return new AionbdError('AIONBD_E_LISTEN', `cannot show metrics at ${shown}: ${remedy}`, { cause });
}

function errnoOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}
