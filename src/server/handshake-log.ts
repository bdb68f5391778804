import { Limiter } from '../log/limiter.js';
import type { LineName, Say } from '../log/lines.js';
import type { HandshakeFailure } from '../metrics/snapshot.js';

type HandshakeLine = Extract<LineName, 'handshakeFailed' | 'handshakeLeft' | 'handshakeAborted'>;

/** What an operator can do something about is a warning; who just goes away is none. */
const LINE_OF: Readonly<Record<HandshakeFailure, HandshakeLine>> = Object.freeze({
  closed: 'handshakeLeft',
  abort: 'handshakeAborted',
  timeout: 'handshakeLeft',
  protocol_error: 'handshakeFailed',
  unknown_export: 'handshakeFailed',
  no_memory: 'handshakeFailed',
  too_many_connections: 'handshakeFailed',
  no_thread: 'handshakeFailed',
  server_stopping: 'handshakeLeft',
});

/** Tells of handshakes that led to nothing; anybody who can connect can cause them, so a flood is cut short. */
export class HandshakeLog {
  readonly #say: Say;
  readonly #limiter: Limiter;

  constructor(say: Say) {
    this.#say = say;
    this.#limiter = new Limiter(say, 'handshakesLeftOut');
  }

  failed(connection: number, peer: string, failure: HandshakeFailure, reason: string): void {
    if (!this.#limiter.allows(failure, performance.now())) return;
    this.#say(LINE_OF[failure], { connection, peer, failure, reason });
  }

  /** To be called now and then. */
  look(): void {
    this.#limiter.look(performance.now());
  }

  /** Says what is left to be said. */
  flush(): void {
    this.#limiter.flush(performance.now());
  }
}
