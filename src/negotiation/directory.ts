/** Something that BLOCK_STATUS can tell of an export. */
export interface OfferedContext {
  /** What the connection's block status carries in its place; not 0. */
  readonly id: number;
  /** Namespace, colon, leaf. */
  readonly name: string;
}

/**
 * What negotiation knows of an export: enough to answer every option, nothing about files or connections.
 */
export interface ExportOffer {
  readonly name: string;
  /** Empty for none. */
  readonly description: string;
  readonly sizeBytes: number;
  /**
   * NBD_FLAG_* bits of the transmission phase, HAS_FLAGS included, for a connection that has agreed on nothing. What
   * else a connection is told depends on its handshake: see agreement.ts.
   */
  readonly transmissionFlags: number;
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes: number;
  readonly maximumPayloadBytes: number;
  readonly metaContexts: readonly OfferedContext[];
}

/** Looked up afresh for each option, so exports may come and go. */
export interface ExportDirectory {
  /** In the order to be listed. */
  list(): readonly ExportOffer[];
  /** The empty name finds the default export. The offer's `name` is the real one. */
  find(name: string): ExportOffer | undefined;
  /** True once shutdown has begun: options are answered ERR_SHUTDOWN (H17). */
  readonly shuttingDown: boolean;
}
