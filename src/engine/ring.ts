import { readFileSync } from 'node:fs';
import { AionbdError } from '../errors.js';
import { loadAddon, type NativeReactor } from './addon.js';
import { RING_CELLS, RING_CLOCK } from './ring-counters.js';

// The layout of the arrays is in addon/ring.h; these numbers must agree with it.
export const OP_READ = 1;
export const OP_WRITE = 2;
export const OP_SYNC = 3;
export const OP_TRIM = 4;
export const OP_ZERO = 5;
export const OP_ADVISE = 6;
export const OP_RECV = 7;
export const OP_SEND = 8;
export const OP_ACCEPT = 9;
export const OP_CLOSE = 10;
export const OP_CANCEL = 11;
export const OP_EXTENTS = 12;
export const OP_DISARM = 13;
export const OP_WRITE_BACK = 14;

/** Complete only when the change is on stable storage. */
export const IO_DURABLE = 1 << 0;
/** OP_ZERO: the range may lose its blocks. */
export const IO_MAY_PUNCH = 1 << 1;
/** OP_ZERO: -EOPNOTSUPP, and nothing changed, where zeroes would have to be written like data. */
export const IO_FAST = 1 << 2;

/** What OP_EXTENTS leaves in memory for each extent: two doubles, its length in bytes and its kind. */
export const EXTENT_BYTES = 16;
export const EXTENT_DATA = 0;
/** Reads as zeroes, and no block is written there. */
export const EXTENT_HOLE = 1;

/** Takes the completions of one reactor. Results below 0 are negative errnos. */
export interface CompletionSink {
  complete(op: number, tag: number, result: number): void;
  /** After each batch of completions, before what it led to is submitted. */
  batchEnd(): void;
}

/** Where file operations lie: data in memory, length and position in the file, in bytes, by number. */
export interface IoTable {
  readonly data: Float64Array;
  readonly length: Float64Array;
  readonly offset: Float64Array;
}

export interface RingOptions {
  readonly memoryBytes: number;
  readonly queueDepth: number;
  readonly workerThreads?: number;
  readonly reapInUserSpace?: boolean;
  /** Default off. */
  readonly busyPoll?: BusyPoll;
  /** Where the reactor counts: RING_CELLS doubles, in shared memory perhaps. Default: memory of its own. */
  readonly counters?: Float64Array;
}

/**
 * How long the reactor looks for events before it sleeps: not at all, always for so many µs, or for at most
 * {@link AUTO_BUSY_POLL_US} and only where it has been worth it.
 */
export type BusyPoll = 'auto' | 'off' | number;

/** The longest window of `auto`, µs: longer than most answers of a client on the same machine or a fast network take. */
export const AUTO_BUSY_POLL_US = 100;

const SUBMISSION_CAPACITY = 4096;
const COMPLETION_CAPACITY = 4096;
const WORDS_PER_SUBMISSION = 16;
const DOUBLES_PER_SUBMISSION = 8;
const DEFAULT_WORKER_THREADS = 16;
/** Batches handled before the reactor looks for what else has come. */
const BATCHES_PER_TURN = 64;
const EAGAIN = 11;

/**
 * TypeScript's side of a reactor: writes submissions, hands them over in batches, gives completions to the sink.
 * Whoever submits from outside of a completion (a timer, a promise) calls {@link kick} afterwards.
 */
export class Ring {
  /** All memory that I/O may use; offsets into it are what submissions carry. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The same memory as doubles, for what {@link extents} leaves there. */
  readonly doubles: Float64Array;
  readonly native: NativeReactor;
  /** See ring-counters.ts. */
  readonly counters: Float64Array;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #completedWords: Uint32Array;
  readonly #completedDoubles: Float64Array;
  #sink: CompletionSink = { complete() {}, batchEnd() {} };
  #count = 0;
  #inTurn = false;
  #closed: Promise<void> | undefined;

