/** Numbers for people, short enough for a column. */

const BINARY = ['', 'K', 'M', 'G', 'T', 'P'] as const;
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** `0`, `999`, `1.2k`, `229k`, `3.4M`: at most 5 characters up to 10^18. */
export function count(value: number): string {
  return scaled(value, 1000, DECIMAL, 0);
}

/** Events a second: as {@link count}, with `0.4` where `0` would hide that there are some. */
export function rate(value: number): string {
  return value > 0 && value < 9.95 ? small(value) : count(value);
}

/** `0`, `512`, `1.5K`, `10G`: in units of 1024, as the sizes of the command line. */
export function size(bytes: number): string {
  return scaled(bytes, 1024, BINARY, 0);
}

/** Bytes a second in MiB/s: `0`, `0.04`, `3.2`, `482`, `2970`. */
export function mebibytes(bytesPerSecond: number): string {
  const value = bytesPerSecond / (1024 * 1024);
  if (value === 0) return '0';
  if (value < 0.005) return '<0.01';
  if (value < 0.995) return value.toFixed(2);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

/** `-` where there was nothing to measure, `850ns`, `84µs`, `1.2ms`, `45ms`, `3.1s`, `12m`. */
export function latency(seconds: number | undefined): string {
  if (seconds === undefined) return '-';
  if (seconds >= 99.5) return `${Math.round(seconds / 60)}m`;
  if (seconds >= 0.9995) return `${small(seconds)}s`;
  if (seconds >= 0.9995e-3) return `${small(seconds * 1e3)}ms`;
  if (seconds >= 0.9995e-6) return `${small(seconds * 1e6)}µs`;
  return `${Math.round(seconds * 1e9)}ns`;
}

/** How long something has lasted: `5s`, `3m 20s`, `4h 5m`, `12d 3h`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(Math.floor(milliseconds / 1000), 0);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) return `${days}d ${hours % 24}h`;
  if (hours > 0) return `${hours}h ${minutes % 60}m`;
  if (minutes > 0) return `${minutes}m ${seconds % 60}s`;
  return `${seconds}s`;
}

/** `12%`; `-` of nothing. */
export function percent(part: number | undefined, whole: number | undefined): string {
  if (part === undefined || whole === undefined || whole <= 0) return '-';
  return `${Math.round((100 * part) / whole)}%`;
}

function scaled(value: number, step: number, units: readonly string[], unit: number): string {
  const last = unit === units.length - 1;
  if (unit === 0 && value < 999.5) return String(Math.round(value));
  if (!last && value >= 999.5) return scaled(value / step, step, units, unit + 1);
  return `${small(value)}${units[unit]}`;
}

/** Two digits where the number is that small, no decimals beyond. */
function small(value: number): string {
  const text = value < 9.95 ? value.toFixed(1) : value.toFixed(0);
  return text.endsWith('.0') ? text.slice(0, -2) : text;
}
