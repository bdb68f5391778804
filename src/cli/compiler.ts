import { setFlagsFromString } from 'node:v8';

/**
 * How far V8 merges functions into their callers when it optimizes. Its own limits are made for web pages: a request passes through
 * some sixty small functions, and at each border that is left, what the last one knew is looked up and checked again.
 * docs/performance.md says what it gives.
 */
export const INLINING_FLAGS = [
  '--max-inlined-bytecode-size=1000',
  '--max-inlined-bytecode-size-cumulative=3000',
] as const;

/**
 * For the whole process, its threads included, and whatever is optimized from now on. Flags that V8 was started with are changed, too.
 * To be called when everything is loaded: V8 does not use compiled code that was stored under other flags.
 */
export function inlineMore(): void {
  for (const flag of INLINING_FLAGS) setFlagsFromString(flag);
}
