// What a fuzzer runs cases against.

import type { FuzzCase } from './case.js';
import type { Grammar } from './mutate.js';

export interface Outcome {
  /** What was wrong; undefined for nothing. */
  readonly fault: string | undefined;
  /** What was met on the way: a case that meets something new is worth keeping. */
  readonly features: readonly string[];
}

export interface Target {
  readonly name: string;
  readonly grammar: Grammar;
  /** Runs one case at a time if it answers at once; otherwise up to this many. */
  readonly parallel: number;
  run(fuzzCase: FuzzCase): Outcome | Promise<Outcome>;
  /** Called now and then while no case runs: what is wrong with the whole, or undefined. */
  check(): Promise<string | undefined>;
  close(): Promise<void>;
}

/** A count as a feature: 0, 1, 2, 3–4, 5–8 … */
export function bucket(count: number): number {
  return count <= 2 ? count : 1 + Math.ceil(Math.log2(count));
}

/** Cuts bytes at places that `seed` gives: 0 nowhere, 1 everywhere. */
export function cutPieces(bytes: Buffer, seed: number): Buffer[] {
  if (bytes.length === 0) return [];
  if (seed === 0) return [bytes];
  const pieces: Buffer[] = [];
  let state = seed;
  for (let at = 0; at < bytes.length; ) {
    state = (Math.imul(state, 0x5851f42d) + 0x14057b7f) >>> 0;
    const kind = (state >>> 28) & 7;
    const random = (state >>> 8) & 0xffff;
    // Most in the size of headers; a large payload is not cut into thousands of pieces.
    let length = kind < 3 ? 1 + (random % 40) : kind < 6 ? 1 + (random % 5000) : 1 + random * 4;
    if (seed === 1) length = bytes.length > 5000 ? Math.ceil(bytes.length / 5000) : 1;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}
