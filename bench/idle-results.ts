/** What `npm run bench:idle` writes as JSON. */
export interface IdleResults {
  readonly kind: 'idle';
  readonly connections: number;
  readonly bufferMemoryMib: number;
  readonly commit: string;
  readonly stages: readonly IdleStage[];
}

/** What the server's process has grown by since it had no connection, divided by the connections, KiB. */
export interface IdleStage {
  readonly name: string;
  readonly pssKibPerConnection: number;
  readonly rssKibPerConnection: number;
  /** The part of it in the server's block of buffer memory; undefined if the mapping could not be told apart. */
  readonly bufferKibPerConnection: number | undefined;
}
