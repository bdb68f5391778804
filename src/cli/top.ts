import type { ReadStream } from 'node:tty';
import type { StatusAddress } from '../config/status-address.js';
import { AionbdError } from '../errors.js';
import { bodyHeight, renderTop } from '../monitor/top-screen.js';
import { firstState, type TopState, withKey, withSnapshot, withTrouble } from '../monitor/top-state.js';
import { EXIT_OK } from './exit-code.js';
import { StatusClient } from './fetch-status.js';
import { type Output, Screen } from './screen.js';

const INTERVAL_MS = 1000;
/** A server that answers later than this counts as gone. */
const TIMEOUT_MS = 3000;
const QUIT_KEYS: readonly string[] = ['q', 'Q', 'ctrl-c', 'ctrl-d'];
/** By convention the exit code of what a signal has ended is 128 and its number. */
const SIGNAL_NUMBERS: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGTERM: 15,
};

export interface Terminal {
  readonly input: ReadStream;
  readonly output: Output;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Shows a running server in the terminal, once a second, until a key or a signal ends it.
 *
 * @returns the exit code: 0 after a key, 128 and the signal's number after a signal
 * @throws AionbdError AIONBD_E_USAGE where there is no terminal
 */
export async function runTop(address: StatusAddress, terminal: Terminal): Promise<number> {
  checkTerminal(terminal);
  return await new Top(address, terminal).run();
}

function checkTerminal({ input, output, env }: Terminal): void {
  const advice = 'for a look that needs no terminal use aionbd status';
  if (output.isTTY !== true || input.isTTY !== true) {
    const which = output.isTTY === true ? 'standard input' : 'standard output';
    throw new AionbdError('AIONBD_E_USAGE', `aionbd top needs a terminal, and ${which} is none; ${advice}`);
  }
  if (env.TERM === 'dumb' || env.TERM === undefined || env.TERM === '') {
    throw new AionbdError(
      'AIONBD_E_USAGE',
      `aionbd top needs a terminal that can move its cursor, and TERM is "${env.TERM ?? ''}"; ${advice}`,
    );
  }
}

class Top {
  readonly #client: StatusClient;
  readonly #screen: Screen;
  readonly #how: { readonly colour: boolean; readonly unicode: boolean };
  #state: TopState;
  #end: (code: number) => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(address: StatusAddress, { input, output, env }: Terminal) {
    this.#client = new StatusClient(address, TIMEOUT_MS);
    this.#state = firstState(address.text, Date.now());
    // Node knows NO_COLOR, FORCE_COLOR and what TERM can do.
    this.#how = { colour: output.hasColors(), unicode: showsUnicode(env) };
    this.#screen = new Screen(input, output, {
      key: (name) => this.#pressed(name),
      changed: () => this.#draw(),
      ended: (signal) => this.#end(128 + (SIGNAL_NUMBERS[signal] ?? 0)),
    });
  }

  async run(): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      this.#end = resolve;
    });
    try {
      this.#screen.open();
      this.#draw();
      this.#look().catch((error: unknown) => this.#fail(error));
      return await ended;
    } finally {
      this.#hasEnded = true;
      clearTimeout(this.#timer);
      this.#screen.close();
      this.#client.close();
    }
  }

  /** What is not expected is for whoever deals with that; the terminal is given back when the process ends. */
  #fail(error: unknown): void {
    process.nextTick(() => {
      throw error;
    });
  }

  async #look(): Promise<void> {
    const startedMs = performance.now();
    try {
      const { snapshot } = await this.#client.fetch();
      this.#state = withSnapshot(this.#state, snapshot, Date.now());
    } catch (error) {
      if (!(error instanceof AionbdError)) throw error;
      this.#state = withTrouble(this.#state, reasonOf(error), Date.now());
    }
    if (this.#hasEnded) return;
    this.#draw();
    const waitMs = Math.max(INTERVAL_MS - (performance.now() - startedMs), INTERVAL_MS / 10);
    this.#timer = setTimeout(() => this.#look().catch((error: unknown) => this.#fail(error)), waitMs);
  }

  #pressed(name: string): void {
    if (QUIT_KEYS.includes(name)) {
      this.#end(EXIT_OK);
    } else if (name === 'ctrl-z') {
      this.#screen.suspend();
    } else {
      this.#state = withKey(this.#state, name, bodyHeight(this.#state, this.#screen.height));
      this.#draw();
    }
  }

  #draw(): void {
    const { width, height } = this.#screen;
    this.#screen.draw(renderTop(this.#state, width, height, this.#how));
  }
}

/** The address stands above already. */
function reasonOf({ message }: AionbdError): string {
  return message.slice(message.indexOf(': ') + 2);
}

function showsUnicode({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}
