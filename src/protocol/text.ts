/**
 * Strings of the protocol: UTF-8, no NUL, no terminator, at most 4096 bytes; their length travels beside them.
 */
import { MAXIMUM_STRING_BYTES } from './constants.js';

/** What is wrong with a string a client sent. */
export type TextFault = 'too-long' | 'not-utf8' | 'nul';

export type DecodedText =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly fault: TextFault };

/** `ignoreBOM` keeps a leading U+FEFF: a name is compared as it is, and nothing in it is a mark. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

const SHOWN_CHARACTERS = 64;

/** Reads a whole string. A fault is the client's, so it is a value. */
export function decodeText(bytes: Uint8Array): DecodedText {
  if (bytes.length > MAXIMUM_STRING_BYTES) return { ok: false, fault: 'too-long' };
  if (bytes.includes(0)) return { ok: false, fault: 'nul' };
  try {
    return { ok: true, text: decoder.decode(bytes) };
  } catch {
    return { ok: false, fault: 'not-utf8' };
  }
}

/** The bytes of a string. Its length is the caller's business: a name from the configuration has been checked there. */
export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A client's string made fit for a message: quoted, control characters escaped, cut after 64 characters. */
export function quoteText(text: string): string {
  const characters = Array.from(text);
  if (characters.length <= SHOWN_CHARACTERS) return JSON.stringify(text);
  return `${JSON.stringify(characters.slice(0, SHOWN_CHARACTERS).join(''))}…`;
}
