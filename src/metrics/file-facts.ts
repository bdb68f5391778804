import { lookUpFile } from './look-up-file.js';
import type { SnapshotReader } from './snapshot-reader.js';

/** What was found is good for so long, ms. */
const FRESH_MS = 5000;
/** For whoever wants to know at once, ms: a filesystem that hangs is waited for no longer. */
const PATIENCE_MS = 500;
/** At once: those that hang keep a thread of libuv's each, of which there are four. */
const MOST_AT_ONCE = 2;

/**
 * Keeps a reader's facts about files fresh, as long as somebody looks: allocated bytes, and what the filesystems have left.
 */
export class FileFactsKeeper {
  readonly #reader: SnapshotReader;
  #round: Promise<void> | undefined;
  #freshUntilMs = 0;

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
    let timer: NodeJS.Timeout | undefined;
    const tired = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([this.#round, tired]);
    clearTimeout(timer);
  }

  async #lookAtAll(): Promise<void> {
    const left = [...this.#reader.exports.entries()];
    const lookAtSome = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [index, target] = next;
        this.#reader.fileFacts(index, await lookUpFile(target));
      }
    };
    await Promise.all(Array.from({ length: MOST_AT_ONCE }, lookAtSome));
  }
}
