import { resolve } from 'node:path';
import type { ListenAddress } from '../server/api.js';

/**
 * The NBD URI of the default export at an address, in the form that libnbd, qemu and nbdkit read. The port is always
 * written, since nbd-client wants to be told. The socket's path is made absolute: a URI has no working directory.
 */
export function nbdUri(address: ListenAddress): string {
  if (address.kind === 'unix') {
    return `nbd+unix:///?socket=${encodePath(resolve(address.path))}`;
  }
  return `nbd://${uriHost(address.host)}:${address.port}/`;
}

/** The URL of the metrics page at an address; HTTP has no URL for a Unix socket, so its path is shown as it was given. */
export function metricsUrl(address: ListenAddress): string {
  return address.kind === 'unix'
    ? `unix:${address.path}`
    : `http://${uriHost(address.host)}:${address.port}/metrics`;
}

function uriHost(host: string): string {
  return host.includes(':') ? `[${host.replace('%', '%25')}]` : host;
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
