// A case made from others: steps left out, doubled, moved, spliced in or made anew, and their bytes flipped, cut,
// repeated and mixed.

import { MODES, type Mode } from '../transmission/wire.js';
import { blobOf } from './blob.js';
import type { FuzzCase, RequestStep, Step } from './case.js';
import { stepBytes } from './encode.js';
import type { Random } from './random.js';

/** What a target adds to what can be done with any case. */
export interface Grammar {
  fresh(random: Random): FuzzCase;
  /** One step that may stand anywhere. */
  step(random: Random): Step;
  readonly settings: Readonly<Record<string, readonly string[]>>;
  /** Most steps of a case. */
  readonly mostSteps: number;
}

const LARGEST_TO_CHANGE = 1 << 16;
const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x20];

export function mutate(random: Random, parent: FuzzCase, other: FuzzCase, grammar: Grammar): FuzzCase {
  let { settings } = parent;
  let steps = [...parent.steps];
  const times = 1 + random.small(5);
  for (let i = 0; i < times; i++) {
    if (random.oneIn(8)) settings = changeSetting(random, settings, grammar);
    else steps = changeSteps(random, steps, other.steps, grammar);
  }
  return { settings, steps: steps.slice(0, grammar.mostSteps) };
}

function changeSetting(
  random: Random,
  settings: FuzzCase['settings'],
  grammar: Grammar,
): FuzzCase['settings'] {
  const names = Object.keys(grammar.settings);
  if (names.length === 0) return settings;
  const name = random.pick(names);
  const value = random.pick(grammar.settings[name]!);
  return { ...settings, [name]: value === '#' ? String(random.below(1 << 20)) : value };
}

function changeSteps(
  random: Random,
  steps: readonly Step[],
  other: readonly Step[],
  grammar: Grammar,
): Step[] {
  const at = random.below(steps.length + 1);
  const length = 1 + random.small(4);
  switch (random.below(10)) {
    case 0:
      return steps.toSpliced(at, length);
    case 1:
      return steps.toSpliced(random.below(steps.length + 1), 0, ...steps.slice(at, at + length));
    case 2: {
      const [moved] = steps.slice(at, at + 1);
      return moved ? steps.toSpliced(at, 1).toSpliced(random.below(steps.length), 0, moved) : [...steps];
    }
    case 3: {
      const from = random.below(other.length + 1);
      return steps.toSpliced(at, random.below(3), ...other.slice(from, from + 1 + random.below(6)));
    }
    case 4:
      return [...steps.slice(0, at), ...other.slice(random.below(other.length + 1))];
    case 5:
    case 6:
      return steps.toSpliced(at, random.below(2), grammar.step(random));
    case 7:
      return changeBytes(random, steps, at, length);
    default:
      return changeField(random, steps, at);
  }
}

// ---- one field

function changeField(random: Random, steps: readonly Step[], at: number): Step[] {
  const step = steps[at];
  if (!step) return [...steps];
  return steps.toSpliced(at, 1, otherField(random, step));
}

function otherField(random: Random, step: Step): Step {
  switch (step.kind) {
    case 'flags':
      return { kind: 'flags', value: (step.value ^ (1 << random.below(random.oneIn(4) ? 32 : 2))) >>> 0 };
    case 'option':
      if (random.oneIn(2)) return { ...step, option: random.below(13) };
      return { ...step, length: Math.max(0, near(random, step.length ?? 20)) };
    case 'request':
      return otherRequest(random, step);
    case 'bytes':
      return step;
    case 'peer':
      return step.replies === undefined ? step : { ...step, replies: random.pick(MODES) };
    case 'stall':
      return { ...step, bytes: random.below(100_000) };
    case 'wait':
      return { ...step, count: random.small(100) };
    default:
      return step;
  }
}

function otherRequest(random: Random, step: RequestStep): RequestStep {
  switch (random.below(6)) {
    case 0:
      return { ...step, type: random.below(9) };
    case 1:
      return { ...step, flags: step.flags ^ (1 << random.small(16)) };
    case 2:
      return { ...step, offset: nearWide(random, step.offset) };
    case 3:
      return { ...step, length: nearWide(random, step.length ?? 4096n) };
    case 4:
      return { ...step, bare: !step.bare };
    default:
      if (!step.payload) return { ...step, length: BigInt(random.below(5000)) };
      return { ...step, payload: [{ seed: random.below(1000), length: random.small(70_000) }] };
  }
}

function near(random: Random, value: number): number {
  return value + random.below(9) - 4;
}

function nearWide(random: Random, value: bigint): bigint {
  const changed = random.oneIn(3)
    ? value ^ (1n << BigInt(random.below(64)))
    : value + BigInt(random.below(9) - 4);
  return BigInt.asUintN(64, changed);
}

// ---- bytes

/** Turns some steps into their bytes, and changes these. */
function changeBytes(random: Random, steps: readonly Step[], at: number, length: number): Step[] {
  const mode = modeAt(steps, at);
  const bytes = Buffer.concat(steps.slice(at, at + length).map((step, i) => stepBytes(step, mode, at + i)));
  if (bytes.length === 0 || bytes.length > LARGEST_TO_CHANGE) return [...steps];
  let changed: Buffer = bytes;
  const times = 1 + random.below(3);
  for (let i = 0; i < times; i++) changed = damage(random, changed);
  return steps.toSpliced(at, length, { kind: 'bytes', bytes: blobOf(changed) });
}

/** The mode in which a request at this place is likely to be read. */
export function modeAt(steps: readonly Step[], at: number): Mode {
  let mode: Mode = 'simple';
  for (const step of steps.slice(0, at)) {
    if (step.kind === 'peer' && step.replies !== undefined) mode = step.replies;
    if (step.kind === 'option' && step.option === 11) mode = 'extended';
    if (step.kind === 'option' && step.option === 8 && mode === 'simple') mode = 'structured';
  }
  return mode;
}

function damage(random: Random, bytes: Buffer): Buffer {
  // Headers are at the front, and the rest is mostly data of which nothing depends.
  const at = random.oneIn(2) ? random.below(Math.min(bytes.length, 48) + 1) : random.below(bytes.length + 1);
  const length = 1 + random.small(32);
  const piece = bytes.subarray(at, at + length);
  switch (random.below(6)) {
    case 0:
      return change(bytes, at, (byte) => byte ^ (1 << random.below(8)));
    case 1:
      return change(bytes, at, () => random.pick(INTERESTING));
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    case 4: {
      const filler = Buffer.alloc(length, random.pick(INTERESTING));
      return Buffer.concat([bytes.subarray(0, at), filler, bytes.subarray(at)]);
    }
    default: {
      const from = random.below(bytes.length);
      const copy = bytes.subarray(from, from + length);
      return Buffer.concat([bytes.subarray(0, at), copy, bytes.subarray(at + copy.length)]);
    }
  }
}

function change(bytes: Buffer, at: number, by: (byte: number) => number): Buffer {
  if (at >= bytes.length) return bytes;
  const changed = Buffer.from(bytes);
  changed[at] = by(changed[at]!) & 0xff;
  return changed;
}
