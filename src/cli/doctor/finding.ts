/** `problem`: something will not work. `note`: it will, and could be better. */
export type Grade = 'ok' | 'note' | 'problem';

/** One thing that was looked at. */
export interface Finding {
  readonly grade: Grade;
  /** What it is about, in a word or two. */
  readonly about: string;
  /** What was found, with the values. */
  readonly found: string;
  /** What to do about it; undefined where nothing is to be done. */
  readonly advice?: string;
}

export const ok = (about: string, found: string): Finding => ({ grade: 'ok', about, found });

export const note = (about: string, found: string, advice: string): Finding => ({
  grade: 'note',
  about,
  found,
  advice,
});

export const problem = (about: string, found: string, advice: string): Finding => ({
  grade: 'problem',
  about,
  found,
  advice,
});

const MARKS: Readonly<Record<Grade, string>> = { ok: 'ok', note: 'note', problem: 'PROBLEM' };

/** The findings as lines: aligned, with the advice below what it is about. */
export function findingLines(findings: readonly Finding[]): string[] {
  const width = Math.max(0, ...findings.map(({ about }) => about.length));
  return findings.flatMap(({ grade, about, found, advice }) => {
    const mark = MARKS[grade].padEnd(7);
    const line = `${mark}  ${about.padEnd(width)}  ${found}`;
    return advice === undefined ? [line] : [line, `${' '.repeat(width + 11)}-> ${advice}`];
  });
}
