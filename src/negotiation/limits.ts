/** Bounds on what a client may make the handshake do (H18). A deadline and a cap on connections are the server's. */
export interface NegotiationLimits {
  /** Options in one handshake; the connection is closed at the next one. */
  readonly maximumOptions: number;
  /** Data of one option that is kept to be understood, bytes. More is skipped and answered ERR_TOO_BIG. */
  readonly maximumOptionDataBytes: number;
  /** Queries of one LIST_META_CONTEXT or SET_META_CONTEXT; more are answered ERR_TOO_BIG. */
  readonly maximumMetaQueries: number;
  /** Data of one option that is skipped to stay in sync, bytes. An option that claims more ends the connection. */
  readonly maximumSkippedBytes: number;
  /**
   * Answers that may be waiting when one more option is found in the same piece of input, bytes. A client must not
   * send an option before it has the answer to the last one; ones that do are served, but not into endless memory.
   */
  readonly maximumPipelinedAnswerBytes: number;
}

export const DEFAULT_LIMITS: NegotiationLimits = Object.freeze({
  // A client that looks at each of many thousand exports with INFO stays below it.
  maximumOptions: 65_536,
  // INFO with the longest name and every information type that may ever exist a few times over takes a tenth.
  maximumOptionDataBytes: 64 * 1024,
  // There are a few contexts, and each is worth one query.
  maximumMetaQueries: 1024,
  maximumSkippedBytes: 64 * 1024 * 1024,
  maximumPipelinedAnswerBytes: 1024 * 1024,
});
