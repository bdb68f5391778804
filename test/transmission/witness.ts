// Watches a disk on behalf of a client, from the moment when it asks until it has its answer: what READ and BLOCK_STATUS
// tell has to have been true at some moment in between.

import type { Range, Reply } from './reply-reader.js';
import type { SimulatedDisk } from './simulated-disk.js';
import {
  BLOCK_STATUS,
  CHANGED,
  READ,
  type Request,
  statusLength,
  WRITE,
  WRITE_ZEROES,
  ZERO,
} from './wire.js';

const OTHER = 1;
const WAS_ZERO = 2;

const CONTEXT_ALLOCATION = 1;
const CONTEXT_CHANGED = 2;

/** Of a long range only so many bytes are looked at one by one, evenly spread: what is wrong is hardly wrong in one byte only. */
const MOST_LOOKED_AT = 16_384;

interface Change extends Range {
  readonly bytes: Buffer;
}

interface Watch extends Range {
  readonly type: number;
  /** What was there when the client asked. */
  readonly before: Buffer;
  /** Changes that had been noted by then. */
  readonly noted: number;
  /** BLOCK_STATUS: what was changed when the client asked. */
  readonly changed: Uint8Array | undefined;
}

export class Witness {
  readonly #disk: SimulatedDisk;
  readonly #fault: (what: string) => void;
  readonly #watches = new Set<Watch>();
  /** What has happened since the oldest of them began. */
  readonly #changes: Change[] = [];

  constructor(disk: SimulatedDisk, fault: (what: string) => void) {
    this.#disk = disk;
    this.#fault = fault;
    disk.onChange = (start, end) => this.#note(start, end);
  }

  /** One client's questions, in the order in which they were asked. */
  client(): ClientWitness {
    return new ClientWitness(this);
  }

  /** The client asks now. */
  ask(request: Request): Watch | undefined {
    if (request.type !== READ && request.type !== BLOCK_STATUS) return undefined;
    const { image, changed } = this.#disk;
    const start = BigInt(request.offset ?? 0);
    const length = request.type === BLOCK_STATUS ? statusLength(request) : BigInt(request.length ?? 0);
    if (length === 0n || start + length > BigInt(image.length)) return undefined; // refused, or of nothing
    const range = { start: Number(start), end: Number(start + length) };
    const watch: Watch = {
      ...range,
      type: request.type,
      before: Buffer.from(image.subarray(range.start, range.end)),
      noted: this.#changes.length,
      changed: request.type === BLOCK_STATUS ? changed.slice(range.start, range.end) : undefined,
    };
    this.#watches.add(watch);
    return watch;
  }

  /** The client has its answer. */
  answer(request: Request, watch: Watch | undefined, reply: Reply): void {
    // A TRIM is a hint: what came of it, the disk knows.
    if (reply.error === 0 && (request.type === WRITE || request.type === WRITE_ZEROES)) {
      const length = Number(request.length ?? request.payload?.length ?? 0);
      this.#disk.markChanged(Number(request.offset ?? 0), length);
    }
    if (!watch) return;
    if (reply.error === 0 && watch.type === READ) this.#checkRead(watch, reply);
    if (reply.error === 0 && watch.type === BLOCK_STATUS) this.#checkStatus(watch, reply);
    this.forget([watch]);
  }

  forget(watches: Iterable<Watch | undefined>): void {
    for (const watch of watches) if (watch) this.#watches.delete(watch);
    if (this.#watches.size === 0) this.#changes.length = 0;
  }

  #note(start: number, end: number): void {
    if (this.#watches.size === 0) return;
    this.#changes.push({ start, end, bytes: Buffer.from(this.#disk.image.subarray(start, end)) });
  }

  /** For each byte that is looked at whether something OTHER was there since the question, and whether that WAS_ZERO. */
  #since({ start, end, before, noted }: Watch): Uint8Array {
    const since = new Uint8Array(end - start);
    const step = stepOf(before);
    for (let n = noted; n < this.#changes.length; n++) {
      const change = this.#changes[n]!;
      const from = Math.max(start, change.start);
      const to = Math.min(end, change.end);
      for (let i = Math.ceil((from - start) / step) * step; i < to - start; i += step) {
        const byte = change.bytes[start + i - change.start]!;
        if (byte !== before[i]) since[i]! |= byte === 0 ? OTHER | WAS_ZERO : OTHER;
      }
    }
    return since;
  }

  #checkRead(watch: Watch, { data, holes }: Reply): void {
    const { before } = watch;
    if (data.equals(before)) return;
    const since = this.#since(watch);
    const step = stepOf(before);
    for (let i = 0; i < before.length; i += step) {
      if (data[i] === before[i] || since[i] !== 0) continue;
      this.#fault(`READ [${watch.start}, ${watch.end}) tells a wrong byte at ${watch.start + i}`);
      return;
    }
    for (const hole of holes) this.#checkZeroes(watch, hole, since, 'READ tells of a hole');
  }

  #checkStatus(watch: Watch, { contexts }: Reply): void {
    let at = watch.start;
    let since: Uint8Array | undefined;
    for (const { length, status } of contexts.get(CONTEXT_ALLOCATION) ?? []) {
      const end = at + Number(length);
      const known = watch.before.subarray(at - watch.start, end - watch.start);
      if ((Number(status) & ZERO) !== 0 && known.some((byte) => byte !== 0)) {
        since ??= this.#since(watch);
        this.#checkZeroes(watch, { start: at, end }, since, 'BLOCK_STATUS tells of zeroes');
      }
      at = end;
    }
    at = watch.start;
    for (const { length, status } of contexts.get(CONTEXT_CHANGED) ?? []) {
      const end = at + Number(length);
      const known = watch.changed!.subarray(at - watch.start, end - watch.start);
      if ((Number(status) & CHANGED) === 0 && known.includes(1))
        this.#fault(
          `BLOCK_STATUS says that [${at}, ${end}) was not changed; byte ${at + known.indexOf(1)} was`,
        );
      at = end;
    }
  }

  #checkZeroes(watch: Watch, { start, end }: Range, since: Uint8Array, what: string): void {
    const step = stepOf(watch.before);
    const last = Math.min(end, watch.end) - watch.start;
    for (let i = Math.ceil((start - watch.start) / step) * step; i < last; i += step) {
      if (watch.before[i] === 0 || (since[i]! & WAS_ZERO) !== 0) continue;
      this.#fault(`${what} [${start}, ${end}), but byte ${watch.start + i} was never zero meanwhile`);
      return;
    }
  }
}

function stepOf(before: Buffer): number {
  return Math.ceil(before.length / MOST_LOOKED_AT);
}

/** Brings answers together with their questions. */
export class ClientWitness {
  readonly #witness: Witness;
  readonly #asked = new Map<bigint, { readonly request: Request; readonly watch: Watch | undefined }[]>();

  constructor(witness: Witness) {
    this.#witness = witness;
  }

  ask(request: Request): void {
    const asked = { request, watch: this.#witness.ask(request) };
    const same = this.#asked.get(request.cookie);
    if (same) same.push(asked);
    else this.#asked.set(request.cookie, [asked]);
  }

  answer(reply: Reply): void {
    const same = this.#asked.get(reply.cookie);
    const asked = same?.shift();
    if (same?.length === 0) this.#asked.delete(reply.cookie);
    if (asked) this.#witness.answer(asked.request, asked.watch, reply);
  }

  /** There will be no more answers. */
  leave(): void {
    for (const same of this.#asked.values()) this.#witness.forget(same.map(({ watch }) => watch));
    this.#asked.clear();
  }
}
