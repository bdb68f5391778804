import { writeSync } from 'node:fs';
import { emitKeypressEvents } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { canBeContinued } from './process-group.js';

/** The other screen of the terminal, no cursor, and no new line where a line is a column too long. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J';
const LEAVE = '\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l';

/** Standard output, as a terminal. */
export type Output = WriteStream & { readonly fd: number };

interface Key {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
}

export interface ScreenEvents {
  /** A key by its name; letters and signs as they are, so `S` is not `s`; with Ctrl as `ctrl-c`. */
  key(name: string): void;
  /** The size is another, or the screen was lost: draw again. */
  changed(): void;
  /** A signal, or the end of the terminal, asks for the end. */
  ended(signal: NodeJS.Signals): void;
}

const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * The terminal as a screen of lines. From {@link open} to {@link close} it is ours; however the process ends, short of
 * SIGKILL, the terminal is given back as it was.
 */
export class Screen {
  readonly #input: ReadStream;
  readonly #output: Output;
  readonly #events: ScreenEvents;
  #shown: readonly string[] = [];
  #isOurs = false;
  readonly #onKey = (text: string | undefined, key: Key) => this.#events.key(nameOf(text, key));
  readonly #onResize = () => this.#lost();
  readonly #onInputEnd = () => this.#events.ended('SIGHUP');
  readonly #onEnd = (signal: NodeJS.Signals) => this.#events.ended(signal);
  readonly #onStop = () => this.#stop(process.pid);
  readonly #onContinue = () => {
    this.#take();
    this.#lost();
    // Of another size only those hear that are in the foreground. Node asks for it then, and tells us.
    process.kill(process.pid, 'SIGWINCH');
  };
  readonly #onExit = () => this.#giveBack();

  constructor(input: ReadStream, output: Output, events: ScreenEvents) {
    this.#input = input;
    this.#output = output;
    this.#events = events;
  }

  get width(): number {
    return this.#output.columns;
  }

  get height(): number {
    return this.#output.rows;
  }

  open(): void {
    emitKeypressEvents(this.#input);
    this.#input.on('keypress', this.#onKey).on('end', this.#onInputEnd).on('error', this.#onInputEnd);
    this.#output.on('resize', this.#onResize);
    for (const signal of END_SIGNALS) process.on(signal, this.#onEnd);
    process.on('SIGTSTP', this.#onStop).on('SIGCONT', this.#onContinue).on('exit', this.#onExit);
    this.#take();
  }

  close(): void {
    this.#giveBack();
    this.#input.off('keypress', this.#onKey).off('end', this.#onInputEnd).off('error', this.#onInputEnd);
    this.#output.off('resize', this.#onResize);
    for (const signal of END_SIGNALS) process.off(signal, this.#onEnd);
    process.off('SIGTSTP', this.#onStop).off('SIGCONT', this.#onContinue).off('exit', this.#onExit);
  }

  /** Shows these lines, the first on top; what has not changed is not written again. */
  draw(lines: readonly string[]): void {
    if (!this.#isOurs) return;
    let text = '';
    // Erased first: behind a line that reaches the edge the cursor stands on its last column.
    for (const [i, line] of lines.entries()) {
      if (this.#shown[i] !== line) text += `\x1b[${i + 1};1H\x1b[0m\x1b[2K${line}`;
    }
    this.#shown = lines;
    if (text !== '') this.#output.write(text);
  }

  /** Ctrl-Z: back to the shell, until it continues us; where there is none, nothing. */
  suspend(): void {
    // With all of us, as the terminal does: a shell waits for npx or sudo, which may have started us.
    this.#stop(0);
  }

  /** `pid` is as for `process.kill`. */
  #stop(pid: number): void {
    if (!canBeContinued()) return;
    this.#giveBack();
    // SIGTSTP has our handler; this one stops in any case.
    process.kill(pid, 'SIGSTOP');
  }

  #take(): void {
    if (this.#isOurs) return;
    this.#isOurs = true;
    this.#input.setRawMode(true);
    this.#input.resume();
    this.#output.write(ENTER);
  }

  /** Written at once: this may be the last that the process does. */
  #giveBack(): void {
    if (!this.#isOurs) return;
    this.#isOurs = false;
    try {
      this.#input.setRawMode(false);
      this.#input.pause();
      writeSync(this.#output.fd, LEAVE);
    } catch {
      // The terminal is gone; there is nothing to give back.
    }
  }

  #lost(): void {
    this.#shown = [];
    if (this.#isOurs) this.#output.write('\x1b[2J');
    this.#events.changed();
  }
}

function nameOf(text: string | undefined, { name, sequence, ctrl }: Key): string {
  if (ctrl === true && name !== undefined) return `ctrl-${name}`;
  if (text === ' ') return 'space';
  if (text !== undefined && /^[\x21-\x7e]$/.test(text)) return text;
  return name ?? sequence ?? '';
}
