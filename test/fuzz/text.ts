// Fixtures: a case as text, one step a line, `#` before what is for people. README.md lists the steps.

import { MODES, type Mode } from '../transmission/wire.js';
import { type Blob, parseBlob, printBlob } from './blob.js';
import type { FuzzCase, OptionData, OptionStep, RequestStep, Step } from './case.js';
import { COMMANDS, flagsOf, nameOf, numberOf, OPTIONS, printFlags } from './numbers.js';

/** Throws for a line that it does not know, with its number. */
export function parseCase(text: string): FuzzCase {
  const settings: Record<string, string> = {};
  const steps: Step[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    const words = line.match(/(?:"(?:[^"\\]|\\.)*"|[^\s"])+/g) ?? [];
    if (words.length === 0 || words[0]!.startsWith('#')) continue;
    try {
      if (words[0] === 'setting') Object.assign(settings, Object.fromEntries(pairs(words.slice(1))));
      else steps.push(parseStep(words));
    } catch (error) {
      throw new Error(`line ${at + 1}, "${line.slice(0, 100)}": ${(error as Error).message}`);
    }
  }
  return { settings, steps };
}

export function printCase({ settings, steps }: FuzzCase): string {
  const lines = Object.entries(settings).map(([name, value]) => `setting ${name}=${value}`);
  return [...lines, ...steps.map(printStep), ''].join('\n');
}

// ---- from text

function parseStep([verb, ...rest]: readonly string[]): Step {
  switch (verb) {
    case 'flags':
      return { kind: 'flags', value: whole(rest[0]) };
    case 'option':
      return parseOption(rest);
    case 'request':
      return parseRequest(rest);
    case 'bytes':
      return { kind: 'bytes', bytes: parseBlob(rest.join('+')) };
    case 'peer':
      return parsePeer(rest);
    case 'split':
    case 'leave':
    case 'resume':
    case 'stop':
      return { kind: verb };
    case 'wait':
      return { kind: 'wait', count: whole(rest[0] ?? '0') };
    case 'stall':
      return { kind: 'stall', bytes: whole(rest[0] ?? '0') };
    case 'tick':
      return { kind: 'tick', ms: whole(rest[0]) };
    default:
      throw new Error(`there is no step "${verb}"`);
  }
}

function parseOption([name = '', ...rest]: readonly string[]): OptionStep {
  const fields = pairs(rest);
  const length = fields.get('length');
  return {
    kind: 'option',
    option: numberOf(OPTIONS, name),
    data: parseData(fields),
    ...(length === undefined ? {} : { length: whole(length) }),
  };
}

function parseData(fields: ReadonlyMap<string, string>): OptionData {
  const lies = {
    ...(fields.has('nameLength') ? { nameLength: whole(fields.get('nameLength')) } : {}),
    ...(fields.has('count') ? { count: whole(fields.get('count')) } : {}),
  };
  const name = parseBlob(fields.get('name') ?? '""');
  if (fields.has('info')) return { kind: 'info', name, info: items(fields.get('info')!).map(whole), ...lies };
  if (fields.has('queries'))
    return { kind: 'meta', name, queries: items(fields.get('queries')!).map(parseBlob), ...lies };
  if (fields.has('name')) throw new Error('a name goes with info=[] or queries=[]');
  return { kind: 'raw', bytes: parseBlob(fields.get('data') ?? '""') };
}

function parseRequest([name = '', ...rest]: readonly string[]): RequestStep {
  const bare = rest.includes('bare');
  const fields = pairs(rest.filter((word) => word !== 'bare'));
  const payload = fields.get('payload');
  const ids = fields.get('ids');
  const cookie = fields.get('cookie');
  const length = fields.get('length');
  const magic = fields.get('magic');
  return {
    kind: 'request',
    type: numberOf(COMMANDS, name),
    flags: flagsOf(fields.get('flags') ?? '0'),
    offset: large(fields.get('offset') ?? '0'),
    ...(cookie === undefined ? {} : { cookie: large(cookie) }),
    ...(length === undefined ? {} : { length: large(length) }),
    ...(payload === undefined ? {} : { payload: parseBlob(payload) }),
    ...(ids === undefined
      ? {}
      : { status: { range: large(fields.get('range') ?? '0'), ids: items(ids).map(whole) } }),
    ...(bare ? { bare } : {}),
    ...(magic === undefined ? {} : { magic: whole(magic) }),
  };
}

