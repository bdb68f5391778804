import { lookUpFile } from './look-up-file.js';
import type { SnapshotReader } from './snapshot-reader.js';

/** What was found is good for so long, ms. */
const FRESH_MS = 5000;
/** For whoever wants to know at once, ms: a filesystem that hangs is waited for no longer. */
const PATIENCE_MS = 500;
/** A file that has not answered by then hangs, ms: others go on without it. */
const HANGING_MS = 2000;
/** At once: those that hang keep a thread of libuv's each, of which there are four. */
const MOST_AT_ONCE = 2;

/**
 * Keeps a reader's facts about files fresh, as long as somebody looks: allocated bytes, and what the filesystems have left.
 */
export class FileFactsKeeper {
  readonly #reader: SnapshotReader;
  #round: Promise<void> | undefined;
  #freshUntilMs = 0;
  /** Files that have been asked and have not answered. */
  readonly #asked = new Set<number>();

  constructor(reader: SnapshotReader) {
    this.#reader = reader;
  }

  /** Resolves when the facts are fresh, or after half a second. */
  async refresh(nowMs = performance.now()): Promise<void> {
    if (this.#round === undefined && nowMs >= this.#freshUntilMs) {
      this.#round = this.#lookAtAll().then(() => {
        this.#freshUntilMs = performance.now() + FRESH_MS;
        this.#round = undefined;
      });
    }
    if (this.#round === undefined) return;
    await noLongerThan(PATIENCE_MS, this.#round);
  }

  /** What is known, fresh or not. */
  giveTo(reader: SnapshotReader): void {
    for (const index of reader.exports.keys()) reader.fileFacts(index, this.#reader.factsOf(index));
  }

  async #lookAtAll(): Promise<void> {
    const left = [...this.#reader.exports.entries()].filter(([index]) => !this.#asked.has(index));
    const lookAtSome = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [index, target] = next;
        this.#asked.add(index);
        const answered = lookUpFile(target).then((facts) => {
          this.#asked.delete(index);
          this.#reader.fileFacts(index, facts);
        });
        await noLongerThan(HANGING_MS, answered);
        if (this.#asked.has(index)) return;
      }
    };
    await Promise.all(Array.from({ length: MOST_AT_ONCE - this.#asked.size }, lookAtSome));
  }
}

async function noLongerThan(ms: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([done, tired]);
  clearTimeout(timer);
}
