// The targets by name.

import { negotiationTarget } from './negotiation-target.js';
import { serverTarget } from './server-target.js';
import type { Target } from './target.js';
import { transmissionTarget } from './transmission-target.js';

export const TARGETS: readonly string[] = ['negotiation', 'transmission', 'server'];

/** Throws for a name that is none. `lenient` lets pass what a server only SHOULD do. */
export async function makeTarget(name: string, lenient = false): Promise<Target> {
  switch (name) {
    case 'negotiation':
      return negotiationTarget;
    case 'transmission':
      return transmissionTarget(lenient);
    case 'server':
      return serverTarget(lenient);
    default:
      throw new Error(`there is no target ${name}; there are ${TARGETS.join(', ')} and all`);
  }
}
