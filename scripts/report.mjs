// Reads the TAP that the runner writes and prints what a person wants to see: a line for each file, and for each
// failure the sentence that did not hold, with its diagnostics. Counts assertions, not files.

const RESULT = /^(?<indent> *)(?<not>not )?ok\b(?: \d+)?(?: - )?(?<rest>.*)$/;
// Fields of the diagnostics that repeat what the test's file says.
const NOISE = /^ {2}(source|compare|isToplevel|stdio|jobId):/;
const SUBTEST = /^(?<indent> *)# Subtest: (?<name>.*)$/;

export class Report {
  passed = 0;
  failed = 0;
  #names = [];
  #failedAtStart = [];
  #file = { passed: 0, failed: 0 };
  #diagnostics = null;
  #write;
  #verbose;

  /** `verbose` prints every assertion, not only the failures. */
  constructor({ verbose = false, write = (line) => console.log(line) } = {}) {
    this.#verbose = verbose;
    this.#write = write;
  }

  /** Takes one line of TAP without its line end. */
  line(text) {
    if (this.#diagnostics !== null && this.#diagnosticLine(text)) return;
    const subtest = SUBTEST.exec(text)?.groups;
    if (subtest) {
      this.#open(subtest.indent.length / 4, subtest.name);
      return;
    }
    const result = RESULT.exec(text)?.groups;
    if (result) {
      this.#result(result.indent.length / 4, result.not === undefined, result.rest);
      return;
    }
    if (/^ *Bail out!/.test(text)) {
      this.#fail();
      this.#write(text.trim());
    }
  }

  #open(depth, name) {
    this.#names.length = depth;
    this.#names[depth] = name;
    this.#failedAtStart[depth] = this.failed;
    if (depth === 0) this.#file = { passed: 0, failed: 0 };
  }

  #result(depth, ok, rest) {
    const [name, directive] = split(rest);
    const ofSubtest = this.#names[depth] === name && this.#failedAtStart[depth] !== undefined;
    if (ofSubtest) {
      // Its assertions have been counted; a subtest that failed without a failing one has failed by itself.
      if (!ok && this.#failedAtStart[depth] === this.failed) this.#assertion(depth, ok, name, directive);
      this.#failedAtStart.length = depth;
      if (depth === 0) this.#fileDone(name, directive);
      return;
    }
    this.#assertion(depth, ok, name, directive);
  }

  #assertion(depth, ok, name, directive) {
    const good = ok && !/^SKIP/i.test(directive);
    if (good) {
      this.passed++;
      this.#file.passed++;
      if (!this.#verbose) return;
    } else this.#fail();
    const path = [...this.#names.slice(0, depth), name].filter(Boolean).join(' › ');
    this.#write(
      `${good ? '  ok    ' : '  FAIL  '}${path}${/^(SKIP|TODO)/i.test(directive) ? `  # ${directive}` : ''}`,
    );
    if (!good) this.#diagnostics = { depth, open: false, noise: false };
  }

  #fail() {
    this.failed++;
    this.#file.failed++;
  }

  /** Whether the line belonged to the diagnostics of the failure just printed. */
  #diagnosticLine(text) {
    const { open } = this.#diagnostics;
    if (!open) {
      if (/^ *---$/.test(text)) {
        this.#diagnostics.open = true;
        return true;
      }
      this.#diagnostics = null;
      return false;
    }
    if (/^ *\.\.\.$/.test(text) && text.indexOf('.') <= this.#diagnostics.depth * 4 + 2) {
      this.#diagnostics = null;
      return true;
    }
    const field = text.slice(this.#diagnostics.depth * 4);
    // A field begins in the third column and goes on for as long as lines are indented further, or empty.
    if (/^ {2}\S/.test(field)) this.#diagnostics.noise = NOISE.test(field);
    if (!this.#diagnostics.noise) this.#write(`        ${field}`);
    return true;
  }

  #fileDone(name, directive) {
    const seconds = /time=([\d.]+)ms/.exec(directive)?.[1];
    const time = seconds === undefined ? '' : `${(Number(seconds) / 1000).toFixed(1)} s`;
    const { passed, failed } = this.#file;
    this.#write(
      `${failed === 0 ? 'ok  ' : 'FAIL'}  ${name.padEnd(44)} ${`${passed} passed`.padStart(12)}${
        failed === 0 ? '' : `, ${failed} failed`
      }  ${time}`,
    );
    this.#names = [];
    this.#failedAtStart = [];
  }
}

/** Divides `name # directive`; a `#` inside the name is escaped in TAP. */
function split(rest) {
  const at = rest.search(/(?<!\\) #( |$)/);
  const name = (at < 0 ? rest : rest.slice(0, at)).replace(/\\#/g, '#').replace(/ \{$/, '');
  return [name.trimEnd(), at < 0 ? '' : rest.slice(at + 2).trim()];
}
