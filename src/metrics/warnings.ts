import type { ConnectionSnapshot, ExportSnapshot, ServerSnapshot, Warning } from './snapshot.js';

/** A filesystem is nearly full with less than this share free, or less than so many bytes while a sparse file may still grow by more. */
export const NEARLY_FULL_SHARE = 0.05;
const NEARLY_FULL_BYTES = 1024 ** 3;
/** Rates are of a window of at least this, if the server is that old. */
export const WINDOW_MS = 60_000;
/** A client that moves more than this over one connection, and keeps it this busy, would gain by several. */
export const BUSY_BYTES_PER_SECOND = 200e6;
export const BUSY_IN_FLIGHT = 8;
/** Of all reads and writes, and at least so many in the window. */
const MANY_FIXES_SHARE = 0.1;
const MANY_FIXES = 100;
const MANY_HANDSHAKE_FAILURES = 5;
const LONG_LAG_SECONDS = 0.1;

/** Clients end handshakes in these ways without anything being wrong, or there is nothing to be done about it. */
const HARMLESS_FAILURES: ReadonlySet<string> = new Set(['closed', 'abort', 'server_stopping']);

/** What of an older snapshot is compared. Histograms of a thousand exports, which are most of one, are not. */
export type Sample = Pick<ServerSnapshot, 'takenAtMs' | 'connections' | 'reactors' | 'handshakeFailures'> & {
  readonly exports: ReadonlyMap<string, { readonly alignmentFixes: number; readonly dataRequests: number }>;
};

export function sampleOf(snapshot: ServerSnapshot): Sample {
  const { takenAtMs, connections, reactors, handshakeFailures, exports } = snapshot;
  const kept = exports.map(
    (target) =>
      [target.name, { alignmentFixes: target.alignmentFixes, dataRequests: dataRequests(target) }] as const,
  );
  return { takenAtMs, connections, reactors, handshakeFailures, exports: new Map(kept) };
}

/**
 * What an operator should look at, in plain words.
 *
 * @param earlier an older snapshot of the same server, for what is a matter of rates; without one there are no such
 *   warnings
 */
export function warningsOf(snapshot: ServerSnapshot, earlier: Sample | undefined): Warning[] {
  return [
    ...snapshot.exports.flatMap((target) => [
      ...unhealthy(target),
      ...bufferedFallback(target),
      ...nearlyFull(target),
      ...alignmentFixes(target, earlier?.exports.get(target.name)),
    ]),
    ...singleConnections(snapshot, earlier),
    ...backpressure(snapshot, earlier),
    ...handshakeFailures(snapshot, earlier),
    ...loopLag(snapshot),
  ];
}

/** {@link warningsOf} with a memory: gives it the oldest of the snapshots of about the last minute. */
export class WarningWatch {
  readonly #samples: Sample[] = [];

  warnings(snapshot: ServerSnapshot): Warning[] {
    const samples = this.#samples;
    // Nobody has looked for a while: what has risen since then has not risen in a minute.
    if (snapshot.takenAtMs - (samples.at(-1)?.takenAtMs ?? 0) > 2 * WINDOW_MS) samples.length = 0;
    // The last one before the window stays.
    while (samples[1] !== undefined && snapshot.takenAtMs - samples[1].takenAtMs >= WINDOW_MS)
      samples.shift();
    const found = warningsOf(snapshot, samples[0]);
    const last = samples.at(-1);
    if (last === undefined || snapshot.takenAtMs - last.takenAtMs >= WINDOW_MS / 4)
      samples.push(sampleOf(snapshot));
    return found;
  }
}

function unhealthy({ name, health }: ExportSnapshot): Warning[] {
  if (health.healthy) return [];
  return [
    { kind: 'export-unhealthy', exportName: name, text: `“${name}” does not answer: ${health.reason}.` },
  ];
}

/** Not where it was asked for by `direct=off`. */
function bufferedFallback({ name, direct, bufferedBecause }: ExportSnapshot): Warning[] {
  if (direct || bufferedBecause === '' || bufferedBecause.includes('switched off')) return [];
  return [
    {
      kind: 'buffered-fallback',
      exportName: name,
      text: `“${name}” goes through the page cache, since ${bufferedBecause}. All works as always, but its data is in memory twice, and copying it takes processor time.`,
    },
  ];
}

function nearlyFull(target: ExportSnapshot): Warning[] {
  const { name, readOnly, sizeBytes, allocatedBytes, filesystemFreeBytes, filesystemSizeBytes } = target;
  if (filesystemFreeBytes === undefined || filesystemSizeBytes === undefined || readOnly) return [];
  const mayGrowBytes = Math.max(0, sizeBytes - (allocatedBytes ?? 0));
  if (mayGrowBytes === 0) return [];
  const isShort =
    filesystemFreeBytes < filesystemSizeBytes * NEARLY_FULL_SHARE || filesystemFreeBytes < NEARLY_FULL_BYTES;
  if (!isShort || filesystemFreeBytes >= mayGrowBytes) return [];
  return [
    {
      kind: 'filesystem-nearly-full',
      exportName: name,
      text: `The filesystem of “${name}” has ${bytes(filesystemFreeBytes)} left of ${bytes(filesystemSizeBytes)}, and the export may still take ${bytes(mayGrowBytes)}: writes to parts that have no blocks yet will fail with ENOSPC.`,
    },
  ];
}

