/** Names of numbers on the wire, for messages and logs only: nothing decides by them. */

/** Index is the option's number; 0 is not assigned. */
const OPTION_NAMES: readonly (string | undefined)[] = Object.freeze([
  undefined,
  'EXPORT_NAME',
  'ABORT',
  'LIST',
  'PEEK_EXPORT',
  'STARTTLS',
  'INFO',
  'GO',
  'STRUCTURED_REPLY',
  'LIST_META_CONTEXT',
  'SET_META_CONTEXT',
  'EXTENDED_HEADERS',
]);

/** Index is the command's number. */
const COMMAND_NAMES: readonly string[] = Object.freeze([
  'READ',
  'WRITE',
  'DISC',
  'FLUSH',
  'TRIM',
  'CACHE',
  'WRITE_ZEROES',
  'BLOCK_STATUS',
  'RESIZE',
]);

/** `LIST`, or `option 77`. */
export function optionName(option: number): string {
  return OPTION_NAMES[option] ?? `option ${option}`;
}

/** `WRITE_ZEROES`, or `command 77`. */
export function commandName(command: number): string {
  return COMMAND_NAMES[command] ?? `command ${command}`;
}
