import type { Ring } from '../engine/ring.js';
import { CMD_DISC, EXTENDED_REQUEST_HEADER_BYTES } from '../protocol/constants.js';
import { requestMagic, requestType } from '../protocol/request.js';
import type { Client } from './client.js';

/** More may come of the client. */
export const STREAM_OPEN = 0;
/** It has ended, and the armed receive brings, or has brought, how. */
export const STREAM_UNKNOWN = 1;
/** It has ended, and the last that is in it is DISC: the client has a right to all that it asked for (X19). */
export const STREAM_LEFT = 2;
/** It has ended without DISC: what has not started never will. */
export const STREAM_DIED = 3;

/**
 * Tells whether a client is gone, and how, when no receive will say so.
 *
 * While a client waits for memory no receive is armed; and what it has sent must not start any more once it has died: it
 * may have been sent again on another connection, and be older than what was written there since. But the DISC of one
 * that took its leave may lie unread behind what has to wait. So the end of what is unread decides, in the socket and in
 * the receive buffer.
 */
export class Departures {
  readonly #ring: Ring;
  /** The last bytes of a stream; a header of either form ends where this does. */
  readonly #tail = new Uint8Array(EXTENDED_REQUEST_HEADER_BYTES);
  readonly #view = new DataView(this.#tail.buffer);

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** STREAM_*. One system call while it is open, three once it has ended. */
  look(client: Client): number {
    if (client.endsWithDisc) return STREAM_LEFT;
    const tail = this.#tail;
    const unread = this.#ring.peekEnd(client.connection, tail);
    if (unread < 0) return STREAM_OPEN;
    const at = tail.length - client.requestHeaderBytes;
    // What the socket lacks of a header is the end of what has been received.
    const received = client.requestHeaderBytes - unread;
    if (received > 0) {
      if (client.receiving) return STREAM_UNKNOWN;
      if (client.end - client.start < received) return STREAM_DIED;
      tail.set(this.#ring.bytes.subarray(client.end - received, client.end), at);
    }
    client.endsWithDisc =
      requestMagic(this.#view, at) === client.requestMagic && requestType(this.#view, at) === CMD_DISC;
    return client.endsWithDisc ? STREAM_LEFT : STREAM_DIED;
  }
}
