/** The export that an option names. */
import {
  MAXIMUM_STRING_BYTES,
  REP_ERR_INVALID,
  REP_ERR_TOO_BIG,
  REP_ERR_UNKNOWN,
} from '../protocol/constants.js';
import { decodeText, quoteText, type TextFault } from '../protocol/text.js';
import type { ExportDirectory, ExportOffer } from './directory.js';
import type { Refusal } from './handler.js';

export interface NamedExport {
  /** As the client wrote it: empty for the default export, where the offer has the real name. */
  readonly name: string;
  readonly offer: ExportOffer;
}

export type FoundExport =
  | { readonly ok: true; readonly named: NamedExport }
  | { readonly ok: false; readonly refusal: Refusal };

export function findExport(directory: ExportDirectory, nameBytes: Uint8Array): FoundExport {
  const name = decodeText(nameBytes);
  if (!name.ok) return { ok: false, refusal: refuseName(name.fault, nameBytes.length) };
  const offer = directory.find(name.text);
  if (offer !== undefined) return { ok: true, named: { name: name.text, offer } };
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
