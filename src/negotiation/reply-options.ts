/** The options that settle how replies look: STRUCTURED_REPLY and EXTENDED_HEADERS. */
import { REP_ERR_EXT_HEADER_REQD } from '../protocol/constants.js';
import { optionName } from '../protocol/names.js';
import { writeAck, writeError } from '../protocol/option-reply.js';
import type { OptionContext, OptionOutcome } from './handler.js';
import { CONTINUE } from './step.js';

/** STRUCTURED_REPLY: granted, also twice (H13), but never instead of extended headers, which are more. */
export function answerStructuredReply({ output, negotiated }: OptionContext, option: number): OptionOutcome {
  if (negotiated.replies === 'extended') {
    const message = `${optionName(option)} after EXTENDED_HEADERS, which replaces it`;
    writeError(output, option, REP_ERR_EXT_HEADER_REQD, message);
    return CONTINUE;
  }
  writeAck(output, option);
  return { kind: 'agreed', negotiated: { ...negotiated, replies: 'structured' } };
}

/** EXTENDED_HEADERS: granted, with or without structured replies before it. Contexts that were selected stay. */
export function answerExtendedHeaders({ output, negotiated }: OptionContext, option: number): OptionOutcome {
  writeAck(output, option);
  return { kind: 'agreed', negotiated: { ...negotiated, replies: 'extended' } };
}
