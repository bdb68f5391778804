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
  TRIM,
  WRITE,
  WRITE_ZEROES,
  ZERO,
} from './wire.js';

const OTHER = 1;
const WAS_ZERO = 2;

const CONTEXT_ALLOCATION = 1;
const CONTEXT_CHANGED = 2;

interface Watch extends Range {
  readonly type: number;
  /** What was there when the client asked. */
  readonly before: Buffer;
  /** For each byte whether something OTHER was there since, and whether that WAS_ZERO. */
  since: Uint8Array | undefined;
  /** BLOCK_STATUS: what was changed when the client asked. */
  readonly changed: Uint8Array | undefined;
}

export class Witness {
  readonly #disk: SimulatedDisk;
  readonly #fault: (what: string) => void;
  readonly #watches = new Set<Watch>();

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
      since: undefined,
      changed: request.type === BLOCK_STATUS ? changed.slice(range.start, range.end) : undefined,
    };
    this.#watches.add(watch);
    return watch;
  }

  /** The client has its answer. */
  answer(request: Request, watch: Watch | undefined, reply: Reply): void {
    if (watch) this.#watches.delete(watch);
    if (reply.error !== 0) return;
    const isChange = [WRITE, WRITE_ZEROES, TRIM].includes(request.type);
    if (isChange) {
      const length = Number(request.length ?? request.payload?.length ?? 0);
      this.#disk.markChanged(Number(request.offset ?? 0), length);
    }
    if (watch?.type === READ) this.#checkRead(watch, reply);
    if (watch?.type === BLOCK_STATUS) this.#checkStatus(watch, reply);
  }

  forget(watches: Iterable<Watch | undefined>): void {
    for (const watch of watches) if (watch) this.#watches.delete(watch);
  }

  #note(start: number, end: number): void {
    const { image } = this.#disk;
    for (const watch of this.#watches) {
      const from = Math.max(start, watch.start);
      const to = Math.min(end, watch.end);
      if (from >= to) continue;
      const { before, start: base } = watch;
      if (before.compare(image, from, to, from - base, to - base) === 0) continue;
      watch.since ??= new Uint8Array(before.length);
      const { since } = watch;
      for (let at = from, i = from - base; at < to; at++, i++) {
        const byte = image[at]!;
        if (byte !== before[i]) since[i]! |= byte === 0 ? OTHER | WAS_ZERO : OTHER;
      }
    }
  }

  #checkRead(watch: Watch, { data, holes }: Reply): void {
    const { before, since } = watch;
    if (!since && data.equals(before)) return;
    for (let i = 0; i < before.length; i++) {
      if (data[i] === before[i] || (since?.[i] ?? 0) !== 0) continue;
      this.#fault(`READ [${watch.start}, ${watch.end}) tells a wrong byte at ${watch.start + i}`);
      return;
    }
    for (const hole of holes) this.#checkZeroes(watch, hole, 'READ tells of a hole');
  }

  #checkStatus(watch: Watch, { contexts }: Reply): void {
    let at = watch.start;
    for (const { length, status } of contexts.get(CONTEXT_ALLOCATION) ?? []) {
      const end = at + Number(length);
      if ((Number(status) & ZERO) !== 0)
        this.#checkZeroes(watch, { start: at, end }, 'BLOCK_STATUS tells of zeroes');
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

  #checkZeroes(watch: Watch, { start, end }: Range, what: string): void {
    for (let at = start; at < Math.min(end, watch.end); at++) {
      const i = at - watch.start;
      if (watch.before[i] === 0 || ((watch.since?.[i] ?? 0) & WAS_ZERO) !== 0) continue;
      this.#fault(`${what} [${start}, ${end}), but byte ${at} was never zero meanwhile`);
      return;
    }
  }
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
