import type { Logger } from '../server/api.js';

/** Of the time that a watchdog waits, half is for being late. */
const WATCHDOG_SHARE = 2;
const US_PER_MS = 1000;

/** What is told of the server to whoever watches over it. */
export interface ServiceManager {
  /** All addresses are listened on. */
  ready(status: string): void;
  stopping(): void;
}

/** What a service manager is told with; see src/server/notify.ts. */
export type Notify = (socketPath: string, state: string) => number;

const NOBODY: ServiceManager = Object.freeze({ ready() {}, stopping() {} });

/**
 * The service manager that NOTIFY_SOCKET names, or nobody. If WATCHDOG_USEC says so it is also told again and again that the
 * event loop turns. Takes the variables out of the environment: they are not meant for children.
 */
export function serviceManager(
  environment: NodeJS.ProcessEnv,
  pid: number,
  notify: Notify,
  logger: Logger,
): ServiceManager {
  const { NOTIFY_SOCKET: path, WATCHDOG_USEC: usec, WATCHDOG_PID: watched } = environment;
  delete environment.NOTIFY_SOCKET;
  delete environment.WATCHDOG_USEC;
  delete environment.WATCHDOG_PID;
  if (path === undefined || path === '') return NOBODY;

  let complained = false;
  const tell = (state: string) => {
    const result = notify(path, state);
    if (result < 0 && !complained) {
      complained = true;
      logger.warn({ socket: path, errno: -result }, 'the service manager cannot be told of our state');
    }
  };
  const isWatched = watched === undefined || watched === String(pid);
  const everyMs = isWatched ? Number(usec ?? 0) / US_PER_MS / WATCHDOG_SHARE : 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    ready(status) {
      tell(`READY=1\nMAINPID=${pid}\nSTATUS=${status.replace(/\s+/g, ' ')}`);
      if (everyMs >= 1) timer = setInterval(tell, everyMs, 'WATCHDOG=1').unref();
    },
    stopping() {
      clearInterval(timer);
      tell('STOPPING=1\nSTATUS=stopping');
    },
  };
}
