// A reader of Prometheus' text format, written from its description and not from any library: strict enough to fail
// where a scrape would.

export interface Family {
  readonly help: string;
  readonly type: string;
  /** Key: the labels as JSON, sorted by name; `{}` without labels. */
  readonly samples: Map<string, number>;
}

const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s;
/** What a histogram or summary adds to its name. */
const SUFFIX = /_(bucket|sum|count)$/;

/** @throws Error on anything that the format does not allow */
export function parseText(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  const helps = new Map<string, string>();
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment;
      if (kind === 'HELP') {
        helps.set(name, rest);
      } else {
        if (!/^(counter|gauge|histogram|summary|untyped)$/.test(rest)) throw new Error(`no type: ${line}`);
        if (families.has(name)) throw new Error(`twice: ${line}`);
        families.set(name, { help: helps.get(name) ?? '', type: rest, samples: new Map() });
      }
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    const [, name = '', labels = '', value = ''] = sample;
    const family = families.get(name) ?? families.get(name.replace(SUFFIX, ''));
    if (family === undefined) throw new Error(`no TYPE before: ${line}`);
    const key = (family === families.get(name) ? '' : `${name} `) + JSON.stringify(parseLabels(labels));
    if (family.samples.has(key)) throw new Error(`twice: ${line}`);
    family.samples.set(key, parseValue(value));
  }
  return families;
}

function parseLabels(text: string): Record<string, string> {
  const labels: [string, string][] = [];
  for (let rest = text; rest !== ''; ) {
    const label = LABEL.exec(rest);
    if (label === null) throw new Error(`no label: ${rest}`);
    const [all, name = '', value = ''] = label;
    labels.push([name, value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))]);
    rest = rest.slice(all.length);
  }
  return Object.fromEntries(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function parseValue(text: string): number {
  if (text === 'Nan' || text === 'NaN') return Number.NaN;
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  const value = Number(text);
  if (text === '' || Number.isNaN(value)) throw new Error(`no number: ${text}`);
  return value;
}
