/** The options that name an export: EXPORT_NAME, INFO and GO. */
import type { ByteWriter } from '../protocol/byte-writer.js';
import {
  INFO_BLOCK_SIZE,
  INFO_DESCRIPTION,
  INFO_NAME,
  MAXIMUM_STRING_BYTES,
  REP_ERR_INVALID,
  REP_ERR_TOO_BIG,
  REP_ERR_UNKNOWN,
} from '../protocol/constants.js';
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
import { decodeText, quoteText, type TextFault } from '../protocol/text.js';
import type { ExportDirectory, ExportOffer } from './directory.js';
import type { OptionContext, Refusal } from './handler.js';
import { CONTINUE, closeBecause, type NegotiationNext } from './step.js';

type FoundExport =
  | { readonly ok: true; readonly offer: ExportOffer }
  | { readonly ok: false; readonly refusal: Refusal };

/** EXPORT_NAME: to the transmission phase, or nowhere, since it has no way to say no (H5). */
export function answerExportName(
  { directory, output, negotiated }: OptionContext,
  _option: number,
  data: Uint8Array,
): NegotiationNext {
  const found = findExport(directory, data);
  if (!found.ok) return closeBecause(`EXPORT_NAME: ${found.refusal.message}`);
  const { offer } = found;
  writeExportNameReply(output, offer.sizeBytes, offer.transmissionFlags, !negotiated.noZeroes);
  return { kind: 'transmission', offer, negotiated };
}

/** INFO: what GO would say, and on with the handshake. */
export function answerInfo(context: OptionContext, option: number, data: Uint8Array): NegotiationNext {
  describe(context, option, data);
  return CONTINUE;
}

/** GO: the export's information, then the transmission phase; refused, it leaves everything as it was (H12). */
export function answerGo(context: OptionContext, option: number, data: Uint8Array): NegotiationNext {
  const described = describe(context, option, data);
  if (described === undefined) return CONTINUE;
  const { offer, request } = described;
  const blockSizesAgreed = request.informationTypes.has(INFO_BLOCK_SIZE);
  return { kind: 'transmission', offer, negotiated: { ...context.negotiated, blockSizesAgreed } };
}

/**
 * Answers INFO or GO, the same way for both (H11): the information and an ACK, or one error and nothing before it
 * (H10). Undefined if it was an error.
 */
function describe(
  { directory, output }: OptionContext,
  option: number,
  data: Uint8Array,
): { offer: ExportOffer; request: InfoRequest } | undefined {
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
  writeInformation(output, option, found.offer, request.informationTypes);
  writeAck(output, option);
  return { offer: found.offer, request };
}

/** EXPORT always, the rest where it was asked for; an empty description is none. Unknown types are ignored (H9). */
function writeInformation(
  output: ByteWriter,
  option: number,
  offer: ExportOffer,
  types: ReadonlySet<number>,
): void {
  writeInfoExport(output, option, offer.sizeBytes, offer.transmissionFlags);
  if (types.has(INFO_NAME)) writeInfoName(output, option, offer.name);
  if (types.has(INFO_DESCRIPTION) && offer.description !== '') {
    writeInfoDescription(output, option, offer.description);
  }
  if (types.has(INFO_BLOCK_SIZE)) writeInfoBlockSize(output, option, offer);
}

function findExport(directory: ExportDirectory, nameBytes: Uint8Array): FoundExport {
  const name = decodeText(nameBytes);
  if (!name.ok) return { ok: false, refusal: refuseName(name.fault, nameBytes.length) };
  const offer = directory.find(name.text);
  if (offer !== undefined) return { ok: true, offer };
  const message =
    name.text === '' ? 'there is no default export' : `there is no export ${quoteText(name.text)}`;
  return { ok: false, refusal: { error: REP_ERR_UNKNOWN, message } };
}

function refuseName(fault: TextFault, nameBytes: number): Refusal {
  switch (fault) {
    case 'too-long':
      return {
        error: REP_ERR_TOO_BIG,
        message: `an export name of ${nameBytes} bytes is longer than ${MAXIMUM_STRING_BYTES}`,
      };
    case 'nul':
      return { error: REP_ERR_INVALID, message: 'the export name contains a NUL byte' };
    case 'not-utf8':
      return { error: REP_ERR_INVALID, message: 'the export name is not valid UTF-8' };
  }
}
