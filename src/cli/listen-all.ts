import type { ListenPlan } from '../config/listen.js';
import { AionbdError } from '../errors.js';
import type { ListenAddress } from '../server/api.js';

/** What the system says where the machine has no such address, or no IPv6 at all. */
const ABSENT: readonly unknown[] = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'];

/** An address that is listened on. */
export interface Listening {
  /** As to be printed: the host as it was written, with the port as bound. */
  readonly shown: ListenAddress;
  /** Why one of two addresses of `localhost` is missing. */
  readonly missing?: AionbdError;
}

/**
 * Listens on what one address stands for. `localhost` is 127.0.0.1 and ::1 with the same port; the second may be
 * missing where the machine has no ::1, or where its port is taken and any port would have done.
 *
 * @throws AionbdError what `listen` throws
 */
export async function listenAll(
  plan: ListenPlan,
  listen: (address: ListenAddress) => Promise<ListenAddress>,
): Promise<Listening> {
  const [first, second] = plan.addresses;
  const bound = await listen(first);
  if (first.kind === 'unix' || bound.kind === 'unix') {
    return { shown: first };
  }
  if (second?.kind !== 'tcp') {
    return { shown: { ...first, port: bound.port } };
  }
  const shown: ListenAddress = { kind: 'tcp', host: 'localhost', port: bound.port };
  try {
    await listen({ ...second, port: bound.port });
    return { shown };
  } catch (error) {
    if (!(error instanceof AionbdError)) {
      throw error;
    }
    if (saysAbsent(error)) {
      return { shown, missing: error };
    }
    if (first.port === 0) {
      // localhost would lead to whoever has that port at ::1.
      return { shown: { ...first, port: bound.port }, missing: error };
    }
    throw error;
  }
}

function saysAbsent({ cause }: AionbdError): boolean {
  return cause instanceof Error && 'code' in cause && ABSENT.includes(cause.code);
}
