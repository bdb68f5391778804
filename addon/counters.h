// What one reactor counts, as doubles that TypeScript reads: on this thread, or through shared memory on any.
// The other half is src/engine/ring-counters.ts, and the order must agree.
#pragma once

#include <cstddef>

namespace aionbd {

struct Counters {
  double clock_us = 0;  // CLOCK_MONOTONIC when completions were handed over last
  double turns = 0;     // that had completions for TypeScript
  double io_submit_calls = 0;
  double io_submitted = 0;
  double nowait_fallbacks = 0;  // I/O that would have blocked, and was given to a worker
  double received_bytes = 0;
  double receive_calls = 0;
  double sent_bytes = 0;
  double send_calls = 0;
  double reader_waits = 0;  // for a client to read its replies
};

inline constexpr size_t kCounterCells = 16;
static_assert(sizeof(Counters) <= kCounterCells * sizeof(double),
              "RING_CELLS in src/engine/ring-counters.ts");

}  // namespace aionbd
