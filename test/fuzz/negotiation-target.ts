// The handshake's state machine against the model of it: any bytes, in any pieces.

import { Negotiation } from '../../src/negotiation/negotiation.js';
import { option, text } from '../negotiation/bytes.js';
import { DIRECTORY, DISK, SECOND, SHUTTING_DOWN } from '../negotiation/session.js';
import { type FuzzCase, setting } from './case.js';
import { stepBytes } from './encode.js';
import * as generate from './generate.js';
import { type Answer, type Ending, HandshakeModel, type ModelLimits } from './handshake-model.js';
import { compareReplies } from './handshake-replies.js';
import type { Grammar } from './mutate.js';
import { bucket, cutPieces, type Outcome, type Target } from './target.js';

interface Limits extends ModelLimits {
  readonly maximumPipelinedAnswerBytes: number;
}

const SMALL: Limits = {
  maximumOptions: 12,
  maximumOptionDataBytes: 200,
  maximumSkippedBytes: 400,
  maximumMetaQueries: 4,
  maximumPipelinedAnswerBytes: 600,
};
/** docs/protocol.md */
const USUAL: Limits = {
  maximumOptions: 65_536,
  maximumOptionDataBytes: 65_536,
  maximumSkippedBytes: 64 << 20,
  maximumMetaQueries: 1024,
  maximumPipelinedAnswerBytes: 1 << 20,
};
/** The most that two exports and their contexts make in one answer, and an error's longest message. */
const LONGEST_ANSWER = 5000;
/** What is missing of an option is sent to see whether the next one is understood, up to so much. */
const MOST_FILLED = 70_000;
const SMALLEST_HELD = 64;
/** Between two options only a little is kept for the next one. */
const MOST_HELD_BETWEEN = 4096;

export const negotiationGrammar: Grammar = {
  fresh: generate.handshakeCase,
  step: (random) => {
    if (random.oneIn(6)) return { kind: 'split' };
    return random.oneIn(20)
      ? { kind: 'bytes', bytes: generate.anyBytes(random, 60) }
      : generate.option(random);
  },
  settings: { cut: ['0', '1', '#', '#'], limits: ['small', 'usual'], stopping: ['0', '1'] },
  mostSteps: 40,
};

export const negotiationTarget: Target = {
  name: 'negotiation',
  grammar: negotiationGrammar,
  parallel: 1,
  run(fuzzCase) {
    const run = new Run(fuzzCase);
    try {
      run.play();
    } catch (error) {
      return { fault: `throws ${(error as Error).stack}`, features: [] };
    }
    return { fault: run.fault, features: run.features() };
  },
  check: () => Promise.resolve(undefined),
  close: () => Promise.resolve(),
};

class Run {
  fault: string | undefined;
  readonly #case: FuzzCase;
  readonly #limits: Limits;
  readonly #negotiation: Negotiation;
  readonly #model: HandshakeModel;
  #fed = 0;
  #consumed = 0;
  #met = new Set<string>();
  /** The server has said that it is over. */
  #over = false;

  constructor(fuzzCase: FuzzCase) {
    const stopping = fuzzCase.settings.stopping === '1';
    this.#case = fuzzCase;
    this.#limits = fuzzCase.settings.limits === 'small' ? SMALL : USUAL;
    this.#negotiation = new Negotiation(stopping ? SHUTTING_DOWN : DIRECTORY, this.#limits);
    this.#model = new HandshakeModel([DISK, SECOND], this.#limits, stopping);
  }

