// The server's half of the handshake, compared with what the model says.

import { isUtf8 } from 'node:buffer';
import { type Reply, readReplies } from '../negotiation/bytes.js';
import type { Answer } from './handshake-model.js';

const IS_ERROR = 0x80000000;

/** What is wrong with replies that are to be these answers; undefined for nothing. */
export function compareReplies(output: Buffer, answers: readonly Answer[]): string | undefined {
  let replies: Reply[];
  try {
    replies = readReplies(output);
  } catch (error) {
    return (error as Error).message;
  }
  let at = 0;
  for (const [number, answer] of answers.entries()) {
    const own = replies.slice(at, at + answer.informs.length + 1);
    const wrong = compareAnswer(own, answer);
    if (wrong !== undefined) return `option ${number} (${answer.option}): ${wrong}`;
    at += own.length;
  }
  return at === replies.length ? undefined : `${replies.length - at} replies more than there are options`;
}

/** How many bytes these answers have; unknown for those that end in an error, whose words are the server's. */
export function answerCount(answers: readonly Answer[]): number {
  return answers.reduce((count, { informs }) => count + informs.length + 1, 0);
}

function compareAnswer(replies: readonly Reply[], { option, informs, final }: Answer): string | undefined {
  const last = replies.at(-1);
  if (!last || replies.length < informs.length + 1)
    return `${replies.length} replies, not ${informs.length + 1}`;
  for (const reply of replies) {
    if (reply.option !== option) return `a reply to option ${reply.option}`;
  }
  if (last.type !== final) return `ends with 0x${last.type.toString(16)}, not 0x${final.toString(16)}`;
  if (final < IS_ERROR && last.data.length > 0) return `an ACK with ${last.data.length} bytes`;
  if (last.data.length > 4096 || last.data.includes(0) || !isUtf8(last.data))
    return 'a message that is no string';
  const missing = informs.map(({ type, data }) => `${type} ${data.toString('hex')}`);
  for (const { type, data } of replies.slice(0, -1)) {
    const found = missing.indexOf(`${type} ${data.toString('hex')}`);
    if (found < 0) return `an unexpected reply of type ${type} with ${data.toString('hex')}`;
    missing.splice(found, 1);
  }
  return undefined;
}
