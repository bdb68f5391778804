// What the addon counts for one reactor, as doubles in memory that other threads may read. The other half is
// addon/counters.h: the order must agree.

/** Now, as of the last batch of completions: µs of the system's monotonic clock. */
export const RING_CLOCK = 0;
/** Turns that had completions for TypeScript. */
export const RING_TURNS = 1;
export const RING_IO_SUBMIT_CALLS = 2;
/** I/O that io_submit has taken. */
export const RING_IO_SUBMITTED = 3;
/** I/O that would have blocked and was given to a worker. */
export const RING_NOWAIT_FALLBACKS = 4;
export const RING_RECEIVED_BYTES = 5;
/** Calls, those that brought nothing included. */
export const RING_RECEIVE_CALLS = 6;
export const RING_SENT_BYTES = 7;
export const RING_SEND_CALLS = 8;
/** Times that a client was waited for to read its replies, so that its requests gather. */
export const RING_READER_WAITS = 9;

/** Doubles that a reactor needs: whole cache lines. */
export const RING_CELLS = 16;
