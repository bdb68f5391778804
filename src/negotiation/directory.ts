/**
 * What negotiation knows of the exports: enough to answer LIST, INFO and GO, nothing about files or connections.
 */
export interface ExportOffer {
  readonly name: string;
  /** Empty for none. */
  readonly description: string;
  readonly sizeBytes: number;
  /** NBD_FLAG_* bits of the transmission phase, HAS_FLAGS included. */
  readonly transmissionFlags: number;
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes: number;
  readonly maximumPayloadBytes: number;
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
