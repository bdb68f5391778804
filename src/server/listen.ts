import { lookup } from 'node:dns/promises';
import { closeSync, lstatSync, unlinkSync } from 'node:fs';
import { createConnection, isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { loadAddon } from '../engine/addon.js';
import type { Ring } from '../engine/ring.js';
import { AionbdError } from '../errors.js';
import type { InheritedSocket, ListenAddress } from './api.js';

const BACKLOG = 511;
const STDERR_FD = 2;

/** A listening socket in the reactor. */
export interface Listening {
  /** The reactor's number of it. */
  readonly listener: number;
  /** As bound: a real port instead of 0. */
  readonly address: ListenAddress;
  /** Of a Unix address: which file it is, since another one may have the name by the time we stop. */
  readonly socketFile?: string | undefined;
}

/** Throws AIONBD_E_LISTEN with the address and the remedy; its cause has the errno's name as `code`. */
export async function listenOn(ring: Ring, address: ListenAddress | InheritedSocket): Promise<Listening> {
  if (address.kind === 'inherited') return inherit(ring, address.fd);
  if (address.kind === 'unix') {
    await removeStaleSocket(address.path);
    const listener = ring.native.listenUnix(address.path, BACKLOG);
    if (listener < 0) throw listenError(`unix:${address.path}`, -listener);
    return { listener, address, socketFile: socketFileAt(address.path) };
  }
  const host = isIP(address.host) ? address.host : await resolve(address);
  const listener = ring.native.listenTcp(host, address.port, BACKLOG);
  if (listener < 0) throw listenError(shownAddress(address), -listener);
  return { listener, address: { ...address, port: ring.native.listenerPort(listener) } };
}

/** The file of an inherited Unix socket is not ours to remove: whoever made it may give it to the next server. */
function inherit(ring: Ring, fd: number): Listening {
  const listener = ring.native.inheritListener(fd);
  if (listener < 0) throw inheritError(fd, -listener);
  const name = ring.native.listenerName(listener);
  const colon = name.lastIndexOf(':');
  const port = ring.native.listenerPort(listener);
  if (port === 0) return { listener, address: { kind: 'unix', path: name } };
  const host = name.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { listener, address: { kind: 'tcp', host, port } };
}

/** Puts a connected socket into the reactor; its number there. Throws AIONBD_E_LISTEN, and the descriptor stays open. */
export function adoptStream(ring: Ring, fd: number): number {
  const copy = loadAddon().duplicateStream(fd);
  const number = copy < 0 ? copy : ring.native.adopt(copy);
  if (number >= 0) {
    // What is opened next would be stdin, stdout or stderr.
    if (fd > STDERR_FD) closeSync(fd);
    return number;
  }
  const code = getSystemErrorName(number);
  const message = `cannot serve a client on descriptor ${fd}: ${code === 'ENOTSOCK' ? 'it is no socket' : code}; pass a connected stream socket`;
  throw new AionbdError('AIONBD_E_LISTEN', message, {
    cause: Object.assign(new Error(code), { code }),
  });
}

function inheritError(fd: number, errno: number): AionbdError {
  const code = getSystemErrorName(-errno);
  const reasons: Readonly<Record<string, string>> = {
    EBADF: 'it is not open; it has to be passed on to this process',
    ENOTSOCK: 'it is no socket; pass one that listens',
    EPROTOTYPE: 'it is no stream socket; NBD needs one: SOCK_STREAM, or ListenStream= in a socket unit',
    EINVAL: 'it does not listen: with systemd, Accept=no in the socket unit',
    EAFNOSUPPORT: 'it is neither a TCP nor a Unix socket; pass one of these',
  };
  const cause = Object.assign(new Error(code), { code });
  const message = `cannot listen on the inherited descriptor ${fd}: ${reasons[code] ?? code}`;
  return new AionbdError('AIONBD_E_LISTEN', message, { cause });
}

/** Ends a listener; the socket file of a Unix address is removed, unless it is another server's by now. */
export function stopListening(ring: Ring, listening: Listening): void {
  const { listener, address, socketFile } = listening;
  // Asked first: as long as we have the socket, no other file gets its number.
  const isOurs =
    address.kind === 'unix' && socketFile !== undefined && socketFileAt(address.path) === socketFile;
  // A ring that is closed has closed it with everything else.
  if (!ring.closed) ring.native.removeListener(listener);
  if (isOurs) {
    try {
      unlinkSync(address.path);
    } catch {
      // Somebody else has removed it, which is what we wanted.
    }
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

/** As in `--listen`. */
export function shownAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

async function resolve(address: ListenAddress & { kind: 'tcp' }): Promise<string> {
  try {
    return (await lookup(address.host)).address;
  } catch (cause) {
    const message = `cannot listen on ${shownAddress(address)}: the host name does not resolve; use an IP address`;
    throw new AionbdError('AIONBD_E_LISTEN', message, { cause });
  }
}

/** A server that was killed leaves its socket file behind; a file that nobody answers at may be replaced. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!lstatSync(path).isSocket()) {
      throw new AionbdError(
        'AIONBD_E_LISTEN',
        `cannot listen on unix:${path}: there is a file of that name that is not a socket; remove it or choose another path`,
        { cause: Object.assign(new Error('EADDRINUSE'), { code: 'EADDRINUSE' }) },
      );
    }
  } catch (error) {
    if (error instanceof AionbdError) throw error;
    return; // not there, or not to be seen: bind will tell
  }
  const refused = await new Promise<boolean>((resolve) => {
    const probe = createConnection(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
  if (refused) unlinkSync(path);
}

function listenError(address: string, errno: number): AionbdError {
  const code = getSystemErrorName(-errno);
  const remedies: Readonly<Record<string, string>> = {
    EADDRINUSE: 'it is in use; stop the other server or choose another address with --listen',
    EACCES: 'permission denied; choose a port above 1023, or a folder that you may write to',
    EADDRNOTAVAIL: 'this machine does not have that address; choose one that "ip address" shows',
    EAFNOSUPPORT: 'this machine does not do that kind of address; choose another',
    ENAMETOOLONG: 'the path is longer than the 107 bytes that a socket address holds; choose a shorter one',
    ENOENT: 'the folder does not exist; create it first',
    ENOTDIR: 'a part of the path is not a folder',
    EROFS: 'the filesystem is read-only; choose another path',
  };
  const cause = Object.assign(new Error(code), { code });
  return new AionbdError('AIONBD_E_LISTEN', `cannot listen on ${address}: ${remedies[code] ?? code}`, {
    cause,
  });
}
