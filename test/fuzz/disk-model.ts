// What a disk may hold after many clients have written to it at once: each part of it holds what one of the last writes
// put there, where "last" is as far as the clients' clocks can tell.

import { seededRandom } from '../support/random.js';

interface Change {
  readonly offset: number;
  readonly end: number;
  /** Undefined where nobody can know: a trim. */
  readonly bytes: Uint8Array | 'zeroes' | undefined;
  readonly begun: number;
  /** When the client knew that it was done; Infinity if it never did. */
  done: number;
}

export class DiskModel {
  readonly #before: Buffer;
  readonly #changes: Change[] = [];

  constructor(before: Buffer) {
    this.#before = Buffer.from(before);
  }

  /** A change that may happen from now on. */
  begin(offset: number, length: number, bytes: Change['bytes'], now: number): Change {
    const end = Math.min(offset + length, this.#before.length);
    const change = { offset, end, bytes, begun: now, done: Number.POSITIVE_INFINITY };
    if (length > 0 && offset < end) this.#changes.push(change);
    return change;
  }

  /** It has been refused, and so never happens. */
  forget(change: Change): void {
    const at = this.#changes.indexOf(change);
    if (at >= 0) this.#changes.splice(at, 1);
  }

  /** What an image cannot be; undefined if it can. */
  compare(image: Buffer): string | undefined {
    const edges = new Set([0, this.#before.length]);
    for (const { offset, end } of this.#changes) edges.add(offset).add(end);
    const sorted = [...edges].sort((a, b) => a - b);
    for (let i = 1; i < sorted.length; i++) {
      const wrong = this.#compareSegment(image, sorted[i - 1]!, sorted[i]!);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  #compareSegment(image: Buffer, start: number, end: number): string | undefined {
    const here = this.#changes.filter((change) => change.offset <= start && end <= change.end);
    const isLast = (change: { done: number }) =>
      !here.some((later) => later.done < Number.POSITIVE_INFINITY && later.begun > change.done);
    const last = here.filter(isLast);
    if (last.some(({ bytes }) => bytes === undefined)) return undefined;
    const candidates = last.map((change) => contentOf(change, start, end));
    if (!here.some(({ done }) => done < Number.POSITIVE_INFINITY))
      candidates.push(this.#before.subarray(start, end));
    const found = image.subarray(start, end);
    if (candidates.some((candidate) => found.equals(candidate))) return undefined;
    for (let at = 0; at < found.length; at++) {
      if (candidates.every((candidate) => candidate[at] !== found[at]))
        return `byte ${start + at} of the disk is ${found[at]}, which none of ${candidates.length} writes put there`;
    }
    return undefined;
  }
}

export type { Change };

function contentOf({ bytes, offset }: Change, start: number, end: number): Uint8Array {
  return bytes === 'zeroes' || bytes === undefined
    ? Buffer.alloc(end - start)
    : bytes.subarray(start - offset, end - offset);
}

/** The contents of a disk at the start: some data, some holes. */
export function fillDisk(image: Buffer, seed: number): void {
  const random = seededRandom(seed);
  for (let at = 0; at < image.length; ) {
    const length = 512 * (1 + Math.floor(random() * 64));
    if (random() < 0.6) image.fill(1 + Math.floor(random() * 255), at, Math.min(at + length, image.length));
    at += length;
  }
}
