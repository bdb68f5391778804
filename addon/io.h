// What an I/O on a file is, whichever way it is carried out: by AIO, in place, or by a worker thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "ring.h"

namespace aionbd {

// How many writes would block, of those that were asked not to. Where holes are filled most do, and while one
// of them is with a worker its neighbours need not be asked, but for a few, since holes come to an end. A
// single one says nothing of others: a page of the page cache had to be thrown out, say.
class Blocking {
 public:
  // Whether to ask while a write is with a worker.
  bool asks() { return share_ <= kOften || ++passed_over_ % kRarely == 0; }
  void answered(bool would_block) { share_ += ((would_block ? 1.0f : 0.0f) - share_) * kWeight; }

 private:
  static constexpr float kOften = 0.25f, kWeight = 1.0f / 16;
  static constexpr uint32_t kRarely = 16;

  float share_ = 0;
  uint32_t passed_over_ = 0;
};

// Whether reads and writes of a file are complete when io_submit returns: it lies in memory then. A signal
// for each completion is a twentieth of all work per request, and nobody waits for it. One that takes longer
// after all is looked for each millisecond, and it takes twice as many in a row until there are none again.
class Promptness {
 public:
  bool wants_signals() const { return in_row_ < wanted_in_row_; }
  void ended(bool at_once, bool signalled) {
    if (at_once) {
      if (in_row_ < wanted_in_row_) in_row_++;
      return;
    }
    // Several of one batch may be late; that counts once.
    if (!signalled && !wants_signals() && wanted_in_row_ < kMost) wanted_in_row_ *= 2;
    in_row_ = 0;
  }

 private:
  static constexpr uint32_t kFewest = 256, kMost = 65536;

  uint32_t in_row_ = 0;
  uint32_t wanted_in_row_ = kFewest;
};

// A file as TypeScript registered it. The descriptor belongs to TypeScript.
struct File {
  int fd = -1;
  bool direct = false;
  bool block_device = false;
  // Its filesystem has no disk or process behind it that could keep I/O waiting (tmpfs).
  bool in_memory = false;
  // Learned: cleared for good when the kernel answers EOPNOTSUPP to RWF_NOWAIT.
  bool nowait_reads = true;
  bool nowait_writes = true;
  uint32_t in_flight = 0;        // I/O that has not completed: until then the number stays taken
  uint32_t blocking_writes = 0;  // writes now with the workers
  Blocking blocking;
  Promptness promptness;
};

struct IoRequest {
  Op op = Op::kNone;
  uint32_t flags = 0;
  uint32_t tag = 0;
  int32_t file = -1;
  uint8_t* buffer = nullptr;
  uint64_t length = 0;
  uint64_t offset = 0;
  uint64_t capacity = 0;  // kExtents: bytes that `buffer` has room for
  uint64_t done = 0;      // kRead: bytes before `buffer` and `offset` that have been moved already
};

// Carries the request out with system calls that block. Returns bytes moved (fewer than asked for only where
// the file ends), 0 for operations that move none, or a negative errno.
int64_t run_blocking(int fd, bool block_device, const IoRequest& request);

// One try that does not wait for the disk: moves fewer bytes where only the beginning is cached. -EAGAIN: it
// would have to wait for all of it; -EOPNOTSUPP: this file can't say.
int64_t read_in_place(int fd, const IoRequest& request);

}  // namespace aionbd
