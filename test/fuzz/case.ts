// One case of a fuzzer: what clients do, step by step. text.ts has it as lines, encode.ts as bytes.

import type { Mode } from '../transmission/wire.js';
import type { Blob } from './blob.js';

export type OptionData =
  | { readonly kind: 'raw'; readonly bytes: Blob }
  /** INFO and GO. The lengths may lie. */
  | {
      readonly kind: 'info';
      readonly name: Blob;
      readonly info: readonly number[];
      readonly nameLength?: number;
      readonly count?: number;
    }
  /** LIST_META_CONTEXT and SET_META_CONTEXT. */
  | {
      readonly kind: 'meta';
      readonly name: Blob;
      readonly queries: readonly Blob[];
      readonly nameLength?: number;
      readonly count?: number;
    };

export interface OptionStep {
  readonly kind: 'option';
  readonly option: number;
  readonly data: OptionData;
  /** What the header claims; the data's length without it. */
  readonly length?: number;
}

export interface RequestStep {
  readonly kind: 'request';
  readonly type: number;
  readonly flags: number;
  /** Without one: a number of its own. */
  readonly cookie?: bigint;
  readonly offset: bigint;
  /** What the header claims; the payload's length without it. */
  readonly length?: bigint;
  readonly payload?: Blob;
  /** Instead of a payload: that of BLOCK_STATUS. */
  readonly status?: { readonly range: bigint; readonly ids: readonly number[] };
  /** Extended headers: PAYLOAD_LEN is left away although there is a payload. */
  readonly bare?: boolean;
  readonly magic?: number;
}

export type Step =
  /** The client's flags, first in a handshake. */
  | { readonly kind: 'flags'; readonly value: number }
  | OptionStep
  | RequestStep
  | { readonly kind: 'bytes'; readonly bytes: Blob }
  /** What comes next is another client's; at its first mention it connects. */
  | {
      readonly kind: 'peer';
      readonly peer: number;
      readonly replies?: Mode;
      readonly contexts?: readonly number[];
    }
  /** What follows arrives apart from what was before. */
  | { readonly kind: 'split' }
  /** So much happens before the next step; 0 for all that can. */
  | { readonly kind: 'wait'; readonly count: number }
  /** The client is gone, without a word. */
  | { readonly kind: 'leave' }
  /** The client takes so many more bytes of replies and then no more, until it resumes. */
  | { readonly kind: 'stall'; readonly bytes: number }
  | { readonly kind: 'resume' }
  /** Time passes. */
  | { readonly kind: 'tick'; readonly ms: number }
  /** The server begins to stop: what is new is answered ESHUTDOWN. */
  | { readonly kind: 'stop' };

export interface FuzzCase {
  /** What the target is set up with; names and values are the target's. */
  readonly settings: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

export function setting(fuzzCase: FuzzCase, name: string, otherwise: number): number {
  const value = fuzzCase.settings[name];
  return value === undefined ? otherwise : Number(value);
}
