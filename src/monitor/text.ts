import stringWidth from 'string-width';

/**
 * What a terminal might obey, hide or misplace: control characters, format characters (which turn the direction of
 * writing, or have no width), halves of surrogate pairs, private and unassigned ones, line and paragraph separators.
 */
const UNSHOWABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** A text from outside, such as an export's name, fit for a terminal: on one line, with nothing in it that does something. */
export function visible(text: string): string {
  return text.replace(UNSHOWABLE, escapeOf);
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0)!;
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** Columns that a text takes in a terminal; the text is {@link visible}. */
export function widthOf(text: string): number {
  // Nearly all of what is shown is plain, and a screen is measured once a second.
  return /^[\x20-\x7e]*$/.test(text) ? text.length : stringWidth(text);
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** The text in at most `columns`, with an ellipsis where something was cut off. */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return '';
  if (widthOf(text) <= columns) return text;
  let shown = '';
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    const more = widthOf(segment);
    if (width + more > columns - 1) break;
    shown += segment;
    width += more;
  }
  return `${shown}…`;
}

/** The text in exactly `columns`, cut or filled with blanks. */
export function fit(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const shown = cut(text, columns);
  const blanks = ' '.repeat(Math.max(columns - widthOf(shown), 0));
  return align === 'left' ? shown + blanks : blanks + shown;
}

const ASCII: Readonly<Record<string, string>> = Object.freeze({ µ: 'u', '…': '~', '·': '-', '×': 'x' });

/** For a terminal that shows ASCII alone: the same number of columns, with what can't be shown replaced. */
export function inAscii(text: string): string {
  let shown = '';
  for (const { segment } of graphemes.segment(text)) {
    const plain = /^[\x20-\x7e]*$/.test(segment);
    shown += plain ? segment : (ASCII[segment] ?? '?'.repeat(widthOf(segment)));
  }
  return shown;
}
