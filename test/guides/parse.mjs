// A document as the steps that a reader takes: its blocks of code, in their order, with what the invisible comments in
// front of them say. README.md in this folder explains the comments.

import { Lexer } from 'marked';

/**
 * @typedef {object} Command
 * @property {string} text What is typed, perhaps over several lines.
 * @property {string[] | undefined} output The lines printed under it; undefined where the document shows none.
 *
 * @typedef {object} Step
 * @property {number} line Of the document, from 1: where the block or the comment begins.
 * @property {'shell' | 'background' | 'file' | 'node' | 'key' | 'said' | 'not run'} kind
 * @property {string} text The block without its indentation.
 * @property {Command[]} commands For `shell` and `background`.
 * @property {string} [until] For `background`: it is ready when it has printed this.
 * @property {string} [path] For `file`: where the block is to be put.
 * @property {string} [key] For `key`: what is pressed.
 * @property {string} [reason] For `not run`: why.
 * @property {'kernel' | 'clean clone'} [where] The only place where the step can be done; undefined: anywhere.
 */

const KEYS = new Map([
  ['Ctrl-C', '\x03'],
  ['q', 'q'],
]);

/** Comments that stand in front of a block. Each returns what it says, or undefined if it is none of its kind. */
const MARKERS = [
  { form: /^not run: (?<reason>\S.*)$/s, kind: 'not run' },
  { form: /^background until (?<until>\S.*)$/, kind: 'background' },
  { form: /^file (?<path>\S+)$/, kind: 'file' },
  { form: /^with node$/, kind: 'node' },
  { form: /^with the kernel's client$/, where: 'kernel' },
  { form: /^in a clean clone$/, where: 'clean clone' },
  { form: /^takes long: \S/, where: 'clean clone' },
];

/** What a document's own comment says before everything else, if it says so: all of it is followed there. */
const DOCUMENT_IN_UML = /^<!-- follow in User Mode Linux -->$/m;

/**
 * @param {string} markdown
 * @returns {{ uml: boolean, steps: Step[] }}
 * @throws {Error} if there is a block that is neither run nor says why not, or a comment that means nothing
 */
export function parse(markdown) {
  const lines = markdown.split('\n');
  /** @type {Step[]} */
  const steps = [];
  let at = 0;
  /** Moves on to the line that holds `text`, and returns its number, from 1. */
  const find = (text) => {
    const wanted = text.trim().split('\n')[0].trim();
    while (at < lines.length && !lines[at].includes(wanted)) at++;
    return ++at;
  };

  /** @type {{ line: number, text: string }[]} */
  let comments = [];
  for (const token of blocks(new Lexer().lex(markdown))) {
    if (token.type === 'html') {
      for (const [, text] of token.raw.matchAll(/<!--\s*(.*?)\s*-->/gs)) {
        const line = find(text);
        const key = /^press (\S+)$/.exec(text)?.[1];
        if (key !== undefined) steps.push(press(key, line));
        else if (text === 'type what it says')
          steps.push({ line, kind: 'said', text, commands: [], where: 'clean clone' });
        else comments.push({ line, text });
      }
    } else if (token.type === 'code') {
      const line = find(token.text);
      at += token.text.split('\n').length - 1;
      steps.push(step(token, line, comments));
      comments = [];
    } else if (token.type !== 'space') {
      comments = [];
    }
  }
  return { uml: DOCUMENT_IN_UML.test(markdown), steps };
}

/** All tokens that matter, also those in lists and quotations. */
function* blocks(tokens) {
  for (const token of tokens) {
    if (token.type === 'list') {
      for (const item of token.items) yield* blocks(item.tokens);
    } else if (token.type === 'blockquote') {
      yield* blocks(token.tokens);
    } else {
      yield token;
    }
  }
}

/** @returns {Step} */
function press(name, line) {
  const key = KEYS.get(name);
  if (key === undefined) {
    throw new Error(`line ${line}: unknown key ${name}; there are ${[...KEYS.keys()].join(' and ')}`);
  }
  return { line, kind: 'key', text: name, commands: [], key };
}

/** @returns {Step} */
function step({ lang, text }, line, comments) {
  const said = comments.map(({ line, text }) => ({ line, ...read(text, line) }));
  const kinds = said.filter(({ kind }) => kind !== undefined);
  if (kinds.length > 1) {
    throw new Error(`line ${line}: two comments about one block`);
  }
  const where = said.find(({ where }) => where !== undefined)?.where;
  const [{ kind = 'shell', ...rest } = {}] = kinds;
  const made = { ...rest, line, kind, text, commands: [], ...(where && { where }) };
  if (kind === 'shell' || kind === 'background') {
    made.commands = commandsOf(lang, text, line);
  }
  if (kind === 'background' && (made.commands.length > 1 || /\n\s*\n/.test(made.commands[0].text))) {
    throw new Error(`line ${line}: a block in the background has one command`);
  }
  return made;
}

function read(text, line) {
  for (const { form, kind, where } of MARKERS) {
    const match = form.exec(text);
    if (match !== null) {
      return { kind, where, ...match.groups };
    }
  }
  throw new Error(`line ${line}: a comment in front of a block says nothing that is known: ${text}`);
}

/** @returns {Command[]} */
function commandsOf(lang = 'sh', text, line) {
  switch (lang || 'sh') {
    case 'sh':
      return [{ text, output: undefined }];
    case 'console':
      return transcript(text, line);
    default:
      throw new Error(
        `line ${line}: a block of ${lang} has to say in a comment what becomes of it: file PATH, with node, not run: REASON`,
      );
  }
}

/** What was typed and printed: `$ command`, continued after a backslash at the end of the line, and its output. */
function transcript(text, line) {
  /** @type {Command[]} */
  const commands = [];
  let continued = false;
  for (const each of text.split('\n')) {
    const last = commands.at(-1);
    if (continued) {
      last.text += `\n${each}`;
    } else if (each.startsWith('$ ')) {
      commands.push({ text: each.slice(2), output: [] });
    } else if (last === undefined) {
      throw new Error(`line ${line}: a console block begins with "$ " and a command`);
    } else {
      last.output.push(each);
      continue;
    }
    continued = each.endsWith('\\');
  }
  return commands;
}
