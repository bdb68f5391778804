import type { ExportOffer } from '../negotiation/directory.js';
import {
  FLAG_CAN_MULTI_CONN,
  FLAG_HAS_FLAGS,
  FLAG_READ_ONLY,
  FLAG_SEND_CACHE,
  FLAG_SEND_FAST_ZERO,
  FLAG_SEND_FLUSH,
  FLAG_SEND_FUA,
  FLAG_SEND_TRIM,
  FLAG_SEND_WRITE_ZEROES,
  MAXIMUM_PAYLOAD_BYTES,
} from '../protocol/constants.js';
import { META_CONTEXTS } from './contexts.js';
import type { Export } from './export.js';

/** Any request may start and end at any byte; unaligned writes are merged by us. */
const MINIMUM_BLOCK_BYTES = 1;
const PREFERRED_BLOCK_BYTES = 4096;

/** What a client is told of an export. */
export function offerOf(target: Export): ExportOffer {
  // Flush and FUA reach the same file whatever connection they come on, hence CAN_MULTI_CONN (X11).
  const always = FLAG_HAS_FLAGS | FLAG_SEND_FLUSH | FLAG_SEND_FUA | FLAG_CAN_MULTI_CONN | FLAG_SEND_CACHE;
  const writable = FLAG_SEND_TRIM | FLAG_SEND_WRITE_ZEROES | FLAG_SEND_FAST_ZERO;
  return {
    name: target.name,
    description: target.description,
    sizeBytes: target.sizeBytes,
    transmissionFlags: always | (target.readOnly ? FLAG_READ_ONLY : writable),
    minimumBlockBytes: MINIMUM_BLOCK_BYTES,
    preferredBlockBytes: Math.max(PREFERRED_BLOCK_BYTES, target.volume.unitBytes),
    maximumPayloadBytes: MAXIMUM_PAYLOAD_BYTES,
    metaContexts: META_CONTEXTS,
  };
}