function parsePeer([number, ...rest]: readonly string[]): Step {
  const fields = pairs(rest);
  const replies = fields.get('replies');
  const contexts = fields.get('contexts');
  if (replies !== undefined && !MODES.includes(replies as Mode))
    throw new Error(`there is no mode ${replies}`);
  return {
    kind: 'peer',
    peer: whole(number),
    ...(replies === undefined ? {} : { replies: replies as Mode }),
    ...(contexts === undefined ? {} : { contexts: items(contexts).map(whole) }),
  };
}

function pairs(words: readonly string[]): Map<string, string> {
  return new Map(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at < 1) throw new Error(`"${word}" is not of the form name=value`);
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}

/** `[a,b]`; a comma inside of quotes does not separate. */
function items(text: string): string[] {
  if (!text.startsWith('[') || !text.endsWith(']')) throw new Error(`${text} is not a list in brackets`);
  return text.slice(1, -1).match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [];
}

function whole(text: string | undefined): number {
  const value = Number(text || Number.NaN);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${text} is not a whole number`);
  return value;
}

function large(text: string): bigint {
  return BigInt.asUintN(64, BigInt(text));
}

// ---- to text

export function printStep(step: Step): string {
  switch (step.kind) {
    case 'flags':
      return `flags ${step.value}`;
    case 'option':
      return line('option', nameOf(OPTIONS, step.option), ...dataWords(step.data), ...given(step, 'length'));
    case 'request':
      return printRequest(step);
    case 'bytes':
      return line('bytes', printBlob(step.bytes));
    case 'peer': {
      const contexts = step.contexts === undefined ? [] : [`contexts=[${step.contexts.join(',')}]`];
      return line('peer', String(step.peer), ...given(step, 'replies'), ...contexts);
    }
    case 'wait':
      return step.count === 0 ? 'wait' : `wait ${step.count}`;
    case 'stall':
      return `stall ${step.bytes}`;
    case 'tick':
      return `tick ${step.ms}`;
    default:
      return step.kind;
  }
}

function dataWords(data: OptionData): string[] {
  if (data.kind === 'raw') return data.bytes.length === 0 ? [] : [`data=${printBlob(data.bytes)}`];
  const list = data.kind === 'info' ? `info=[${data.info.join(',')}]` : `queries=${printList(data.queries)}`;
  return [`name=${printBlob(data.name)}`, list, ...given(data, 'nameLength'), ...given(data, 'count')];
}

function printRequest(step: RequestStep): string {
  const { type, flags, cookie, payload, status, bare, magic } = step;
  return line(
    'request',
    nameOf(COMMANDS, type),
    ...(flags === 0 ? [] : [`flags=${printFlags(flags)}`]),
    `offset=${printLarge(step.offset)}`,
    ...(step.length === undefined ? [] : [`length=${printLarge(step.length)}`]),
    ...(cookie === undefined ? [] : [`cookie=0x${cookie.toString(16)}`]),
    ...(payload === undefined ? [] : [`payload=${printBlob(payload)}`]),
    ...(status === undefined ? [] : [`range=${printLarge(status.range)}`, `ids=[${status.ids.join(',')}]`]),
    ...(bare ? ['bare'] : []),
    ...(magic === undefined ? [] : [`magic=0x${magic.toString(16)}`]),
  );
}

function printList(blobs: readonly Blob[]): string {
  return `[${blobs.map(printBlob).join(',')}]`;
}

/** Large numbers are near to powers of two, which only hexadecimal shows. */
function printLarge(value: bigint): string {
  return value < 0x1_0000_0000n ? String(value) : `0x${value.toString(16)}`;
}

function given<T extends object>(from: T, key: keyof T & string): string[] {
  return from[key] === undefined ? [] : [`${key}=${String(from[key])}`];
}

function line(...words: readonly string[]): string {
  return words.join(' ');
}
