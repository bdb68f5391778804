#!/usr/bin/env node
// Follows a document literally: does what its blocks say, in their order, and reports a line for each.
//
//   node test/guides/follow.mjs DOCUMENT --report FILE --files FOLDER [--can kernel] [--can clean-clone]
//
// It works in the current directory. FOLDER is for its own files. The report has lines `ok - …`, `not ok - …` (with what went wrong below,
// behind `# `) and `left out - …`, and `done` at the end. What a step needs that this place cannot do is left out; the
// first failure ends it, since what follows would build on it. README.md in this folder has the comments that steer it.

import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { difference, linesOf } from './match.mjs';
import { parse } from './parse.mjs';
import { Shell, Terminal } from './terminal.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    report: { type: 'string' },
    files: { type: 'string' },
    can: { type: 'string', multiple: true, default: [] },
  },
});
const [path] = positionals;
const can = new Set(values.can.map((what) => what.replace('-', ' ')));
const name = basename(path);
const shell = new Shell(values.files, process.cwd());
/** Programs that go on, the latest last; undefined for one that was left out. */
const running = [];
let files = 0;

const say = (line) => appendFileSync(values.report, `${line}\n`);

/** @returns {Promise<string | undefined>} what went wrong */
async function take(step) {
  switch (step.kind) {
    case 'shell':
      return typeAll(step.commands);
    case 'node': {
      // Beside the source's package.json, so that the package finds itself by its name.
      const file = `guide-${++files}.mjs`;
      writeFileSync(join(shell.cwd, file), step.text);
      return typeAll([{ text: `node ${file}`, output: undefined }]);
    }
    case 'file': {
      const file = step.path.startsWith('/') ? step.path : join(shell.cwd, step.path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `${step.text}\n`);
      return undefined;
    }
    case 'background':
      return start(step);
    case 'key':
      return press(step);
    case 'said':
      return typeAll(said(linesOf(running.at(-1)?.terminal.printed ?? '')));
  }
}

async function typeAll(commands) {
  for (const { text, output } of commands) {
    const { printed, ok, failed } = await shell.type(text);
    if (!ok) return `it failed: ${failed}\n${printed}`;
    const wrong = output && difference(output, linesOf(printed));
    if (wrong) return `${text}\n${wrong}`;
  }
}

/** What `npm start` says to type next: lines with two spaces in front; behind "as root" those for the kernel's client. */
function said(lines) {
  const from = lines.findIndex((line) => line.includes('In another terminal:'));
  const kernel = lines.findIndex((line) => line.includes('as root'));
  const commands = lines
    .slice(from + 1, can.has('kernel') ? undefined : kernel)
    .filter((line) => /^ {2}\S/.test(line))
    .map((line) => ({ text: line.trim(), output: undefined }));
  return from < 0 || kernel < from || commands.length === 0
    ? [{ text: 'echo nothing is said to be typed; false', output: undefined }]
    : commands;
}

async function start({ commands: [{ text, output = [] }], until }) {
  const file = join(values.files, `background-${++files}`);
  writeFileSync(file, `${text}\n`);
  const terminal = new Terminal(file, shell.cwd);
  running.push({ terminal, text });
  const isShown = (printed) => difference(output, linesOf(printed), { prefix: true }) === undefined;
  const isReady = (printed) => linesOf(printed).join('\n').includes(until) && isShown(printed);
  if (!(await terminal.until(isReady))) {
    const { printed, code } = terminal;
    const end = code === undefined ? 'it runs' : `it has ended with ${code}`;
    return isShown(printed)
      ? `it has not printed ${until}; ${end}\n${printed}`
      : `${end}\n${difference(output, linesOf(printed), { prefix: true })}`;
  }
}

async function press({ key, text: name }) {
  if (running.length === 0) return 'there is no program that runs';
  const last = running.pop();
  if (last === undefined) return;
  const { terminal, text } = last;
  if (terminal.code !== undefined)
    return `it has ended by itself, with ${terminal.code}: ${text}\n${terminal.printed}`;
  const ended = await terminal.press(key);
  if (!ended) terminal.close();
  // npm leaves with 130 at Ctrl-C, whatever the program that it has started ends with.
  const well = terminal.code === 0 || (terminal.code === 130 && text.includes('npm start'));
  if (!ended || !well) {
    return `${text}: ${ended ? `ended with ${terminal.code}` : 'has not ended'} after ${name}\n${terminal.printed}`;
  }
}

/** Why a step is left out here; undefined if it is not. */
function leftOut({ kind, where, reason }) {
  if (kind === 'not run') return reason.replaceAll(/\s+/g, ' ');
  if (where !== undefined && !can.has(where)) return `only ${where}`;
  if (kind === 'key' && running.length > 0 && running.at(-1) === undefined) return 'so is its program';
}

const title = ({ line, kind, text, path: file }) => {
  const [first] = text.trim().split('\n');
  const what = { key: `press ${text}`, file: `the file ${file}` }[kind] ?? first;
  return `${name}:${line} ${what}`;
};

let failed = false;
for (const step of parse(readFileSync(path, 'utf8')).steps) {
  const reason = leftOut(step);
  if (reason !== undefined) {
    if (step.kind === 'background') running.push(undefined);
    if (step.kind === 'key') running.pop();
    say(`left out - ${title(step)}: ${reason}`);
    continue;
  }
  const began = Date.now();
  const wrong = await take(step);
  if (process.env.GUIDES_TIMES) say(`# ${Date.now() - began} ms`);
  say(`${wrong === undefined ? 'ok' : 'not ok'} - ${title(step)}`);
  if (wrong !== undefined) {
    for (const line of wrong.split('\n')) say(`# ${line}`);
    for (const { terminal, text } of running.filter(Boolean)) {
      for (const line of linesOf(`meanwhile: ${text}\n${terminal.printed}`)) say(`# ${line}`);
    }
    failed = true;
    break;
  }
}
while (running.length > 0 && !failed) {
  if (running.at(-1) === undefined) {
    running.pop();
    continue;
  }
  const { text } = running.at(-1);
  const wrong = await press({ key: '\x03', text: 'Ctrl-C' });
  say(`${wrong === undefined ? 'ok' : 'not ok'} - ${name} at the end, Ctrl-C ends ${text.split('\n')[0]}`);
  for (const line of wrong?.split('\n') ?? []) say(`# ${line}`);
}
shell.close();
for (const { terminal } of running.filter(Boolean)) terminal.close();
say('done');
