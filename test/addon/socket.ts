// Connections between a reactor and Node's own sockets.

import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { scratch } from '../support/files.js';
import { ACCEPT, type RawReactor } from './reactor.js';

export interface Connected {
  /** The reactor's end, by its number. */
  readonly connection: number;
  /** The other end: paused, half-open, so that nothing happens on it by itself. */
  readonly peer: Socket;
  readonly listener: number;
}

export interface ConnectOptions {
  /** Default: a Unix socket. */
  readonly tcp?: boolean;
}

/** One connection to the reactor. */
export async function connect(
  t: Test,
  reactor: RawReactor,
  options: ConnectOptions = {},
): Promise<Connected> {
  const { native } = reactor;
  const path = join(scratch(t), 's');
  const listener = options.tcp ? native.listenTcp('127.0.0.1', 0, 16) : native.listenUnix(path, 16);
  if (listener < 0) throw new Error(`listening: ${listener}`);
  const [connected] = await connectTo(t, reactor, listener, 1, () =>
    options.tcp
      ? createConnection({ port: native.listenerPort(listener), host: '127.0.0.1', allowHalfOpen: true })
      : createConnection({ path, allowHalfOpen: true }),
  );
  return connected!;
}

/** `count` connections to a listener of the reactor, paired with their peers by the order in which they came. */
export async function connectTo(
  t: Test,
  reactor: RawReactor,
  listener: number,
  count: number,
  dial: () => Socket,
): Promise<Connected[]> {
  const all: Connected[] = [];
  for (let i = 0; i < count; i++) {
    const peer = dial();
    t.teardown(() => peer.destroy());
    peer.on('error', () => {});
    const [connection] = await Promise.all([
      reactor.one({ op: ACCEPT, target: listener }),
      once(peer, 'connect'),
    ]);
    if (connection < 0) throw new Error(`accepting: ${connection}`);
    peer.pause();
    all.push({ connection, peer, listener });
  }
  return all;
}

/** Resolves to exactly `length` bytes from the peer's socket, which is paused again afterwards. */
export async function readExactly(peer: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let missing = length;
  while (missing > 0) {
    const available = Math.min(missing, peer.readableLength);
    const chunk = available > 0 ? (peer.read(available) as Buffer | null) : null;
    if (chunk) {
      chunks.push(chunk);
      missing -= chunk.length;
    } else {
      if (peer.readableEnded || peer.destroyed) throw new Error(`the stream ended ${missing} bytes early`);
      const more = once(peer, 'readable');
      peer.read(0);
      await more;
    }
  }
  return Buffer.concat(chunks);
}
