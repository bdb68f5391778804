// Whether a program has printed what the document says it prints.

/** In the document: any text within a line, also none; and alone on its line: any lines, also none. */
const ANYTHING = '…';

/** Times of day differ each time: one stands for all others of its form. */
const TIME = /\d\d:\d\d:\d\d(?:\.\d{3})?/g;

/**
 * Compares what was printed with what the document shows.
 *
 * @param {readonly string[]} expected Lines of the document.
 * @param {readonly string[]} printed Lines that were printed.
 * @param {{ prefix?: boolean }} options With `prefix`, more may have been printed afterwards.
 * @returns {string | undefined} what differs; undefined if nothing does
 */
export function difference(expected, printed, { prefix = false } = {}) {
  return walk(trimmed(expected), trimmed(printed), 0, 0, prefix)
    ? undefined
    : ['as printed in the document:', ...expected.map(quote), 'what came:', ...printed.map(quote)].join('\n');
}

/** Without the empty lines at the end, which nobody sees. */
const trimmed = (lines) => lines.slice(0, lines.findLastIndex((line) => line.trim() !== '') + 1);

const quote = (line) => `  | ${line}`;

function walk(expected, printed, e, p, prefix) {
  if (e === expected.length) {
    return prefix || p === printed.length;
  }
  if (expected[e].trim() === ANYTHING) {
    for (let next = p; next <= printed.length; next++) {
      if (walk(expected, printed, e + 1, next, prefix)) return true;
    }
    return false;
  }
  return (
    p < printed.length &&
    line(expected[e]).test(printed[p].trimEnd()) &&
    walk(expected, printed, e + 1, p + 1, prefix)
  );
}

/** The form of all lines that are the same but for what varies. */
function line(text) {
  const escaped = text.trimEnd().replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  return new RegExp(
    `^${escaped.replace(/\d\d:\d\d:\d\d(?:\\\.\d{3})?/g, TIME.source).replaceAll(ANYTHING, '.*')}$`,
  );
}

/** Printed text as lines, as a terminal would show it without colours. */
export function linesOf(text) {
  const plain = text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is taken out
    .replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
    .replaceAll('\r\n', '\n');
  const lines = plain.split('\n').map((each) => each.split('\r').findLast((part) => part !== '') ?? '');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
