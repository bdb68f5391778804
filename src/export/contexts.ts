/** What BLOCK_STATUS can tell of an export. */
export interface MetaContext {
  /** On the wire, in the answer to SET_META_CONTEXT and in each chunk of block status. */
  readonly id: number;
  readonly name: string;
}

/** What is allocated below: STATE_HOLE and STATE_ZERO. */
export const CONTEXT_ALLOCATION = 1;
/** What clients have changed since the server opened the file: {@link STATE_CHANGED}. */
export const CONTEXT_CHANGED = 2;

/** Flag of `aionbd:changed`: written, zeroed or trimmed, or near to what was (see docs/protocol.md). */
export const STATE_CHANGED = 1 << 0;

export const META_CONTEXTS: readonly MetaContext[] = Object.freeze([
  Object.freeze({ id: CONTEXT_ALLOCATION, name: 'base:allocation' }),
  Object.freeze({ id: CONTEXT_CHANGED, name: 'aionbd:changed' }),
]);
