// Which errors a request may be answered with, from the specification's "Request types" and "Error values".

import type { Mode, Request } from '../transmission/wire.js';
import { flagsSent } from '../transmission/wire.js';

const [READ, WRITE, , FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS] = [0, 1, 2, 3, 4, 5, 6, 7];
const [FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN] = [1, 2, 4, 8, 16, 32] as const;
const [SUCCESS, EPERM, EIO, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP] = [0, 1, 5, 22, 28, 75, 95] as const;
export const ESHUTDOWN = 108;
const MAXIMUM_PAYLOAD = 32n << 20n;

export interface VerdictTerms {
  readonly mode: Mode;
  /** The contexts that were selected. */
  readonly contexts: readonly number[];
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** The disk fails now and then. */
  readonly failing?: boolean;
}

const ALLOWED: Readonly<Record<number, number>> = {
  [READ!]: FUA | DF,
  [WRITE!]: FUA | PAYLOAD_LEN,
  [FLUSH!]: FUA,
  [TRIM!]: FUA,
  [CACHE!]: FUA,
  [WRITE_ZEROES!]: FUA | NO_HOLE | FAST_ZERO,
  [BLOCK_STATUS!]: FUA | REQ_ONE | PAYLOAD_LEN,
};

/** Where several rules are broken, the specification does not say which error goes first. */
export function possibleErrors(request: Request, terms: VerdictTerms): ReadonlySet<number> {
  const faults = wrong(request, terms);
  if (faults.size > 0) return faults;
  const possible = new Set<number>([SUCCESS]);
  if (request.type === WRITE_ZEROES && ((request.flags ?? 0) & FAST_ZERO) !== 0) possible.add(ENOTSUP);
  if (terms.failing) possible.add(EIO).add(ENOSPC);
  return possible;
}

function wrong(request: Request, { mode, contexts, sizeBytes, readOnly }: VerdictTerms): Set<number> {
  const { type } = request;
  const errors = new Set<number>();
  const flags = flagsSent(request, mode);
  let allowed = ALLOWED[type];
  if (allowed === undefined) return new Set([EINVAL]);
  if (mode === 'simple') allowed &= ~DF;
  if (mode !== 'extended' || (type === BLOCK_STATUS && contexts.length === 0)) allowed &= ~PAYLOAD_LEN;
  if ((flags & ~allowed) !== 0) errors.add(EINVAL);

  const changes = type === WRITE || type === TRIM || type === WRITE_ZEROES;
  if (changes && readOnly) errors.add(EPERM);
  const picked = type === BLOCK_STATUS && (flags & PAYLOAD_LEN) !== 0;
  const length = picked ? pickedLength(request, contexts) : BigInt(request.length ?? 0);
  if (length === undefined) return errors.add(EINVAL);
  if (type === BLOCK_STATUS && (contexts.length === 0 || length === 0n)) errors.add(EINVAL);
  if (type === READ && length > MAXIMUM_PAYLOAD) errors.add(EINVAL).add(EOVERFLOW);
  if (type === WRITE && length > MAXIMUM_PAYLOAD) errors.add(EINVAL);
  const isOutside = type !== FLUSH && BigInt(request.offset ?? 0) + length > BigInt(sizeBytes);
  if (isOutside) errors.add(type === WRITE || type === WRITE_ZEROES ? ENOSPC : EINVAL);
  return errors;
}

/** The range that the payload of BLOCK_STATUS names; undefined if the payload is wrong. */
function pickedLength({ payload }: Request, contexts: readonly number[]): bigint | undefined {
  if (!payload || payload.length <= 8 || payload.length % 4 !== 0) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const ids: number[] = [];
  for (let at = 8; at < payload.length; at += 4) ids.push(view.getUint32(at));
  if (new Set(ids).size < ids.length || ids.some((id) => !contexts.includes(id))) return undefined;
  return view.getBigUint64(0);
}
