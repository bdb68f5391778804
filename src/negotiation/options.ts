/** The options this server knows, and what it does with each. */
import {
  OPT_ABORT,
  OPT_EXPORT_NAME,
  OPT_EXTENDED_HEADERS,
  OPT_GO,
  OPT_INFO,
  OPT_LIST,
  OPT_LIST_META_CONTEXT,
  OPT_SET_META_CONTEXT,
  OPT_STRUCTURED_REPLY,
  REP_ERR_UNSUP,
} from '../protocol/constants.js';
import { optionName } from '../protocol/names.js';
import { writeAck, writeError, writeServer } from '../protocol/option-reply.js';
import { answerExportName, answerGo, answerInfo } from './export-options.js';
import type { OptionContext, OptionHandler, OptionOutcome } from './handler.js';
import { answerListMetaContext, answerSetMetaContext } from './meta-contexts.js';
import { answerExtendedHeaders, answerStructuredReply } from './reply-options.js';
import { CONTINUE } from './step.js';

/** What holds for most options. */
const USUAL = { canBeRefused: true, worksDuringShutdown: false, dropsContexts: false } as const;

const OPTION_HANDLERS: ReadonlyMap<number, OptionHandler> = new Map<number, OptionHandler>([
  [OPT_EXPORT_NAME, { ...USUAL, canBeRefused: false, data: 'taken', answer: answerExportName }],
  [OPT_ABORT, { ...USUAL, worksDuringShutdown: true, data: 'ignored', answer: answerAbort }],
  [OPT_LIST, { ...USUAL, data: 'refused', answer: answerList }],
  [OPT_INFO, { ...USUAL, data: 'taken', answer: answerInfo }],
  [OPT_GO, { ...USUAL, data: 'taken', answer: answerGo }],
  [OPT_STRUCTURED_REPLY, { ...USUAL, data: 'refused', answer: answerStructuredReply }],
  [OPT_LIST_META_CONTEXT, { ...USUAL, data: 'taken', answer: answerListMetaContext }],
  [OPT_SET_META_CONTEXT, { ...USUAL, dropsContexts: true, data: 'taken', answer: answerSetMetaContext }],
  [OPT_EXTENDED_HEADERS, { ...USUAL, data: 'refused', answer: answerExtendedHeaders }],
]);

/** Whatever has no row above; that includes STARTTLS as long as there is no TLS (H6, T1). */
const UNKNOWN_OPTION: OptionHandler = { ...USUAL, data: 'ignored', answer: answerUnknown };

/** There is one for every number. */
export function handlerOf(option: number): OptionHandler {
  return OPTION_HANDLERS.get(option) ?? UNKNOWN_OPTION;
}

/** ACK, then close. The client may be gone before it reads the ACK (H7). */
function answerAbort(context: OptionContext, option: number): OptionOutcome {
  writeAck(context.output, option);
  return { kind: 'close', reason: 'the client ended the handshake (ABORT)', orderly: true };
}

/** One SERVER reply for each export, then ACK (H8). */
function answerList(context: OptionContext, option: number): OptionOutcome {
  for (const offer of context.directory.list()) {
    writeServer(context.output, option, offer.name, offer.description);
  }
  writeAck(context.output, option);
  return CONTINUE;
}

function answerUnknown(context: OptionContext, option: number): OptionOutcome {
  writeError(context.output, option, REP_ERR_UNSUP, `${optionName(option)} is not supported by this server`);
  return CONTINUE;
}
