import type { Ring } from '../engine/ring.js';
import { CMD_DISC, EXTENDED_REQUEST_HEADER_BYTES } from '../protocol/constants.js';
import { requestMagic, requestType } from '../protocol/request.js';
import type { Client } from './client.js';

/**
 * Tells whether a client that waits for memory has died meanwhile.
 *
 * No receive is armed then, so nothing says so by itself; and what such a client has sent must not start any more: it may
 * have been sent again on another connection, and be older than what was written there since. But one that said DISC
 * before it closed has a right to all that it asked for (X19), and its DISC may lie behind what has to wait. So the end of
 * what is unread decides, in the socket and in the receive buffer.
 */
export class Departures {
  readonly #ring: Ring;
  /** The last bytes of a stream; a header of either form ends where this does. */
  readonly #tail = new Uint8Array(EXTENDED_REQUEST_HEADER_BYTES);
  readonly #view = new DataView(this.#tail.buffer);

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** Whether the client has closed, or is gone, without having said DISC. A system call or three. */
  hasDied(client: Client): boolean {
    if (client.endsWithDisc) return false;
    const tail = this.#tail;
    const unread = this.#ring.peekEnd(client.connection, tail);
    if (unread < 0) return false;
    const at = tail.length - client.requestHeaderBytes;
    // What the socket lacks of a header is the end of what has been received.
    const received = client.requestHeaderBytes - unread;
    if (received > 0) {
      if (client.end - client.start < received) return true;
      tail.set(this.#ring.bytes.subarray(client.end - received, client.end), at);
    }
    client.endsWithDisc =
      requestMagic(this.#view, at) === client.requestMagic && requestType(this.#view, at) === CMD_DISC;
    return !client.endsWithDisc;
  }
}
