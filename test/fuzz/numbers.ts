// Names of the numbers on the wire, for fixtures: the specification's, not taken from src.

export const OPTIONS: Readonly<Record<string, number>> = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  PEEK_EXPORT: 4,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
};

export const COMMANDS: Readonly<Record<string, number>> = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
  RESIZE: 8,
};

export const COMMAND_FLAGS: Readonly<Record<string, number>> = {
  FUA: 1,
  NO_HOLE: 2,
  DF: 4,
  REQ_ONE: 8,
  FAST_ZERO: 16,
  PAYLOAD_LEN: 32,
};

/** The number by its name, or as it is written. */
export function numberOf(names: Readonly<Record<string, number>>, text: string): number {
  const value = Object.hasOwn(names, text) ? names[text]! : Number(text || Number.NaN);
  if (!Number.isInteger(value) || value < 0) throw new Error(`${text} is neither a number nor a name`);
  return value;
}

export function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}

export function flagsOf(text: string): number {
  return text.split('|').reduce((flags, name) => flags | numberOf(COMMAND_FLAGS, name), 0);
}

/** `FUA|0x100` */
export function printFlags(value: number): string {
  const names = Object.keys(COMMAND_FLAGS).filter((name) => (value & COMMAND_FLAGS[name]!) !== 0);
  const rest = value & ~0x3f;
  return [...names, ...(rest !== 0 ? [`0x${rest.toString(16)}`] : [])].join('|');
}
