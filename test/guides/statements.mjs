// A block of shell commands as a reader types it: command by command, looking at each before going on to the next.

import { spawnSync } from 'node:child_process';

/**
 * The complete commands of a text, in their order: lines and what `;` separates in them, but no parts of loops, subshells,
 * quoted text and the like. So each has an exit code of its own, also `a && b`, after which a shell with -e goes on.
 *
 * @param {string} text
 * @returns {string[]}
 */
export function statements(text) {
  /** @type {string[]} */
  const found = [];
  let begun = '';
  for (const part of parts(text)) {
    begun += part;
    // A separator at the end belongs to what it ends, and is not there for a shell that looks whether anything is missing.
    const alone = begun.replace(/[;\n]$/, '');
    if (alone.trim() !== '' && isComplete(alone)) {
      found.push(alone);
      begun = '';
    }
  }
  if (begun.trim() !== '') found.push(begun);
  return found;
}

/** The text, cut behind each line and each `;` that may end a command; whether it does is for the shell to say. */
function* parts(text) {
  for (const line of text.split(/(?<=\n)/)) {
    const comment = line.search(/(^|\s)#/);
    const code = comment < 0 ? line : line.slice(0, comment);
    const pieces = code.split(/(?<=;)(?!;)/);
    const last = pieces.pop() + line.slice(code.length);
    yield* pieces;
    yield last;
  }
}

/** Whether nothing is missing at the end: a quote, the end of a loop or of a here document, the line after a backslash. */
function isComplete(text) {
  if (/(^|[^\\])(\\\\)*\\$/.test(text)) return false;
  const env = { ...process.env, LC_ALL: 'C' };
  const input = `${text}\n`;
  const { status, stderr } = spawnSync('bash', ['--norc', '-n'], { input, env, encoding: 'utf8' });
  return status === 0 && !stderr.includes('here-document');
}