  play(): void {
    let held: Buffer[] = [];
    const cut = setting(this.#case, 'cut', 0);
    const flush = () => {
      for (const piece of cutPieces(Buffer.concat(held), cut)) this.#push(piece);
      held = [];
    };
    for (const [number, step] of this.#case.steps.entries()) {
      if (step.kind === 'split') flush();
      else held.push(stepBytes(step, 'simple', number));
    }
    flush();
    this.#follow();
  }

  features(): string[] {
    const { answers, ending } = this.#model;
    let last = '';
    for (const answer of answers) {
      const name = outline(answer);
      this.#met.add(name).add(`${last} ${name}`);
      last = name;
    }
    this.#met.add(`${answers.length > 0 ? last : 'nothing'} then ${describe(ending)}`);
    this.#met.add(`${bucket(answers.length)} answers`);
    return [...this.#met];
  }

  /** Whatever came before: the next options are understood, or the end stays the end. */
  #follow(): void {
    const { missing } = this.#model;
    this.#met.add(`ends ${bucket(missing)} bytes early`);
    if (missing > MOST_FILLED) return;
    if (missing > 0) this.#push(Buffer.alloc(missing, 'IHAVEOPT'));
    // A name that is not there is refused, so there is one more option after it.
    this.#push(option(7, Buffer.concat([Buffer.from([0, 0, 0, 2]), text('-?'), Buffer.alloc(2)])));
    this.#push(option(3));
    this.#push(option(2));
    this.#push(text('what is after the end'));
  }

  #push(piece: Buffer): void {
    if (this.fault !== undefined) return;
    const model = this.#model;
    const before = model.answers.length;
    const wasOver = this.#over;
    if (!wasOver) model.feed(piece);
    const bytes = new Uint8Array(piece);
    const step = this.#negotiation.push(bytes);
    // Nothing may still be read from the caller's memory.
    bytes.fill(0xee);
    const output = Buffer.from(step.output);
    this.#fed += piece.length;
    this.#consumed += step.consumed;
    this.#checkMemory();
    this.#met.add(`held ${bucket(this.#negotiation.heldBytes)}`);
    if (wasOver) {
      if (step.consumed !== 0 || output.length > 0 || step.next.kind === 'continue')
        this.#complain('it goes on after its end');
      return;
    }
    this.#over = step.next.kind !== 'continue';
    if (this.#isAheadOfAnswers(output, step.next)) return;
    const { ending } = model;
    const raw = ending?.kind === 'transmission' ? ending.raw : Buffer.alloc(0);
    const replies = output.subarray(0, output.length - raw.length);
    const wrong = compareReplies(replies, model.answers.slice(before));
    if (wrong !== undefined) this.#complain(wrong);
    if (!output.subarray(replies.length).equals(raw))
      this.#complain('the answer to EXPORT_NAME is not as it should be');
    if (output.length > this.#limits.maximumPipelinedAnswerBytes + LONGEST_ANSWER)
      this.#complain(`${output.length} bytes of answers at once`);
    this.#checkEnd(step.next);
    if (this.#consumed !== model.consumed)
      this.#complain(`it has used ${this.#consumed} bytes, and should have used ${model.consumed}`);
  }

  /** Answers to options sent ahead are limited; the model knows nothing of that. */
  #isAheadOfAnswers(output: Buffer, next: { readonly kind: string; readonly reason?: string }): boolean {
    if (next.kind !== 'close' || !next.reason?.startsWith('options sent ahead')) return false;
    this.#met.add('too many answers at once');
    if (output.length <= this.#limits.maximumPipelinedAnswerBytes)
      this.#complain(`dropped for ${output.length} bytes of answers, which are not too many`);
    this.#model.ending = { kind: 'close', orderly: false };
    return true;
  }

  #checkMemory(): void {
    const { heldBytes } = this.#negotiation;
    if (this.#model.missing === 0 && heldBytes > MOST_HELD_BETWEEN)
      this.#complain(`it holds ${heldBytes} bytes between two options`);
    const most = Math.min(2 * this.#limits.maximumOptionDataBytes, Math.max(SMALLEST_HELD, 2 * this.#fed));
    if (heldBytes > most) this.#complain(`it holds ${heldBytes} bytes after ${this.#fed}`);
  }

  #checkEnd(next: ReturnType<Negotiation['push']>['next']): undefined {
    const model = this.#model;
    const { ending } = model;
    if (next.kind !== (ending?.kind ?? 'continue'))
      return this.#complain(`${next.kind}, not ${ending?.kind ?? 'continue'}`);
    if (next.kind === 'close' && ending?.kind === 'close' && next.orderly !== ending.orderly)
      this.#complain(`an end that is${ending.orderly ? '' : ' not'} orderly`);
    if (next.kind !== 'transmission' || ending?.kind !== 'transmission') return;
    const { replies, metaContexts, blockSizesAgreed, noZeroes, fixedNewstyle } = next.negotiated;
    const is = [
      next.offer.name,
      replies,
      [...metaContexts].join(),
      blockSizesAgreed,
      noZeroes,
      fixedNewstyle,
    ];
    const should = [
      ending.target.name,
      model.replies,
      ending.contexts.join(),
      ending.blockSizesAgreed,
      model.noZeroes,
      model.fixed,
    ];
    if (is.join(' ') !== should.join(' '))
      this.#complain(`agreed on ${is.join(' ')}, not ${should.join(' ')}`);
  }

  #complain(fault: string): undefined {
    this.fault ??= fault;
  }
}

function outline({ option: number, informs, final }: Answer): string {
  const infos = informs.map(({ type, data }) => (type === 3 ? data.readUInt16BE(0) : type)).join();
  return `${number <= 12 ? number : 'unknown'}:${infos}:${final.toString(16)}`;
}

function describe(ending: Ending | undefined): string {
  if (!ending) return 'continue';
  if (ending.kind === 'close') return `close ${ending.orderly}`;
  return `transmission ${ending.target.name} ${ending.contexts.join()} ${ending.raw.length} ${ending.blockSizesAgreed}`;
}

export type { Outcome };
