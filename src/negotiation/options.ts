/** The options this server knows, and what it does with each. */
import {
  OPT_ABORT,
  OPT_EXPORT_NAME,
  OPT_GO,
  OPT_INFO,
  OPT_LIST,
  REP_ERR_UNSUP,
} from '../protocol/constants.js';
import { optionName } from '../protocol/names.js';
import { writeAck, writeError, writeServer } from '../protocol/option-reply.js';
import { answerExportName, answerGo, answerInfo } from './export-options.js';
import type { OptionContext, OptionHandler } from './handler.js';
import { CONTINUE, type NegotiationNext } from './step.js';

const OPTION_HANDLERS: ReadonlyMap<number, OptionHandler> = new Map<number, OptionHandler>([
  [
    OPT_EXPORT_NAME,
    { data: 'taken', canBeRefused: false, worksDuringShutdown: false, answer: answerExportName },
  ],
  [OPT_ABORT, { data: 'ignored', canBeRefused: true, worksDuringShutdown: true, answer: answerAbort }],
  [OPT_LIST, { data: 'refused', canBeRefused: true, worksDuringShutdown: false, answer: answerList }],
  [OPT_INFO, { data: 'taken', canBeRefused: true, worksDuringShutdown: false, answer: answerInfo }],
  [OPT_GO, { data: 'taken', canBeRefused: true, worksDuringShutdown: false, answer: answerGo }],
]);

/** Whatever has no row above; that includes STARTTLS as long as there is no TLS (H6, T1). */
const UNKNOWN_OPTION: OptionHandler = {
  data: 'ignored',
  canBeRefused: true,
  worksDuringShutdown: false,
  answer: answerUnknown,
};

/** There is one for every number. */
export function handlerOf(option: number): OptionHandler {
  return OPTION_HANDLERS.get(option) ?? UNKNOWN_OPTION;
}

/** ACK, then close. The client may be gone before it reads the ACK (H7). */
function answerAbort(context: OptionContext, option: number): NegotiationNext {
  writeAck(context.output, option);
  return { kind: 'close', reason: 'the client ended the handshake (ABORT)', orderly: true };
}

/** One SERVER reply for each export, then ACK (H8). */
function answerList(context: OptionContext, option: number): NegotiationNext {
  for (const offer of context.directory.list()) {
    writeServer(context.output, option, offer.name, offer.description);
  }
  writeAck(context.output, option);
  return CONTINUE;
}

function answerUnknown(context: OptionContext, option: number): NegotiationNext {
  writeError(context.output, option, REP_ERR_UNSUP, `${optionName(option)} is not supported by this server`);
  return CONTINUE;
}
