/**
 * What the handshake's agreements mean for the export that a client names. INFO, GO and EXPORT_NAME all ask here, so
 * they tell the same (H11).
 */
import { FLAG_BLOCK_STATUS_PAYLOAD, FLAG_SEND_DF } from '../protocol/constants.js';
import type { NamedExport } from './find-export.js';
import type { NegotiatedState } from './step.js';

/** The selected contexts that hold for this export: it must be named now as it was for SET_META_CONTEXT (H15). */
export function contextsFor({ name, offer }: NamedExport, negotiated: NegotiatedState): readonly number[] {
  if (negotiated.metaContextsOf !== name) return [];
  return negotiated.metaContexts.filter((id) => offer.metaContexts.some((context) => context.id === id));
}

/** The export's transmission flags on this connection. */
export function transmissionFlagsFor(named: NamedExport, negotiated: NegotiatedState): number {
  let flags = named.offer.transmissionFlags;
  // A read that must not be fragmented is one only where reads can be.
  if (negotiated.replies !== 'simple') flags |= FLAG_SEND_DF;
  // A subset of the contexts can be asked for only in an extended request, and only if there are some.
  if (negotiated.replies === 'extended' && contextsFor(named, negotiated).length > 0) {
    flags |= FLAG_BLOCK_STATUS_PAYLOAD;
  }
  return flags;
}

/** What the transmission phase is handed: everything that was agreed, with no contexts but this export's. */
export function agreedFor(named: NamedExport, negotiated: NegotiatedState): NegotiatedState {
  return { ...negotiated, metaContexts: contextsFor(named, negotiated) };
}
