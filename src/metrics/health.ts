import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { EXPORT, PROBE, probingThread, THREAD, threadLayout } from './layout.js';
import type { ObservedThread, ServerObservation } from './observation.js';
import { monotonicMs } from './probe-record.js';
import type { ExportHealth, ServerSnapshot } from './snapshot.js';

/** What `/healthz` says. */
export interface HealthReport {
  readonly healthy: boolean;
  /** In plain words; none where it is healthy. */
  readonly reasons: readonly string[];
  readonly exports: Readonly<Record<string, ExportHealth>>;
}

/** What `/readyz` says. */
export interface ReadyReport {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** Results that are no older than this are good enough to answer at once, ms. */
const FRESH_MS = 15_000;
/** Threads begin probes once a second, and a little later if they are busy, ms. */
const LATE_START_MS = 2000;
const POLL_MS = 25;

/** A thread's heartbeat, and what it tells of the exports that it probes. */
interface View {
  readonly name: string;
  readonly cells: Float64Array;
  readonly threadAt: number;
  readonly exportsAt: number;
}

/**
 * Judges how a server is, from the memory that its threads write: whether their event loops turn, and whether a read of each
 * export comes back in time. It asks for those reads by a cell that threads look at once a second; while nobody asks, there are none.
 */
export class HealthWatch {
  readonly #names: readonly string[];
  /** By the number of the export: of no bytes none can be read. */
  readonly #isEmpty: readonly boolean[];
  readonly #deadlineMs: number;
  readonly #threads: readonly View[];
  readonly #all: readonly View[];

  /** `deadlineMs` is for a probe to come back, and for an event loop to turn. */
  constructor({ exports, threads, acceptor }: ServerObservation, deadlineMs: number) {
    this.#names = exports.map(({ name }) => name);
    this.#isEmpty = exports.map(({ sizeBytes }) => sizeBytes === 0);
    this.#deadlineMs = deadlineMs;
    this.#threads = threads.map((thread, i) => viewOf(thread, `thread ${i}`));
    this.#all = acceptor ? [...this.#threads, viewOf(acceptor, 'the thread that accepts')] : this.#threads;
  }

  /** Has exports probed for the next minute. */
  ask(): void {
    const nowMs = monotonicMs();
    for (const { cells, threadAt } of this.#threads) cells[threadAt + THREAD.probesWantedAtMs] = nowMs;
  }

  /** The export as it is known to be now. */
  exportHealth(index: number): ExportHealth {
    const { startedAtMs, doneAtMs, seconds, errno } = this.#probe(index);
    const probeSeconds = doneAtMs > 0 ? seconds : undefined;
    const waitsMs = startedAtMs > 0 ? monotonicMs() - startedAtMs : 0;
    if (waitsMs >= this.#deadlineMs) {
      const reason = `a read has been waiting for its disk for ${(waitsMs / 1000).toFixed(0)} s`;
      return { healthy: false, reason, probeSeconds };
    }
    if (errno !== 0) {
      return {
        healthy: false,
        reason: `the last read failed with ${getSystemErrorName(-errno)}`,
        probeSeconds,
      };
    }
    if (probeSeconds !== undefined && probeSeconds * 1000 >= this.#deadlineMs) {
      return { healthy: false, reason: `the last read took ${probeSeconds.toFixed(1)} s`, probeSeconds };
    }
    return { healthy: true, reason: '', probeSeconds };
  }

  /** As it is now, without waiting for anything. */
  report(): HealthReport {
    const loops = this.#stuck();
    const exports = this.#names.map((name, i) => [name, this.exportHealth(i)] as const);
    const bad = exports.filter(([, { healthy }]) => !healthy);
    const reasons = [...loops, ...bad.map(([name, { reason }]) => `export "${name}": ${reason}`)];
    return { healthy: reasons.length === 0, reasons, exports: Object.fromEntries(exports) };
  }

  /** Waits, where nothing is known of an export, until something is; no longer than the deadline and the time that threads take to begin. */
  async freshReport(): Promise<HealthReport> {
    const askedAtMs = monotonicMs();
    this.ask();
    while (monotonicMs() - askedAtMs < this.#deadlineMs + LATE_START_MS) {
      if (this.#stuck().length > 0 || this.#names.every((_, i) => this.#isKnown(i, askedAtMs))) break;
      await sleep(POLL_MS);
    }
    return this.report();
  }

  readiness(state: ServerSnapshot['state']): ReadyReport {
    const reasons = [
      ...(state === 'serving' ? [] : ['the server is stopping: no new clients']),
      ...this.#stuck(),
    ];
    return { ready: reasons.length === 0, reasons };
  }

  /** Event loops that do not turn. */
  #stuck(): string[] {
    const nowMs = monotonicMs();
    return this.#all.flatMap(({ name, cells, threadAt }) => {
      const aliveAtMs = cells[threadAt + THREAD.aliveMonotonicMs]!;
      const silentMs = nowMs - aliveAtMs;
      if (aliveAtMs === 0 || silentMs < this.#deadlineMs) return [];
      return [`the event loop of ${name} has not turned for ${(silentMs / 1000).toFixed(0)} s`];
    });
  }

  #isKnown(index: number, askedAtMs: number): boolean {
    if (this.#isEmpty[index]) return true;
    const { startedAtMs, doneAtMs } = this.#probe(index);
    if (startedAtMs > 0) return monotonicMs() - startedAtMs >= this.#deadlineMs;
    return doneAtMs > 0 && doneAtMs >= askedAtMs - FRESH_MS;
  }

  #probe(index: number) {
    const { cells, exportsAt } = this.#threads[probingThread(index, this.#threads.length)]!;
    const at = exportsAt + index * EXPORT.cells + EXPORT.probe;
    return {
      startedAtMs: cells[at + PROBE.startedAtMs]!,
      doneAtMs: cells[at + PROBE.doneAtMs]!,
      seconds: cells[at + PROBE.seconds]!,
      errno: cells[at + PROBE.errno]!,
    };
  }
}

function viewOf({ memory, connections, exports }: ObservedThread, name: string): View {
  const layout = threadLayout(connections, exports);
  return { name, cells: new Float64Array(memory), threadAt: layout.thread, exportsAt: layout.exports };
}
