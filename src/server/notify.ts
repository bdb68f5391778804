import { loadAddon } from '../engine/addon.js';

/**
 * Tells a service manager of the server's state, by the protocol of sd_notify(3): lines such as `READY=1`. Whether it listens is
 * its own affair: 0, or a negative errno for the log.
 *
 * @param socketPath what NOTIFY_SOCKET says; `@` begins an abstract name
 */
export function notifyServiceManager(socketPath: string, state: string): number {
  return loadAddon().sendDatagram(socketPath, state);
}