function alignmentFixes(
  target: ExportSnapshot,
  before: { readonly alignmentFixes: number; readonly dataRequests: number } | undefined,
): Warning[] {
  if (before === undefined) return [];
  const fixes = target.alignmentFixes - before.alignmentFixes;
  const requests = dataRequests(target) - before.dataRequests;
  if (fixes < MANY_FIXES || fixes < requests * MANY_FIXES_SHARE) return [];
  const share = Math.min(100, Math.round((100 * fixes) / Math.max(1, requests)));
  return [
    {
      kind: 'alignment-fixes',
      exportName: target.name,
      text: `${share} % of the requests to “${target.name}” are not aligned to the blocks of its disk; each such write reads and writes whole blocks. Use a client or filesystem with 4096-byte blocks (nbd-client: -b 4096).`,
    },
  ];
}

/** One for each client: connections from one host to one export are one client's; who comes by Unix socket can't be told apart. */
function singleConnections(snapshot: ServerSnapshot, earlier: Sample | undefined): Warning[] {
  if (earlier === undefined) return [];
  const seconds = (snapshot.takenAtMs - earlier.takenAtMs) / 1000;
  if (seconds <= 0) return [];
  const before = new Map(earlier.connections.map((connection) => [connection.id, connection]));
  const groups = new Map<string, ConnectionSnapshot[]>();
  for (const connection of snapshot.connections) {
    const client = JSON.stringify([hostOf(connection.peer), connection.exportName]);
    groups.set(client, [...(groups.get(client) ?? []), connection]);
  }
  return [...groups.values()].flatMap((connections) => {
    const [only] = connections;
    if (only === undefined || connections.length > 1) return [];
    const then = before.get(only.id);
    if (then === undefined || only.inFlight < BUSY_IN_FLIGHT || then.inFlight < BUSY_IN_FLIGHT) return [];
    const moved = only.readBytes + only.writtenBytes - then.readBytes - then.writtenBytes;
    if (moved / seconds < BUSY_BYTES_PER_SECOND) return [];
    return [
      {
        kind: 'single-connection',
        exportName: only.exportName,
        text: `${only.peer === 'unix' ? 'A local client' : only.peer} moves ${bytes(moved / seconds)}/s to and from “${only.exportName}” over one connection. Several are usually faster (nbd-client -C 4, nbdcopy --connections=4).`,
      },
    ];
  });
}

function backpressure(snapshot: ServerSnapshot, earlier: Sample | undefined): Warning[] {
  const stops = (of: Pick<ServerSnapshot, 'reactors'>) =>
    of.reactors.reduce((sum, each) => sum + each.backpressureStops, 0);
  if (earlier === undefined || stops(snapshot) <= stops(earlier)) return [];
  return [
    {
      kind: 'backpressure',
      exportName: undefined,
      text: `Clients were made to wait ${stops(snapshot) - stops(earlier)} times in the last minute, since memory or request slots had run out. Raise --buffer-memory or --queue-depth.`,
    },
  ];
}

function handshakeFailures(snapshot: ServerSnapshot, earlier: Sample | undefined): Warning[] {
  if (earlier === undefined) return [];
  const risen = Object.entries(snapshot.handshakeFailures)
    .filter(([reason]) => !HARMLESS_FAILURES.has(reason))
    .map(([reason, count]) => {
      const then = (earlier.handshakeFailures as Readonly<Record<string, number>>)[reason] ?? 0;
      return { reason, count: count - then };
    })
    .filter(({ count }) => count > 0);
  const total = risen.reduce((sum, { count }) => sum + count, 0);
  if (total < MANY_HANDSHAKE_FAILURES) return [];
  const reasons = risen.map(({ reason, count }) => `${reason.replaceAll('_', ' ')}: ${count}`).join(', ');
  return [
    {
      kind: 'handshake-failures',
      exportName: undefined,
      text: `${total} handshakes have failed in the last minute (${reasons}). The log names the clients, twenty in ten seconds at most.`,
    },
  ];
}

function loopLag({ reactors }: ServerSnapshot): Warning[] {
  return reactors
    .filter(({ loopLagSeconds }) => loopLagSeconds >= LONG_LAG_SECONDS)
    .map(({ index, loopLagSeconds }) => ({
      kind: 'loop-lag',
      exportName: undefined,
      text: `Thread ${index} was busy for ${Math.round(loopLagSeconds * 1000)} ms on end: its clients waited. The machine may be short of processors.`,
    }));
}

function dataRequests({ operations }: ExportSnapshot): number {
  return operations.read.requests + operations.write.requests;
}

function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, '');
}

function bytes(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
