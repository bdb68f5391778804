import { EXPORT, LAST_COMMAND, OPERATION, threadLayout, UNKNOWN_COMMAND } from './layout.js';
import type { ObservedThread } from './observation.js';

const COMMANDS = 16;
/** Index into the per-command arrays of {@link ExportCounters} for a command number from the wire that we do not know. */
export const UNKNOWN_COMMAND_INDEX = 15;

/**
 * The few counters of an export that a `ServedExport` shows. Indices of `requests` are NBD command numbers (READ 0 …
 * BLOCK_STATUS 7).
 */
export class ExportCounters {
  /** Requests received, by command number; index 15 counts commands we do not know. */
  readonly requests: Float64Array = new Float64Array(COMMANDS);
  /** Requests answered with an error, by command number, same indices as `requests`. */
  readonly errors: Float64Array = new Float64Array(COMMANDS);
  /** [0] bytes read by clients, [1] bytes written by clients; only of requests that succeeded. */
  readonly bytes: Float64Array = new Float64Array(2);
  /** [0] clients now connected in the transmission phase, [1] clients since the start. */
  readonly connections: Float64Array = new Float64Array(2);
}

/** The sums of what the threads have recorded of one export. Each look at a property adds up afresh. */
export class RecordedCounters implements ExportCounters {
  readonly #parts: readonly Float64Array[];

  /** Of the export with this number. */
  constructor(threads: readonly ObservedThread[], index: number) {
    this.#parts = threads.map(({ memory, connections, exports }) => {
      const at = threadLayout(connections, exports).exports + index * EXPORT.cells;
      return new Float64Array(memory).subarray(at, at + EXPORT.cells);
    });
  }

  get requests(): Float64Array {
    return byCommand((operation) => this.#sum(operation + OPERATION.requests));
  }

  get errors(): Float64Array {
    return byCommand((operation) => {
      let sum = 0;
      for (let at = OPERATION.errors; at < OPERATION.latencyCounts; at++) sum += this.#sum(operation + at);
      return sum;
    });
  }

  get bytes(): Float64Array {
    const [read, written] = [0, 1].map((command) => this.#sum(operationAt(command) + OPERATION.bytes));
    return Float64Array.of(read!, written!);
  }

  get connections(): Float64Array {
    return Float64Array.of(this.#sum(EXPORT.connections), this.#sum(EXPORT.connectionsTotal));
  }

  #sum(at: number): number {
    return this.#parts.reduce((sum, cells) => sum + cells[at]!, 0);
  }
}

function operationAt(command: number): number {
  return EXPORT.operations + command * OPERATION.cells;
}

function byCommand(value: (operation: number) => number): Float64Array {
  const values = new Float64Array(COMMANDS);
  for (let command = 0; command <= LAST_COMMAND; command++) {
    const index = command === UNKNOWN_COMMAND ? UNKNOWN_COMMAND_INDEX : command;
    values[index] = value(operationAt(command));
  }
  return values;
}
