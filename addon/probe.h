// What can be learned of an open file before it is served. Not for the data path.
#pragma once

#include <cstdint>

namespace aionbd {

struct FileFacts {
  int error = 0;  // negative errno: nothing else is valid
  bool regular = false;
  bool block_device = false;
  uint64_t size = 0;              // bytes
  uint32_t memory_alignment = 0;  // for direct I/O, bytes; 0: direct I/O does not work on this descriptor
  uint32_t offset_alignment = 0;
};

// For a descriptor opened with O_DIRECT the alignments are what the kernel reports (statx STATX_DIOALIGN, or
// the block device's logical block), or else the smallest with which a read works. Without O_DIRECT they are
// 0.
FileFacts probe_file(int fd);

// flock(2) without waiting: 0 or a negative errno (-EWOULDBLOCK: held by another).
int lock_file(int fd, bool exclusive);

}  // namespace aionbd
