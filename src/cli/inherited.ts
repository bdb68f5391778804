import { AionbdError } from '../errors.js';
import type { InheritedSocket } from '../server/api.js';

/** The first descriptor that sd_listen_fds(3) hands over. */
const FIRST_FD = 3;
const MOST_SOCKETS = 1024;

/**
 * The sockets that a service manager, or a client that starts its own server, has opened for this process: by LISTEN_FDS and
 * LISTEN_PID, as sd_listen_fds(3) says. Takes the variables out of the environment, so that no child thinks they are its own.
 *
 * @throws AionbdError AIONBD_E_USAGE if LISTEN_FDS is no number of sockets
 */
export function inheritedSockets(environment: NodeJS.ProcessEnv, pid: number): readonly InheritedSocket[] {
  const { LISTEN_PID: forPid, LISTEN_FDS: given } = environment;
  delete environment.LISTEN_PID;
  delete environment.LISTEN_FDS;
  delete environment.LISTEN_FDNAMES;
  // Meant for a process that has started us, and which has kept them for itself.
  if (given === undefined || forPid !== String(pid)) return [];
  const count = Number(given);
  if (!/^\d{1,4}$/.test(given) || count < 1 || count > MOST_SOCKETS) {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `LISTEN_FDS is ${JSON.stringify(given)}: it has to be the number of sockets that are passed on, from 1 to ${MOST_SOCKETS}; unset it to listen as --listen says`,
    );
  }
  return Array.from({ length: count }, (_, i) => ({ kind: 'inherited', fd: FIRST_FD + i }));
}
