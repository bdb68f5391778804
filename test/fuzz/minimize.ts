// The smallest case that still fails: steps are left out in halves, quarters and so on (delta debugging), then what is
// left is made simpler piece by piece.

import { blobBytes, blobLength, blobOf } from './blob.js';
import type { FuzzCase, Step } from './case.js';
import { printStep } from './text.js';

const MOST_TRIES = 2000;
/** A case that hangs takes long to be seen to. */
const MOST_MS = 90_000;

export async function minimize(
  fuzzCase: FuzzCase,
  fails: (candidate: FuzzCase) => boolean | Promise<boolean>,
): Promise<FuzzCase> {
  let best = fuzzCase;
  let tries = 0;
  const end = Date.now() + MOST_MS;
  const attempt = async (candidate: FuzzCase): Promise<boolean> => {
    if (tries++ >= MOST_TRIES || Date.now() > end || !(await fails(candidate))) return false;
    best = candidate;
    return true;
  };
  await dropSteps(() => best, attempt);
  for (const name of Object.keys(best.settings)) {
    const { [name]: _, ...settings } = best.settings;
    await attempt({ ...best, settings });
  }
  for (let at = 0; at < best.steps.length; at++) {
    while (await simplify(best, at, attempt)) {}
  }
  await dropSteps(() => best, attempt);
  return best;
}

async function dropSteps(
  best: () => FuzzCase,
  attempt: (candidate: FuzzCase) => Promise<boolean>,
): Promise<void> {
  for (let size = Math.ceil(best().steps.length / 2); size >= 1; size = size > 1 ? Math.ceil(size / 2) : 0) {
    for (let at = 0; at < best().steps.length; ) {
      const candidate = { ...best(), steps: best().steps.toSpliced(at, size) };
      if (!(await attempt(candidate))) at += size;
    }
  }
}

/** Makes one step a little simpler. */
async function simplify(
  best: FuzzCase,
  at: number,
  attempt: (candidate: FuzzCase) => Promise<boolean>,
): Promise<boolean> {
  const step = best.steps[at]!;
  const text = printStep(step);
  for (const simpler of simplerSteps(step)) {
    if (printStep(simpler) === text) continue;
    if (await attempt({ ...best, steps: best.steps.toSpliced(at, 1, simpler) })) return true;
  }
  return false;
}

/** From the simplest on. */
function* simplerSteps(step: Step): Generator<Step> {
  if (step.kind === 'request') {
    const { cookie: _, ...plain } = step;
    yield plain;
    yield { ...plain, flags: 0 };
    yield { ...plain, offset: 0n };
    if (step.payload) {
      const length = blobLength(step.payload);
      for (const shorter of [0, 1, Math.floor(length / 2), length]) {
        yield { ...plain, payload: [{ bytes: Buffer.of(0), times: shorter }] };
      }
    } else if (step.length !== undefined) {
      for (const shorter of [0n, 1n, 512n, 4096n, step.length / 2n]) {
        if (shorter < step.length) yield { ...plain, length: shorter };
      }
    }
  }
  if (step.kind === 'option') {
    yield { ...step, data: { kind: 'raw', bytes: [] } };
    if (step.data.kind === 'info') yield { ...step, data: { ...step.data, info: [] } };
    if (step.data.kind === 'meta')
      yield { ...step, data: { ...step.data, queries: step.data.queries.slice(0, 1) } };
  }
  if (step.kind === 'bytes') {
    const bytes = blobBytes(step.bytes);
    for (const length of [bytes.length / 4, bytes.length / 2, bytes.length - 1]) {
      yield { kind: 'bytes', bytes: blobOf(bytes.subarray(0, Math.max(0, Math.floor(length)))) };
    }
  }
  if (step.kind === 'peer' && step.contexts !== undefined)
    yield { ...step, contexts: step.contexts.slice(0, 1) };
  if (step.kind === 'wait' && step.count > 0) yield { kind: 'wait', count: 0 };
}
