/** The options that name an export: EXPORT_NAME, INFO and GO. */
import type { ByteWriter } from '../protocol/byte-writer.js';
import { INFO_BLOCK_SIZE, INFO_DESCRIPTION, INFO_NAME, REP_ERR_INVALID } from '../protocol/constants.js';
import { optionName } from '../protocol/names.js';
import { decodeInfoRequest, type InfoRequest } from '../protocol/option.js';
import {
  writeAck,
  writeError,
  writeExportNameReply,
  writeInfoBlockSize,
  writeInfoDescription,
  writeInfoExport,
  writeInfoName,
} from '../protocol/option-reply.js';
import { agreedFor, transmissionFlagsFor } from './agreement.js';
import type { ExportOffer } from './directory.js';
import { findExport, type NamedExport } from './find-export.js';
import type { OptionContext, OptionOutcome } from './handler.js';
import { CONTINUE, closeBecause } from './step.js';

/** EXPORT_NAME: to the transmission phase, or nowhere, since it has no way to say no (H5). */
export function answerExportName(
  { directory, output, negotiated }: OptionContext,
  _option: number,
  data: Uint8Array,
): OptionOutcome {
  if (negotiated.replies === 'extended') {
    return closeBecause('EXPORT_NAME after EXTENDED_HEADERS; a client that has these must use GO');
  }
  const found = findExport(directory, data);
  if (!found.ok) return closeBecause(`EXPORT_NAME: ${found.refusal.message}`);
  const { named } = found;
  const flags = transmissionFlagsFor(named, negotiated);
  writeExportNameReply(output, named.offer.sizeBytes, flags, !negotiated.noZeroes);
  return { kind: 'transmission', offer: named.offer, negotiated: agreedFor(named, negotiated) };
}

/** INFO: what GO would say, and on with the handshake. */
export function answerInfo(context: OptionContext, option: number, data: Uint8Array): OptionOutcome {
  describe(context, option, data);
  return CONTINUE;
}

/** GO: the export's information, then the transmission phase; refused, it leaves everything as it was (H12). */
export function answerGo(context: OptionContext, option: number, data: Uint8Array): OptionOutcome {
  const described = describe(context, option, data);
  if (described === undefined) return CONTINUE;
  const { named, request } = described;
  const blockSizesAgreed = request.informationTypes.has(INFO_BLOCK_SIZE);
  const negotiated = { ...agreedFor(named, context.negotiated), blockSizesAgreed };
  return { kind: 'transmission', offer: named.offer, negotiated };
}

/**
 * Answers INFO or GO, the same way for both (H11): the information and an ACK, or one error and nothing before it
 * (H10). Undefined if it was an error.
 */
function describe(
  { directory, output, negotiated }: OptionContext,
  option: number,
  data: Uint8Array,
): { named: NamedExport; request: InfoRequest } | undefined {
  const request = decodeInfoRequest(data);
  if (request === undefined) {
    const message = `${optionName(option)}: the lengths inside the data do not add up to its ${data.length} bytes`;
    writeError(output, option, REP_ERR_INVALID, message);
    return undefined;
  }
  const found = findExport(directory, request.name);
  if (!found.ok) {
    writeError(output, option, found.refusal.error, `${optionName(option)}: ${found.refusal.message}`);
    return undefined;
  }
  const { named } = found;
  const flags = transmissionFlagsFor(named, negotiated);
  writeInformation(output, option, named.offer, flags, request.informationTypes);
  writeAck(output, option);
  return { named, request };
}

/** EXPORT always, the rest where it was asked for; an empty description is none. Unknown types are ignored (H9). */
function writeInformation(
  output: ByteWriter,
  option: number,
  offer: ExportOffer,
  transmissionFlags: number,
  types: ReadonlySet<number>,
): void {
  writeInfoExport(output, option, offer.sizeBytes, transmissionFlags);
  if (types.has(INFO_NAME)) writeInfoName(output, option, offer.name);
  if (types.has(INFO_DESCRIPTION) && offer.description !== '') {
    writeInfoDescription(output, option, offer.description);
  }
  if (types.has(INFO_BLOCK_SIZE)) writeInfoBlockSize(output, option, offer);
}
