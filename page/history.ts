// The last five minutes, for charts.

import { IDLE, type Interval, type Rates } from './rates.js';

export const HISTORY_SECONDS = 300;
/** Where nothing came for longer than this the lines are broken, seconds. */
const LONGEST_SECONDS = 5;

const FIELDS = ['readBytes', 'writeBytes', 'readRequests', 'writeRequests', 'p50', 'p99'] as const;
export type Field = (typeof FIELDS)[number];
type Line = (number | null)[];

/**
 * Rates of each second, of the whole and of each export that has been used. The whole has the times; an export's lines begin
 * when it is first used, and what is not there yet was nothing.
 */
export class History {
  /** Seconds since 1970. */
  readonly times: number[] = [];
  readonly #all = new Lines();
  readonly #exports = new Map<string, Lines>();

  /** `interval` is undefined for a time of which nothing is known: a gap. */
  add(timeMs: number, interval: Interval | undefined): void {
    const seconds = timeMs / 1000;
    const { times } = this;
    if (times.length > 0 && seconds <= times.at(-1)!) return;
    const last = times.at(-1);
    if (last !== undefined && seconds - last > LONGEST_SECONDS) this.#push(last + 1, undefined);
    this.#push(seconds, interval);
    while (times.length > HISTORY_SECONDS || seconds - times[0]! > HISTORY_SECONDS) {
      times.shift();
      this.#all.shift();
      for (const lines of this.#exports.values()) lines.shift();
    }
  }

  #push(seconds: number, interval: Interval | undefined): void {
    const { times } = this;
    times.push(seconds);
    this.#all.add(interval?.all);
    for (const [name, rates] of interval?.exports ?? []) {
      if (!this.#exports.has(name) && rates.requests > 0)
        this.#exports.set(name, new Lines(times.length - 1));
    }
    for (const [name, lines] of this.#exports) lines.add(interval && (interval.exports.get(name) ?? IDLE));
  }

  /** Of the export, or the whole for the empty name. */
  line(scope: string | undefined, field: Field): Line {
    const lines = scope === undefined ? this.#all : this.#exports.get(scope);
    return lines?.of[field] ?? this.times.map(() => (field.startsWith('p') ? null : 0));
  }
}

class Lines {
  readonly of: Record<Field, Line>;

  constructor(before = 0) {
    this.of = Object.fromEntries(
      FIELDS.map((field) => [field, new Array(before).fill(field.startsWith('p') ? null : 0)]),
    ) as Record<Field, Line>;
  }

  add(rates: Rates | undefined): void {
    for (const field of FIELDS) {
      const value = rates?.[field];
      this.of[field].push(value !== undefined && Number.isFinite(value) ? value : null);
    }
  }

  shift(): void {
    for (const field of FIELDS) this.of[field].shift();
  }
}