  /** Throws AIONBD_E_AIO_LIMIT, AIONBD_E_MEMORY or AIONBD_E_ADDON. */
  constructor(options: RingOptions) {
    const { Reactor } = loadAddon();
    this.counters = options.counters ?? new Float64Array(RING_CELLS);
    try {
      this.native = new Reactor(
        {
          memoryBytes: options.memoryBytes,
          queueDepth: options.queueDepth,
          submissionCapacity: SUBMISSION_CAPACITY,
          completionCapacity: COMPLETION_CAPACITY,
          workerThreads: options.workerThreads ?? DEFAULT_WORKER_THREADS,
          reapInUserSpace: options.reapInUserSpace ?? true,
          busyPollMicroseconds: busyPollMicroseconds(options.busyPoll ?? 'off'),
          busyPollAuto: options.busyPoll === 'auto',
          counters: this.counters,
        },
        (count) => this.#turn(count),
      );
    } catch (cause) {
      throw explain(cause, options);
    }
    this.bytes = new Uint8Array(this.native.memory);
    this.view = new DataView(this.native.memory);
    this.doubles = new Float64Array(this.native.memory, 0, Math.floor(this.native.memory.byteLength / 8));
    this.#words = new Int32Array(this.native.submissions);
    this.#doubles = new Float64Array(this.native.submissions);
    this.#completedWords = new Uint32Array(this.native.completions);
    this.#completedDoubles = new Float64Array(this.native.completions);
  }

