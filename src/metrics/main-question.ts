import type { MainFacts } from './main-facts.js';
import type { ProcessSource } from './process-families.js';

/** How long a scrape waits for the main thread, ms. One that is stuck must not take the scrape with it. */
const PATIENCE_MS = 250;

/** Asks the main thread what only it can tell, and does not wait for long. */
export class MainQuestion {
  readonly #ask: (question: number) => void;
  readonly #waiting = new Map<number, (facts: MainFacts) => void>();
  #last = 0;

  /** `ask` sends a question with that number; its answer comes to {@link answered}. */
  constructor(ask: (question: number) => void) {
    this.#ask = ask;
  }

  async ask(): Promise<ProcessSource> {
    const askedAtMs = performance.now();
    const question = ++this.#last;
    let timer: NodeJS.Timeout | undefined;
    const main = await new Promise<MainFacts | undefined>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, undefined);
      this.#waiting.set(question, resolve);
      this.#ask(question);
    });
    clearTimeout(timer);
    this.#waiting.delete(question);
    return { main, mainAnswerSeconds: (performance.now() - askedAtMs) / 1000 };
  }

  answered(question: number, facts: MainFacts): void {
    this.#waiting.get(question)?.(facts);
  }
}
