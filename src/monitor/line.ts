import { cut, inAscii, widthOf } from './text.js';

/** How a piece of a line looks where there is colour; without it, the words alone have to tell. */
export type Tone = 'plain' | 'strong' | 'faint' | 'good' | 'warning' | 'bad' | 'title' | 'heading';

export interface Span {
  /** {@link visible}, if it comes from outside. */
  readonly text: string;
  readonly tone: Tone;
}

export type Line = readonly Span[];

export interface Paint {
  readonly colour: boolean;
  /** Whether the terminal shows more than ASCII. */
  readonly unicode: boolean;
}

const SELECT: Readonly<Record<Tone, string>> = Object.freeze({
  plain: '',
  strong: '1',
  faint: '2',
  good: '32',
  warning: '33',
  bad: '1;31',
  title: '1;36',
  heading: '7',
});

export function span(text: string, tone: Tone = 'plain'): Span {
  return { text, tone };
}

/** A line as it goes to the terminal, at most `width` columns wide. A heading goes on to the right edge. */
export function paint(line: Line, width: number, { colour, unicode }: Paint): string {
  let left = width;
  let painted = '';
  for (const { text, tone } of line) {
    const shown = cut(text, left);
    left -= widthOf(shown);
    const code = colour ? SELECT[tone] : '';
    const plain = unicode ? shown : inAscii(shown);
    painted += code === '' || plain === '' ? plain : `\x1b[${code}m${plain}\x1b[0m`;
    if (left <= 0) break;
  }
  return painted;
}
