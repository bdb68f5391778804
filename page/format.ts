// Numbers for people.

/** Between a number and its unit, which belong on one line. */
const GAP = '\u00a0';
const UNIT_BEHIND_NUMBER = /(?<=\d) (?=(?:[KMGTP]iB|B|µs|ms|s|min|h|d|%)(?![\w%]))/g;

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const COUNT_UNITS = ['', 'k', 'M', 'G'];

function short(value: number): string {
  if (value === 0) return '0';
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value: number, base: number, units: readonly string[]): [string, string] {
  let power = 0;
  let rest = value;
  while (rest >= base * 0.9995 && power < units.length - 1) {
    rest /= base;
    power++;
  }
  return [power === 0 ? String(Math.round(rest)) : short(rest), units[power]!];
}

/** `1.50 GiB` */
export function bytes(value: number): string {
  return scaled(value, 1024, BYTE_UNITS).join(GAP);
}

/** `12.3k` */
export function count(value: number): string {
  return scaled(value, 1000, COUNT_UNITS).join('');
}

/** `85 µs`, `1.2 ms`; `–` for what nobody has measured. */
export function time(seconds: number | undefined): string {
  if (seconds === undefined || Number.isNaN(seconds)) return '–';
  if (seconds === Number.POSITIVE_INFINITY) return `>${GAP}33${GAP}s`;
  if (seconds < 1e-3) return `${short(seconds * 1e6)}${GAP}µs`;
  return seconds < 1 ? `${short(seconds * 1e3)}${GAP}ms` : `${short(seconds)}${GAP}s`;
}

/** How long ago something was, or has lasted: `3 s`, `12 min`, `5 h 20 min`, `3 d 4 h`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}${GAP}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}${GAP}min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? `${hours}${GAP}h ${minutes % 60}${GAP}min`
    : `${Math.floor(hours / 24)}${GAP}d ${hours % 24}${GAP}h`;
}

/** A text that others have made, with its numbers and their units on one line. */
export function glued(text: string): string {
  return text.replaceAll(UNIT_BEHIND_NUMBER, GAP);
}
