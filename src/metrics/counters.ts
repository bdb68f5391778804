const COMMANDS = 16;
const DOUBLES = 2 * COMMANDS + 2 + 2;

/**
 * What one export has done, as plain numbers in typed arrays: the data path adds to them without allocating or
 * calling out, and a scrape reads them. Indices of `requests` are NBD command numbers (READ 0 … BLOCK_STATUS 7).
 */
export class ExportCounters {
  /** Memory for the counters of one thread that another thread reads. */
  static allocateShared(): SharedArrayBuffer {
    return new SharedArrayBuffer(DOUBLES * Float64Array.BYTES_PER_ELEMENT);
  }

  /** Requests received, by command number; index 15 counts commands we do not know. */
  readonly requests: Float64Array;
  /** Requests answered with an error, by command number, same indices as `requests`. */
  readonly errors: Float64Array;
  /** [0] bytes read by clients, [1] bytes written by clients; only of requests that succeeded. */
  readonly bytes: Float64Array;
  /** [0] clients now connected in the transmission phase, [1] clients since the start. */
  readonly connections: Float64Array;

  /** `memory` is from {@link allocateShared}, where another thread is to read; each counter has one thread that writes. */
  constructor(memory: ArrayBufferLike = new ArrayBuffer(DOUBLES * Float64Array.BYTES_PER_ELEMENT)) {
    const all = new Float64Array(memory);
    this.requests = all.subarray(0, COMMANDS);
    this.errors = all.subarray(COMMANDS, 2 * COMMANDS);
    this.bytes = all.subarray(2 * COMMANDS, 2 * COMMANDS + 2);
    this.connections = all.subarray(2 * COMMANDS + 2, DOUBLES);
  }
}

/** The sums of what several threads have counted. Each look at a property adds up afresh. */
export class SummedCounters implements ExportCounters {
  readonly #parts: readonly ExportCounters[];

  constructor(parts: readonly ExportCounters[]) {
    this.#parts = parts;
  }

  get requests(): Float64Array {
    return this.#sum((part) => part.requests);
  }

  get errors(): Float64Array {
    return this.#sum((part) => part.errors);
  }

  get bytes(): Float64Array {
    return this.#sum((part) => part.bytes);
  }

  get connections(): Float64Array {
    return this.#sum((part) => part.connections);
  }

  #sum(of: (part: ExportCounters) => Float64Array): Float64Array {
    return this.#parts.map(of).reduce((sums, counts) => sums.map((sum, i) => sum + counts[i]!));
  }
}

/** Index into the per-command arrays of {@link ExportCounters} for a command number from the wire. */
export const UNKNOWN_COMMAND_INDEX = 15;
