import { CREATE_OPTIONS, SERVE_OPTIONS, STATUS_OPTIONS } from './options.js';

interface Flag {
  readonly type: string;
  readonly alias?: string;
  readonly requiresArg?: boolean;
  readonly choices?: readonly string[];
}

/** Words that stand for themselves among the values of flags that may also be numbers or addresses. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'busy-poll': ['auto', 'off'],
  metrics: ['off'],
  'slow-request': ['off'],
};

/** Their arguments are files. */
const WITH_FILES: readonly string[] = ['serve', 'create', 'doctor'];

/**
 * What may stand for the last of `words`, the first of which is the command's own name, where that is a value: of a flag, or an argument.
 * An empty list leaves it to the shell, which offers files. Undefined where it is the name of a command or a flag: yargs knows those.
 *
 * @param words as the shell has cut them: bash makes three of `--direct=on`, zsh one
 */
export function completeValue(words: readonly string[]): readonly string[] | undefined {
  const current = words.at(-1) ?? '';
  const before = words.slice(1, -1);
  const [command] = before;
  if (command === undefined) return undefined;
  if (before.includes('--')) return [];
  const last = before.at(-1) === '=' ? before.at(-2) : before.at(-1);
  const values = valuesOf(last ?? '');
  if (values !== undefined) return values;
  const [flag, given] = current.split('=', 2);
  if (flag !== undefined && given !== undefined) return valuesOf(flag)?.map((value) => `${flag}=${value}`);
  return current.startsWith('-') || !WITH_FILES.includes(command) ? undefined : [];
}

/** Undefined if the word is no flag that has a value. */
function valuesOf(word: string): readonly string[] | undefined {
  const name = /^--?([^=]+)$/.exec(word)?.[1];
  if (name === undefined) return undefined;
  const all: Readonly<Record<string, Flag>> = { ...SERVE_OPTIONS, ...CREATE_OPTIONS, ...STATUS_OPTIONS };
  for (const [flag, { alias, requiresArg, choices }] of Object.entries(all)) {
    if (requiresArg && (flag === name || alias === name)) return choices ?? WORDS[flag] ?? [];
  }
  return undefined;
}

/** Whether yargs offers it with reason: it has a letter that stands for a flag with two dashes, too, which nobody writes. */
export function isOffer(offered: string): boolean {
  return !/^--[a-z](:|$)/.test(offered);
}