  /** Before the first submission. */
  attach(sink: CompletionSink): void {
    this.#sink = sink;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** An operation on a file. Which of the arguments count depends on `op`; see addon/ring.h. */
  file(
    op: number,
    file: number,
    buffer: number,
    length: number,
    offset: number,
    flags: number,
    tag: number,
  ): void {
    this.#entry(op, flags, file, tag, buffer, length, offset, 0, 0);
  }

  /**
   * {@link file} with everything taken from a table; the tag is the number in it. An offset beyond 2^31 given as an argument
   * would be allocated by V8.
   */
  fileOf(op: number, file: number, table: IoTable, number: number, flags: number): void {
    if (this.#count === SUBMISSION_CAPACITY) this.#makeRoom();
    const word = this.#count * WORDS_PER_SUBMISSION;
    const double = this.#count * DOUBLES_PER_SUBMISSION;
    this.#count++;
    const words = this.#words;
    const doubles = this.#doubles;
    words[word] = op;
    words[word + 1] = flags;
    words[word + 2] = file;
    words[word + 3] = number;
    doubles[double + 2] = table.data[number]!;
    doubles[double + 3] = table.length[number]!;
    doubles[double + 4] = table.offset[number]!;
  }

  /**
   * Finds out which parts of a range of a file hold data; leaves up to `capacityBytes` / {@link EXTENT_BYTES} extents
   * at `buffer`. The result is their number.
   */
  extents(
    file: number,
    buffer: number,
    capacityBytes: number,
    length: number,
    offset: number,
    tag: number,
  ): void {
    this.#entry(OP_EXTENTS, 0, file, tag, buffer, length, offset, 0, capacityBytes);
  }

  /** Receives up to `length` bytes at `buffer`, and what comes in the same call after them at `overflow`. */
  receive(
    connection: number,
    buffer: number,
    length: number,
    overflow: number,
    overflowLength: number,
    tag: number,
  ): void {
    this.#entry(OP_RECV, 0, connection, tag, buffer, length, 0, overflow, overflowLength);
  }

  /** Gives up the armed receive: it completes with -ECANCELED and has brought nothing, unless it has just completed. */
  disarm(connection: number): void {
    this.#entry(OP_DISARM, 0, connection, 0, 0, 0, 0, 0, 0);
  }

  /** Sends the header and then the data; the completion comes when both have left. */
  send(
    connection: number,
    header: number,
    headerLength: number,
    buffer: number,
    length: number,
    tag: number,
  ): void {
    this.#entry(OP_SEND, 0, connection, tag, buffer, length, 0, header, headerLength);
  }

  /** Takes one connection from a listener; the result is the connection's number. */
  accept(listener: number, tag: number): void {
    this.#entry(OP_ACCEPT, 0, listener, tag, 0, 0, 0, 0, 0);
  }

  /** Closes a connection. What is queued on it completes first, with -ECANCELED. */
  close(connection: number, tag: number): void {
    this.#entry(OP_CLOSE, 0, connection, tag, 0, 0, 0, 0, 0);
  }

  /** Gives up the file operation with this tag if it has not started. */
  cancel(tag: number): void {
    this.#entry(OP_CANCEL, 0, 0, tag, 0, 0, 0, 0, 0);
  }

  /**
   * How many bytes are still to be received on a connection whose other side has closed; the last of them lie at the end
   * of `tail` then, behind zeroes. Below 0 while more may come. A system call, so nothing for the data path.
   */
  peekEnd(connection: number, tail: Uint8Array): number {
    return this.#closed ? -1 : this.native.peekEnd(connection, tail);
  }

  /** Gives the pages of a range of memory that nothing uses back to the system. They come back as zeroes. */
  release(offset: number, bytes: number): void {
    if (!this.#closed) this.native.release(offset, bytes);
  }

  /** Whether the kernel may hold what is used of these huge pages of memory in one piece, with what is not used. */
  allowHugePages(offset: number, bytes: number, allowed: boolean): void {
    if (!this.#closed) this.native.allowHugePages(offset, bytes, allowed);
  }

  /** Submits what was written outside of a completion, and handles what that completes. */
  kick(): void {
    if (this.#inTurn || this.#closed) return;
    this.counters[RING_CLOCK] = nowMicroseconds();
    this.#turn(0);
  }

  /** Ends the reactor; resolves when nothing of it is in flight any more. */
  shutdown(): Promise<void> {
    this.#count = 0;
    this.#closed ??= new Promise((resolve) => this.native.close(resolve));
    return this.#closed;
  }

  #entry(
    op: number,
    flags: number,
    target: number,
    tag: number,
    buffer: number,
    length: number,
    offset: number,
    auxBuffer: number,
    auxLength: number,
  ): void {
    if (this.#count === SUBMISSION_CAPACITY) this.#makeRoom();
    const word = this.#count * WORDS_PER_SUBMISSION;
    const double = this.#count * DOUBLES_PER_SUBMISSION;
    this.#count++;
    const words = this.#words;
    const doubles = this.#doubles;
    words[word] = op;
    words[word + 1] = flags;
    words[word + 2] = target;
    words[word + 3] = tag;
    doubles[double + 2] = buffer;
    doubles[double + 3] = length;
    doubles[double + 4] = offset;
    doubles[double + 5] = auxBuffer;
    doubles[double + 6] = auxLength;
  }

  #makeRoom(): void {
    // A sink may still be at work on the batch in which it closed the ring; nothing of that goes anywhere.
    if (!this.#closed) this.native.push(this.#count);
    this.#count = 0;
  }

  #turn(completed: number): void {
    this.#inTurn = true;
    try {
      let count = completed;
      for (let batch = 0; batch < BATCHES_PER_TURN; batch++) {
        this.#dispatch(count);
        if (this.#closed || (this.#count === 0 && count < COMPLETION_CAPACITY)) return;
        const submitted = this.#count;
        this.#count = 0;
        count = this.native.submit(submitted);
        if (count === 0) return;
      }
      this.#dispatch(count);
      if (this.#closed) return;
      const submitted = this.#count;
      this.#count = 0;
      this.native.push(submitted);
      this.native.wake();
    } finally {
      this.#inTurn = false;
    }
  }

  #dispatch(count: number): void {
    const words = this.#completedWords;
    const doubles = this.#completedDoubles;
    const sink = this.#sink;
    for (let i = 0; i < count; i++) {
      sink.complete(words[i * 4]!, words[i * 4 + 1]!, doubles[i * 2 + 1]!);
    }
    sink.batchEnd();
  }
}

/** The clock that the addon has, which other batches take their time from. */
function nowMicroseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

function busyPollMicroseconds(busyPoll: BusyPoll): number {
  if (busyPoll === 'auto') return AUTO_BUSY_POLL_US;
  return busyPoll === 'off' ? 0 : busyPoll;
}

function explain(cause: unknown, options: RingOptions): unknown {
  const failure = cause as { errno?: number; syscall?: string; message?: string };
  if (failure.syscall === 'io_setup' && failure.errno === EAGAIN) {
    const limit = readNumber('/proc/sys/fs/aio-max-nr');
    const used = readNumber('/proc/sys/fs/aio-nr');
    const needed = used + options.queueDepth;
    return new AionbdError(
      'AIONBD_E_AIO_LIMIT',
      `the limit fs.aio-max-nr=${limit} is used up (${used} in use) and a queue depth of ${options.queueDepth} ` +
        `needs it to be at least ${needed}; raise it with "sysctl -w fs.aio-max-nr=${roomy(needed)}" or lower --queue-depth`,
      { cause },
    );
  }
  if (failure.syscall === 'mmap' || (cause instanceof RangeError && /memoryBytes/.test(cause.message))) {
    const wanted = `${options.memoryBytes} bytes of buffer memory`;
    return new AionbdError('AIONBD_E_MEMORY', `${wanted} cannot be had; lower --buffer-memory`, { cause });
  }
  return cause;
}

function readNumber(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return Number.NaN;
  }
}

/** The next power of two that leaves room for others. */
function roomy(needed: number): number {
  return 2 ** Math.max(20, Math.ceil(Math.log2(needed * 2)));
}
