import type { Ring } from '../engine/ring.js';
import { FRAME_BYTES, type Slab } from '../engine/slab.js';
import type { HandshakeFailure } from '../metrics/snapshot.js';
import type { ExportDirectory, ExportOffer } from '../negotiation/directory.js';
import { Negotiation } from '../negotiation/negotiation.js';
import type { NegotiationNext } from '../negotiation/step.js';
import type { Terms } from '../transmission/client.js';
import { TAG_KIND_SHIFT, TAG_OTHER } from '../transmission/core.js';

const LONGEST_SHOWN_NAME = 120;

/** What a handshake leads to. */
export interface HandshakeEvents {
  /** The client has chosen; `start` to `end` in memory are its first requests, in the receive block. */
  chosen(offer: ExportOffer, terms: Terms, start: number, end: number): void;
  /** The connection is to be closed. */
  failed(reason: string, failure: HandshakeFailure): void;
}

/**
 * Carries the bytes of one connection's negotiation: what it says is sent before more is read, so a client that does
 * not read its answers gets no further.
 */
export class Handshake {
  readonly #ring: Ring;
  readonly #connection: number;
  readonly #events: HandshakeEvents;
  readonly #negotiation: Negotiation;
  /** One block to receive into, which the transmission phase takes over, and one to send from. */
  readonly #receiveBlock: number;
  readonly #sendBlock: number;
  #output: Uint8Array;
  #next: NegotiationNext = { kind: 'continue' };
  /** Received and not yet pushed, or left for the transmission phase. */
  #start: number;
  #end: number;
  #sending = false;
  #ended = false;
  /** The name that the client asked for last, if it is no export's. */
  #askedInVain: string | undefined;

  /** Undefined when there is no memory for another handshake. */
  static begin(
    ring: Ring,
    slab: Slab,
    connection: number,
    directory: ExportDirectory,
    events: HandshakeEvents,
  ): Handshake | undefined {
    const receiveBlock = slab.take(FRAME_BYTES);
    if (receiveBlock < 0) return undefined;
    const sendBlock = slab.take(FRAME_BYTES);
    if (sendBlock < 0) {
      slab.give(receiveBlock);
      return undefined;
    }
    return new Handshake(ring, connection, directory, events, receiveBlock, sendBlock);
  }

  private constructor(
    ring: Ring,
    connection: number,
    directory: ExportDirectory,
    events: HandshakeEvents,
    receiveBlock: number,
    sendBlock: number,
  ) {
    this.#ring = ring;
    this.#connection = connection;
    this.#events = events;
    this.#negotiation = new Negotiation({
      list: () => directory.list(),
      find: (name) => {
        const offer = directory.find(name);
        this.#askedInVain = offer === undefined ? name : undefined;
        return offer;
      },
      get shuttingDown() {
        return directory.shuttingDown;
      },
    });
    this.#receiveBlock = receiveBlock;
    this.#sendBlock = sendBlock;
    this.#start = receiveBlock;
    this.#end = receiveBlock;
    this.#output = this.#negotiation.greeting();
    this.#sendSome();
  }

  get receiveBlock(): number {
    return this.#receiveBlock;
  }

  get sendBlock(): number {
    return this.#sendBlock;
  }

  /** The RECV is complete: bytes, 0 at the end of the stream, or a negative errno. */
  received(result: number): void {
    if (this.#ended) return;
    if (result <= 0) {
      this.#fail(
        result === 0 ? 'the client left during the handshake' : `receiving failed (errno ${-result})`,
        'closed',
      );
      return;
    }
    this.#end = this.#receiveBlock + result;
    const step = this.#negotiation.push(this.#ring.bytes.subarray(this.#start, this.#end));
    this.#start += step.consumed;
    this.#output = step.output;
    this.#next = step.next;
    this.#proceed();
  }

  /** The SEND is complete. */
  sent(result: number): void {
    this.#sending = false;
    if (this.#ended) return;
    if (result < 0) this.#fail(`sending failed (errno ${-result})`, 'closed');
    else this.#proceed();
  }

  /** Nothing more will come of it; completions may still arrive. */
  abandon(): void {
    this.#ended = true;
  }

  #fail(reason: string, failure: HandshakeFailure): void {
    this.#ended = true;
    const name = this.#askedInVain;
    if (name === undefined) this.#events.failed(reason, failure);
    else this.#events.failed(`there is no export ${quoted(name)}`, 'unknown_export');
  }

  #proceed(): void {
    if (this.#output.length > 0) {
      this.#sendSome();
      return;
    }
    const next = this.#next;
    switch (next.kind) {
      case 'continue':
        this.#start = this.#receiveBlock;
        this.#ring.receive(this.#connection, this.#receiveBlock, FRAME_BYTES, 0, 0, this.#connection);
        return;
      case 'transmission':
        this.#ended = true;
        this.#events.chosen(next.offer, next.negotiated, this.#start, this.#end);
        return;
      case 'close':
        this.#fail(next.reason, next.orderly ? 'abort' : 'protocol_error');
        return;
    }
  }

  #sendSome(): void {
    if (this.#sending) throw new Error('two sends of one handshake at a time');
    const count = Math.min(this.#output.length, FRAME_BYTES);
    this.#ring.bytes.set(this.#output.subarray(0, count), this.#sendBlock);
    this.#output = this.#output.subarray(count);
    this.#sending = true;
    const tag = (TAG_OTHER << TAG_KIND_SHIFT) | this.#connection;
    this.#ring.send(this.#connection, 0, 0, this.#sendBlock, count, tag);
  }
}

function quoted(name: string): string {
  return JSON.stringify(name.length > LONGEST_SHOWN_NAME ? `${name.slice(0, LONGEST_SHOWN_NAME)}…` : name);
}
