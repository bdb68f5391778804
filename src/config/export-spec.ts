import { AionbdError } from '../errors.js';
import type { DirectMode, ExportOptions } from '../server/api.js';
import { quote } from './quote.js';

/** The protocol's limit on any string, bytes of UTF-8. */
export const LONGEST_STRING_BYTES = 4096;

const KEYS = ['name', 'path', 'readonly', 'direct', 'description'] as const;
type Key = (typeof KEYS)[number];

export const DIRECT_MODES: readonly DirectMode[] = ['auto', 'on', 'off'];
const EXAMPLE = 'name=disk,path=/srv/disk.img';
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

/**
 * Reads `name=N,path=P[,readonly][,direct=auto|on|off][,description=T]`, in any order. A comma inside a value is
 * written twice, as qemu has it. `readonly` may also be `readonly=on` or `readonly=off`.
 *
 * @throws AionbdError AIONBD_E_EXPORT_SPEC, AIONBD_E_EXPORT_NAME
 */
export function parseExportSpec(text: string): ExportOptions {
  const values = readItems(text);
  const name = values.get('name');
  const path = values.get('path');
  if (name === undefined) {
    throw specError(text, `it has no name; add name=NAME, such as ${EXAMPLE}`);
  }
  if (path === undefined || path === '') {
    throw specError(text, `it has no path; add path=FILE, such as ${EXAMPLE}`);
  }
  const readonly = values.get('readonly');
  const direct = values.get('direct');
  const description = values.get('description');
  return Object.freeze({
    name: checkExportName(name),
    path,
    ...(readonly !== undefined && { readOnly: parseReadonly(text, readonly) }),
    ...(direct !== undefined && { direct: parseDirect(text, direct) }),
    ...(description !== undefined && { description: checkDescription(text, description) }),
  });
}

/**
 * Returns the name if clients can ask for it and a log can show it.
 *
 * @throws AionbdError AIONBD_E_EXPORT_NAME
 */
export function checkExportName(name: string): string {
  if (name === '') {
    throw nameError(
      name,
      'it is empty; the empty name already stands for the first export, so give a real one',
    );
  }
  if (Buffer.byteLength(name) > LONGEST_STRING_BYTES) {
    throw nameError(name, `a name has at most ${LONGEST_STRING_BYTES} bytes; choose a shorter one`);
  }
  if (CONTROL_CHARACTER.test(name)) {
    throw nameError(name, 'it holds a control character; choose a printable one');
  }
  return name;
}

function readItems(text: string): ReadonlyMap<Key, string> {
  const values = new Map<Key, string>();
  for (const item of splitItems(text)) {
    const equals = item.indexOf('=');
    const key = equals === -1 ? item : item.slice(0, equals);
    if (item === '') {
      throw specError(text, 'there is nothing between two commas; a comma inside a value is written twice');
    }
    if (!isKey(key)) {
      throw specError(text, `unknown key ${quote(key)}; known are ${KEYS.join(', ')}`);
    }
    if (values.has(key)) {
      throw specError(text, `${key} is given twice; a comma inside a value is written twice`);
    }
    if (equals === -1 && key !== 'readonly') {
      throw specError(text, `${key} needs a value: ${key}=…`);
    }
    values.set(key, equals === -1 ? 'on' : item.slice(equals + 1));
  }
  return values;
}

/** Splits at single commas; a doubled comma is one comma of the value. */
function splitItems(text: string): string[] {
  const items: string[] = [];
  let item = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== ',') {
      item += text[i];
    } else if (text[i + 1] === ',') {
      item += ',';
      i++;
    } else {
      items.push(item);
      item = '';
    }
  }
  items.push(item);
  return items;
}

function parseReadonly(text: string, value: string): boolean {
  if (value !== 'on' && value !== 'off') {
    throw specError(text, `readonly is ${quote(value)}; write readonly, readonly=on or readonly=off`);
  }
  return value === 'on';
}

function parseDirect(text: string, value: string): DirectMode {
  if (!isDirectMode(value)) {
    throw specError(text, `direct is ${quote(value)}; write direct=auto, direct=on or direct=off`);
  }
  return value;
}

function checkDescription(text: string, description: string): string {
  if (Buffer.byteLength(description) > LONGEST_STRING_BYTES || description.includes('\0')) {
    throw specError(
      text,
      `a description has at most ${LONGEST_STRING_BYTES} bytes and no zero byte; shorten it`,
    );
  }
  return description;
}

/** Whether a text is one of the three modes of `--direct`. */
export function isDirectMode(value: string): value is DirectMode {
  return (DIRECT_MODES as readonly string[]).includes(value);
}

function isKey(key: string): key is Key {
  return (KEYS as readonly string[]).includes(key);
}

function specError(text: string, remedy: string): AionbdError {
  return new AionbdError('AIONBD_E_EXPORT_SPEC', `cannot use the export ${quote(text)}: ${remedy}`);
}

function nameError(name: string, remedy: string): AionbdError {
  return new AionbdError('AIONBD_E_EXPORT_NAME', `cannot use the export name ${quote(name)}: ${remedy}`);
}
