import { type CompletionSink, OP_ACCEPT, type Ring } from '../engine/ring.js';
import { AcceptTrouble } from './accept-trouble.js';
import type { InheritedSocket, ListenAddress, Logger } from './api.js';
import { type Listening, listenOn, stopListening } from './listen.js';

/** After an accept that failed for lack of something, ms. */
const ACCEPT_PAUSE_MS = 100;

/** The addresses that a server listens on, and the connections that come there. */
export class Listeners {
  readonly #ring: Ring;
  readonly #trouble: AcceptTrouble;
  readonly #accepted: (number: number) => void;
  readonly #listening = new Map<number, Listening>();
  #stopped = false;

  /** `accepted` gets the ring's number of each connection. */
  constructor(ring: Ring, logger: Logger, accepted: (number: number) => void) {
    this.#ring = ring;
    this.#accepted = accepted;
    this.#trouble = new AcceptTrouble(logger);
  }

  /** As bound, in the order in which they were added. */
  get addresses(): readonly ListenAddress[] {
    return [...this.#listening.values()].map(({ address }) => address);
  }

  /** Resolves to the address as bound. Throws AIONBD_E_LISTEN. */
  async add(address: ListenAddress | InheritedSocket): Promise<ListenAddress> {
    const listening = await listenOn(this.#ring, address);
    if (this.#stopped) {
      stopListening(this.#ring, listening);
      throw new Error('the server is closed');
    }
    this.#listening.set(listening.listener, listening);
    this.#ring.accept(listening.listener, listening.listener);
    this.#ring.kick();
    return listening.address;
  }

  /** An ACCEPT is complete: a connection's number, or a negative errno. */
  complete(listener: number, result: number): void {
    if (!this.#listening.has(listener)) {
      if (result >= 0) this.#ring.close(result, result);
      return;
    }
    if (result < 0) {
      this.#trouble.failed(result, performance.now());
      setTimeout(() => {
        if (!this.#listening.has(listener)) return;
        this.#ring.accept(listener, listener);
        this.#ring.kick();
      }, ACCEPT_PAUSE_MS);
      return;
    }
    this.#ring.accept(listener, listener);
    this.#accepted(result);
  }

  /** To be called now and then. */
  tick(): void {
    this.#trouble.look(performance.now());
  }

  /** Ends them all, and those that are still being added. */
  stop(): void {
    this.#stopped = true;
    for (const listening of this.#listening.values()) stopListening(this.#ring, listening);
    this.#listening.clear();
    this.#ring.kick();
  }
}

/** For a ring that does nothing but listen. */
export class AcceptSink implements CompletionSink {
  readonly #listeners: Listeners;

  constructor(listeners: Listeners) {
    this.#listeners = listeners;
  }

  complete(op: number, tag: number, result: number): void {
    if (op === OP_ACCEPT) this.#listeners.complete(tag, result);
  }

  batchEnd(): void {}
}
