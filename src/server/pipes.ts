import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { loadAddon } from '../engine/addon.js';

/**
 * A client that talks through two pipes, as ssh gives them, as a socket that {@link Server.serve} takes. What comes from `input`
 * goes in, what comes out goes to `output`; either end closes the other.
 *
 * Throws an Error with `errno` where the process has no descriptors left.
 */
export function socketOfPipes(input: Readable, output: Writable): number {
  const [ours, theirs] = loadAddon().streamPair();
  const bridge = new Socket({ fd: theirs, readable: true, writable: true, allowHalfOpen: true });
  input.pipe(bridge);
  bridge.pipe(output);
  const end = () => {
    bridge.destroy();
  };
  input.on('error', end);
  output.on('error', end);
  bridge.on('error', end);
  bridge.on('end', end);
  return ours;
}
