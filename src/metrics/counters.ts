/**
 * What one export has done, as plain numbers in typed arrays: the data path adds to them without allocating or
 * calling out, and a scrape reads them. Indices of `requests` are NBD command numbers (READ 0 … BLOCK_STATUS 7).
 */
export class ExportCounters {
  /** Requests received, by command number; index 15 counts commands we do not know. */
  readonly requests = new Float64Array(16);
  /** Requests answered with an error, by command number, same indices as `requests`. */
  readonly errors = new Float64Array(16);
  /** [0] bytes read by clients, [1] bytes written by clients; only of requests that succeeded. */
  readonly bytes = new Float64Array(2);
  /** [0] clients now connected in the transmission phase, [1] clients since the start. */
  readonly connections = new Float64Array(2);
}

/** Index into the per-command arrays of {@link ExportCounters} for a command number from the wire. */
export const UNKNOWN_COMMAND_INDEX = 15;
