// All that one connection of a case sends: known beforehand, so that what each of its bytes means is known when it goes
// out.

import type { Mode, Request } from '../transmission/wire.js';
import { type Message, type Scan, scanRequests } from './request-scan.js';
import { cutPieces } from './target.js';

/** A request that is whole. */
export interface Sent {
  readonly request: Request;
  /** When its first byte went out, by the count of steps. */
  readonly begun: number | undefined;
}

export interface Piece {
  readonly bytes: Buffer;
  /** Requests that are whole with this piece. */
  readonly completes: readonly Sent[];
}

export class Lane {
  readonly number: number;
  readonly mode: Mode;
  readonly contexts: readonly number[];
  readonly #cut: number;
  readonly #chunks: Buffer[] = [];
  readonly #starts = new Map<number, number>();
  readonly #begun = new Map<Message, number>();
  #length = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #scan: Scan = { messages: [], ends: undefined };
  #sent = 0;
  #next = 0;

  constructor(
    number: number,
    terms: { readonly replies?: Mode; readonly contexts?: readonly number[] },
    cut: number,
  ) {
    this.number = number;
    this.mode = terms.replies ?? 'simple';
    const known = (terms.contexts ?? []).filter((id) => id === 1 || id === 2);
    // Contexts need replies in chunks.
    this.contexts = this.mode === 'simple' ? [] : [...new Set(known)].sort();
    this.#cut = cut;
  }

  /** Why the connection has to end, if all that is to be sent was. */
  get ends(): string | undefined {
    const { ends } = this.#scan;
    return ends && ends.at <= this.#sent ? ends.why : undefined;
  }

  /** The bytes of a step. */
  add(step: number, bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#starts.set(step, this.#length);
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  /** Call when every step has been added. */
  scan(keepCookies: boolean): void {
    this.#bytes = Buffer.concat(this.#chunks);
    this.#scan = scanRequests(this.#bytes, this.mode, keepCookies);
  }

  /** What a step sends; ask in the order of the steps. */
  *pieces(step: number): Generator<Piece> {
    const start = this.#starts.get(step);
    if (start === undefined) return;
    const at = [...this.#starts.values()].find((other) => other > start) ?? this.#length;
    for (const bytes of cutPieces(this.#bytes.subarray(start, at), this.#cut)) {
      const from = this.#sent;
      this.#sent += bytes.length;
      yield { bytes, completes: this.#completed(from, step) };
    }
  }

  #completed(from: number, step: number): Sent[] {
    const { messages, ends } = this.#scan;
    const completed: Sent[] = [];
    for (let i = this.#next; i < messages.length; i++) {
      const message = messages[i]!;
      if (message.start >= this.#sent) break;
      if (message.start >= from) this.#begun.set(message, step + 1);
      if (message.end > this.#sent || (ends && message.end > ends.at)) break;
      completed.push({ request: message.request, begun: this.#begun.get(message) });
      this.#next = i + 1;
    }
    return completed;
  }
}
