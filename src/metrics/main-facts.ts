import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** What only the main thread can tell of itself. */
export interface MainFacts {
  readonly heapTotalBytes: number;
  readonly heapUsedBytes: number;
  /** Memory that JavaScript objects hold outside of the heap. */
  readonly externalBytes: number;
  /** By kind, since this was first asked for. */
  readonly collections: Readonly<Record<CollectionKind, Collections>>;
}

export const COLLECTION_KINDS = Object.freeze(['minor', 'major', 'incremental', 'weakcb'] as const);
export type CollectionKind = (typeof COLLECTION_KINDS)[number];

export interface Collections {
  readonly count: number;
  readonly seconds: number;
}

const KINDS: Readonly<Record<number, CollectionKind>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

/** What the types leave out. */
type CollectionEntry = PerformanceEntry & { readonly detail?: { readonly kind?: number } };

/** Looks at the thread it is made on. */
export class MainFactsSource {
  readonly #counts = { minor: 0, major: 0, incremental: 0, weakcb: 0 };
  readonly #seconds = { minor: 0, major: 0, incremental: 0, weakcb: 0 };
  readonly #observer: PerformanceObserver;

  constructor() {
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.#count(entry);
    });
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  /** Takes some microseconds: `process.memoryUsage()` would read files of the kernel, too. */
  take(): MainFacts {
    const heap = getHeapStatistics();
    const of = (kind: CollectionKind) => ({ count: this.#counts[kind], seconds: this.#seconds[kind] });
    return {
      heapTotalBytes: heap.total_heap_size,
      heapUsedBytes: heap.used_heap_size,
      externalBytes: heap.external_memory,
      collections: {
        minor: of('minor'),
        major: of('major'),
        incremental: of('incremental'),
        weakcb: of('weakcb'),
      },
    };
  }

  close(): void {
    this.#observer.disconnect();
  }

  #count({ detail, duration }: CollectionEntry): void {
    const kind = KINDS[detail?.kind ?? 0];
    if (kind === undefined) return;
    this.#counts[kind]++;
    this.#seconds[kind] += duration / 1000;
  }
}
