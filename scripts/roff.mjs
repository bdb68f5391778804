// From Markdown to a manual page: as much of Markdown as docs/cli.md uses, in the macros of man(7). What it does not know is an error,
// so that nothing of a page gets lost.

import { marked } from 'marked';

/** Sections for `#` headings: `##` becomes .SH, `###` .SS. Text before the first `##` is left out. */
export function sections(markdown) {
  const tokens = marked.lexer(markdown);
  const first = tokens.findIndex(({ type, depth }) => type === 'heading' && depth === 2);
  return tokens
    .slice(first === -1 ? 0 : first)
    .map(block)
    .join('');
}

/** The first block of code: in docs/cli.md, how each command is called. */
export function synopsis(markdown) {
  const { text } = marked.lexer(markdown).find(({ type }) => type === 'code');
  return text.split('\n');
}

function block(token) {
  switch (token.type) {
    case 'heading':
      return heading(token);
    case 'paragraph':
      return `.PP\n${lines(inline(token.tokens))}\n`;
    case 'code':
      return `.PP\n.RS 4\n.EX\n${token.text.split('\n').map(literal).map(safe).join('\n')}\n.EE\n.RE\n`;
    case 'list':
      return token.items
        .map((item) => `.IP \\(bu 2\n${lines(inline(item.tokens.flatMap(({ tokens }) => tokens)))}\n`)
        .join('');
    case 'table':
      return token.rows.map((row) => tableRow(row, token.header)).join('');
    case 'space':
      return '';
    case 'html':
      return withoutComment(token);
    default:
      throw new Error(`no rule for ${token.type} in a manual page: ${token.raw}`);
  }
}

/** Comments are for programs that read the document. */
function withoutComment({ raw }) {
  if (/^<!--[\s\S]*-->\s*$/.test(raw)) return '';
  throw new Error(`no rule for HTML in a manual page: ${raw}`);
}

/** Sections are in capitals, as manual pages have them, but for those that are named by a command. */
function heading({ depth, text, tokens }) {
  const title = inline(tokens).replaceAll('"', '\\(dq');
  if (depth > 2) return `.SS "${title}"\n`;
  return `.SH "${text.startsWith('aionbd ') ? title : title.toUpperCase()}"\n`;
}

/** The first cell is the term; of a table with three the middle one is told behind the text, under its heading. */
function tableRow(cells, header) {
  const [term, ...rest] = cells.map(({ tokens }) => inline(tokens));
  const text = rest.at(-1) ?? '';
  const named = rest.slice(0, -1).flatMap((cell, i) => {
    const title = inline(header[i + 1].tokens);
    return cell === '' ? [] : [` ${title}: ${cell}.`];
  });
  return `.TP\n${safe(term)}\n${lines(`${text}${named.join('')}`)}\n`;
}

function inline(tokens) {
  return tokens
    .map((token) => {
      switch (token.type) {
        case 'text':
        case 'escape':
          return token.tokens === undefined ? prose(decoded(token.text)) : inline(token.tokens);
        case 'codespan':
          return bold(literal(decoded(token.text)));
        case 'strong':
          return bold(inline(token.tokens));
        case 'em':
          return `\\fI${inline(token.tokens)}\\fR`;
        case 'link':
          return /^https?:/.test(token.href)
            ? `${inline(token.tokens)} (${literal(token.href)})`
            : inline(token.tokens);
        default:
          throw new Error(`no rule for ${token.type} in a manual page: ${token.raw}`);
      }
    })
    .join('');
}

const bold = (text) => `\\fB${text}\\fR`;

const decoded = (text) =>
  text.replace(
    /&(amp|lt|gt|quot|#39);/g,
    (_, name) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" })[name],
  );

/** Text that stays as it is typed: a hyphen must not become a dash, nor a quote a typographic one. */
export const literal = (text) =>
  prose(text)
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti');

/** Characters beyond ASCII by their number, which every troff knows. */
const prose = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replace(
      /[^\0-\x7f]/gu,
      (char) => `\\[u${char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );

/** A line that begins with a dot or a quote would be a command to troff. */
const safe = (line) => line.replace(/^(?=[.'])/, '\\&');

const lines = (text) =>
  text
    .trim()
    .split('\n')
    .map((line) => safe(line.trim()))
    .join('\n');
