/** The options about what BLOCK_STATUS can tell: LIST_META_CONTEXT and SET_META_CONTEXT. */
import { REP_ERR_INVALID, REP_ERR_TOO_BIG } from '../protocol/constants.js';
import { optionName } from '../protocol/names.js';
import { decodeMetaContextRequest } from '../protocol/option.js';
import { writeAck, writeError, writeMetaContext } from '../protocol/option-reply.js';
import { decodeText } from '../protocol/text.js';
import type { OfferedContext } from './directory.js';
import { findExport, type NamedExport } from './find-export.js';
import type { OptionContext, OptionOutcome, Refusal } from './handler.js';
import { CONTINUE } from './step.js';

/** LIST_META_CONTEXT: what there is to select; a namespace without a leaf stands for all in it (H14). */
export function answerListMetaContext(
  context: OptionContext,
  option: number,
  data: Uint8Array,
): OptionOutcome {
  const read = readRequest(context, data);
  if (!read.ok) return refuse(context, option, read.refusal);
  const { named, queries, askedFor } = read.request;
  const listed = inOrder(named.offer.metaContexts).filter(
    ({ name }) => queries === 0 || askedFor.has(name) || askedFor.has(namespaceOf(name)),
  );
  // An id means something only once a context is selected.
  for (const { name } of listed) writeMetaContext(context.output, option, 0, name);
  writeAck(context.output, option);
  return CONTINUE;
}

/** SET_META_CONTEXT: selects by full name only. What was selected before is gone already (see handler.ts). */
export function answerSetMetaContext(
  context: OptionContext,
  option: number,
  data: Uint8Array,
): OptionOutcome {
  const read = readRequest(context, data);
  if (!read.ok) return refuse(context, option, read.refusal);
  const { named, askedFor } = read.request;
  const selected = inOrder(named.offer.metaContexts).filter(({ name }) => askedFor.has(name));
  for (const { id, name } of selected) writeMetaContext(context.output, option, id, name);
  writeAck(context.output, option);
  const metaContexts = Object.freeze(selected.map(({ id }) => id));
  return {
    kind: 'agreed',
    negotiated: { ...context.negotiated, metaContexts, metaContextsOf: named.name },
  };
}

/** A request that makes sense. */
interface MetaContextQuestion {
  readonly named: NamedExport;
  readonly queries: number;
  /** Those of the queries that could be a name, each once. */
  readonly askedFor: ReadonlySet<string>;
}

type ReadRequest =
  | { readonly ok: true; readonly request: MetaContextQuestion }
  | { readonly ok: false; readonly refusal: Refusal };

function readRequest({ directory, limits, negotiated }: OptionContext, data: Uint8Array): ReadRequest {
  if (negotiated.replies === 'simple') {
    return invalid('needs STRUCTURED_REPLY or EXTENDED_HEADERS first');
  }
  const request = decodeMetaContextRequest(data);
  if (request === undefined) {
    return invalid(`the lengths inside the data do not add up to its ${data.length} bytes`);
  }
  const { maximumMetaQueries } = limits;
  const queries = request.queries.length;
  if (queries > maximumMetaQueries) {
    const message = `${queries} queries are more than ${maximumMetaQueries}`;
    return { ok: false, refusal: { error: REP_ERR_TOO_BIG, message } };
  }
  const found = findExport(directory, request.name);
  if (!found.ok) return found;
  return { ok: true, request: { named: found.named, queries, askedFor: textsOf(request.queries) } };
}

function invalid(message: string): ReadRequest {
  return { ok: false, refusal: { error: REP_ERR_INVALID, message } };
}

function refuse(context: OptionContext, option: number, { error, message }: Refusal): OptionOutcome {
  writeError(context.output, option, error, `${optionName(option)}: ${message}`);
  return CONTINUE;
}

/** A query that is no proper string is the name of nothing, like one of a namespace we do not have (H16). */
function textsOf(queries: readonly Uint8Array[]): ReadonlySet<string> {
  const texts = new Set<string>();
  for (const query of queries) {
    const decoded = decodeText(query);
    if (decoded.ok) texts.add(decoded.text);
  }
  return texts;
}

function inOrder(contexts: readonly OfferedContext[]): OfferedContext[] {
  return contexts.toSorted((a, b) => a.id - b.id);
}

/** `base:` of `base:allocation`. */
function namespaceOf(name: string): string {
  return name.slice(0, name.indexOf(':') + 1);
}
