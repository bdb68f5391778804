// Terminals, as a reader has them open: one shell for what ends by itself, and one terminal for each program that goes on.

import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { statements } from './statements.mjs';

/** A command gets so long; the slowest are in User Mode Linux or build everything. */
const COMMAND_MS = 300_000;
/** As long: `npm ci && npm start` is ready when all is built. */
const READY_MS = COMMAND_MS;
const END_MS = 15_000;

/** One shell, which keeps its directory and its variables from block to block. It ends at the first command that fails. */
export class Shell {
  #child;
  #folder;
  #count = 0;
  #answer = '';
  #ended = false;
  #wake = () => {};

  /**
   * @param {string} folder For its files.
   * @param {string} cwd
   */
  constructor(folder, cwd) {
    this.#folder = folder;
    const loop =
      'set -e -o pipefail; while IFS=: read -r f out; do . "$f" </dev/null >>"$out" 2>&1; echo 0; done';
    this.#child = spawn('bash', ['--norc', '-c', loop], { cwd, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (chunk) => {
      this.#answer += chunk;
      this.#wake();
    });
    this.#child.on('exit', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Where the shell is now. */
  get cwd() {
    return readlinkSync(`/proc/${this.#child.pid}/cwd`);
  }

  /**
   * Types commands, one after the other, and waits for their end. What comes after one that fails is not typed.
   *
   * @param {string} text
   * @returns {Promise<{ printed: string, ok: boolean, failed?: string }>} `ok` is false if one, which is `failed`, did or took too long
   */
  async type(text) {
    const output = join(this.#folder, `output-${++this.#count}`);
    writeFileSync(output, '');
    for (const [i, statement] of statements(text).entries()) {
      const file = join(this.#folder, `command-${this.#count}-${i + 1}`);
      writeFileSync(file, `${statement}\n`);
      const wrong = await this.#run(file, output);
      if (wrong !== undefined) {
        return { printed: `${readFileSync(output, 'utf8')}${wrong}`, ok: false, failed: statement.trim() };
      }
    }
    return { printed: readFileSync(output, 'utf8'), ok: true };
  }

  /** @returns {Promise<string | undefined>} undefined if it was done well; else what is to be said of that, perhaps nothing */
  async #run(file, output) {
    this.#answer = '';
    this.#child.stdin.write(`${file}:${output}\n`);
    const inTime = await within(COMMAND_MS, (wake) => {
      this.#wake = wake;
      return this.#answer !== '' || this.#ended;
    });
    if (!inTime) return `\n(it did not end within ${COMMAND_MS / 1000} s)`;
    return this.#answer === '0\n' ? undefined : '';
  }

  close() {
    this.#child.kill('SIGKILL');
  }
}

/** A program in a terminal of its own. */
export class Terminal {
  #child;
  #printed = '';
  #code;
  #wake = () => {};

  /**
   * @param {string} file The command, as a script.
   * @param {string} cwd
   */
  constructor(file, cwd) {
    const inside = `stty cols 120 rows 40; exec bash --norc -e ${file}`;
    this.#child = spawn('script', ['-qefc', inside, '/dev/null'], {
      cwd,
      env: { ...process.env, SHELL: '/bin/bash' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (chunk) => {
      this.#printed += chunk;
      this.#wake();
    });
    // The program may leave before script does; what counts is that both have.
    this.#child.on('close', (code, signal) => {
      this.#code = code ?? signal;
      this.#wake();
    });
  }

  get printed() {
    return this.#printed;
  }

  /** Its exit code; undefined while it runs. */
  get code() {
    return this.#code;
  }

  /** Waits until what it has printed is what was waited for. Returns false if it has ended before, or in too long a time. */
  async until(isThere) {
    await within(READY_MS, (wake) => {
      this.#wake = wake;
      return isThere(this.#printed) || this.#code !== undefined;
    });
    return isThere(this.#printed);
  }

  /** Presses a key and waits for the end that follows. Returns false if there is none. */
  press(key) {
    this.#child.stdin.write(key);
    return within(END_MS, (wake) => {
      this.#wake = wake;
      return this.#code !== undefined;
    });
  }

  close() {
    this.#child.kill('SIGKILL');
  }
}

/** Waits until `done` returns true, asking at every wake-up. Returns false if that took longer than `ms`. */
async function within(ms, done) {
  let late = false;
  let timer;
  const limit = new Promise((resolve) => {
    timer = setTimeout(() => {
      late = true;
      resolve();
    }, ms);
  });
  for (;;) {
    const woken = new Promise((resolve) => {
      // Asked and told in the same turn, so no wake-up is missed.
      if (done(resolve)) resolve('done');
    });
    const why = await Promise.race([woken, limit]);
    if (why === 'done' || late) {
      clearTimeout(timer);
      return why === 'done';
    }
  }
}
