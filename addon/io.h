// What an I/O on a file is, whichever way it is carried out: by AIO, in place, or by a worker thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "ring.h"

namespace aionbd {

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
  uint32_t in_flight = 0;  // I/O that has not completed: until then the number stays taken
  // Writes now with the workers, and how many of those that were asked not to block would have, lately: its
  // share. Where holes are filled most do, and while one is with the workers its neighbours need not be
  // asked. A single one (the kernel had a time stamp to write) says nothing of the others.
  uint32_t blocking_writes = 0;
  float would_block = 0;

  void asked(bool would) { would_block += ((would ? 1.0f : 0.0f) - would_block) / 16; }
  bool most_block() const { return would_block > 0.25f; }
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
