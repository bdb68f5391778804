import type { StatusAddress } from '../config/status-address.js';
import { isHealthy, statusText } from '../monitor/status-text.js';
import { EXIT_FAILURE, EXIT_OK } from './exit-code.js';
import { StatusClient } from './fetch-status.js';

/**
 * Prints the state of a running server once: for people, or the JSON just as the server gave it.
 *
 * @returns the exit code: 0 if all exports are healthy, else 1
 * @throws AionbdError AIONBD_E_STATUS
 */
export async function printStatus(
  address: StatusAddress,
  asJson: boolean,
  print: (line: string) => void,
): Promise<number> {
  const client = new StatusClient(address);
  try {
    const { snapshot, json } = await client.fetch();
    print(asJson ? json.trimEnd() : statusText(snapshot).join('\n'));
    return isHealthy(snapshot) ? EXIT_OK : EXIT_FAILURE;
  } finally {
    client.close();
  }
}
