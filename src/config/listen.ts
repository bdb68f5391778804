import { isIPv4, isIPv6 } from 'node:net';
import { AionbdError } from '../errors.js';
import type { ListenAddress } from '../server/api.js';
import { quote } from './quote.js';

/** The port that IANA gave to NBD. */
export const NBD_PORT = 10809;

/** What `sun_path` holds, less its closing zero. */
const LONGEST_SOCKET_PATH_BYTES = 107;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;
const DIGITS_AND_DOTS = /^[\d.]+$/;
const PORT = /^\d{1,5}$/;

/** One address as an operator wrote it, and the sockets it stands for. */
export interface ListenPlan {
  /** As written. */
  readonly text: string;
  /** The first has to work. Two for `localhost`: 127.0.0.1, and ::1 where the machine has it. */
  readonly addresses: readonly [ListenAddress, ...ListenAddress[]];
}

/**
 * Reads `host:port`, `[v6]:port` or `unix:PATH`. Port 0 asks for a free one. `localhost` stands for 127.0.0.1 and ::1,
 * so that a client gets through whichever of the two it tries first.
 *
 * A port alone is refused: it does not say whether it is meant for this machine or for the network.
 *
 * @throws AionbdError AIONBD_E_ADDRESS
 */
export function parseListenAddress(text: string): ListenPlan {
  return Object.freeze({ text, addresses: Object.freeze(parseAddresses(text)) });
}

function parseAddresses(text: string): [ListenAddress, ...ListenAddress[]] {
  if (text.startsWith('unix:')) {
    return [parseUnix(text)];
  }
  if (text.startsWith('[')) {
    return [parseBracketed(text)];
  }
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, Math.max(colon, 0));
  if (colon === -1) {
    throw addressError(text, PORT.test(text) ? remedyForPort(text) : remedyForHost(text));
  }
  if (host === '' || host === '*') {
    throw addressError(text, remedyForPort(text.slice(colon + 1)));
  }
  if (host.includes(':')) {
    throw addressError(text, 'put an IPv6 address in brackets, such as [::1]:10809');
  }
  const port = parsePort(text, text.slice(colon + 1));
  if (host.toLowerCase() === 'localhost') {
    return [tcp('127.0.0.1', port), tcp('::1', port)];
  }
  if (DIGITS_AND_DOTS.test(host) ? !isIPv4(host) : !HOST_NAME.test(host)) {
    throw addressError(text, `${quote(host)} is neither a host name nor an IP address`);
  }
  return [tcp(host, port)];
}

function parseUnix(text: string): ListenAddress {
  const path = text.slice('unix:'.length);
  if (path === '' || path.includes('\0')) {
    throw addressError(text, 'give the path of the socket, such as unix:/run/aionbd.sock');
  }
  if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH_BYTES) {
    throw addressError(
      text,
      `the path of a socket has at most ${LONGEST_SOCKET_PATH_BYTES} bytes; choose a shorter one`,
    );
  }
  return Object.freeze({ kind: 'unix', path });
}

function parseBracketed(text: string): ListenAddress {
  const close = text.indexOf(']');
  const host = text.slice(1, Math.max(close, 1));
  if (!isIPv6(host)) {
    throw addressError(text, 'brackets hold an IPv6 address, such as [::1]:10809');
  }
  if (text[close + 1] !== ':') {
    throw addressError(text, `add a port, such as [${host}]:${NBD_PORT}`);
  }
  return tcp(host, parsePort(text, text.slice(close + 2)));
}

function parsePort(text: string, digits: string): number {
  const port = Number(digits);
  if (!PORT.test(digits) || port > 65535) {
    throw addressError(text, `the port is a number from 0 to 65535, such as ${NBD_PORT}`);
  }
  return port;
}

function remedyForPort(port: string): string {
  const shown = PORT.test(port) ? port : NBD_PORT;
  return `say who may connect: localhost:${shown} for this machine, 0.0.0.0:${shown} or [::]:${shown} for the network`;
}

function remedyForHost(text: string): string {
  if (isIPv6(text)) {
    return `put the IPv6 address in brackets and add a port: [${text}]:${NBD_PORT}`;
  }
  const example = HOST_NAME.test(text) ? `${text}:${NBD_PORT}, ` : '';
  return `write host:port, [v6]:port or unix:PATH, such as ${example}localhost:${NBD_PORT} or unix:/run/aionbd.sock`;
}

function tcp(host: string, port: number): ListenAddress {
  return Object.freeze({ kind: 'tcp', host, port });
}

function addressError(text: string, remedy: string): AionbdError {
  return new AionbdError('AIONBD_E_ADDRESS', `cannot read the address ${quote(text)}: ${remedy}`);
}
