// Reads of one client that come by the dozen and are done at once go in groups: the first replies leave while
// others are still to be read. A reader that has been let to run low (gather.h) is busy again sooner, and the
// groups of a turn still share its way through epoll, receiving and TypeScript.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "io.h"

namespace aionbd {

class ReadGroups {
 public:
  // A new group begins.
  void begin() {
    size_ = 0;
    most_ = kMostReads;
  }
  // This group takes all that there are: its first replies have to wait in any case.
  void open() { most_ = std::numeric_limits<size_t>::max(); }
  // Whether one more read has room in this group, with none waiting in front of it; it is counted then.
  bool admit() {
    if (has_more() || size_ >= most_) return false;
    size_++;
    return true;
  }
  // Leaves a read to the groups after this one.
  void put_off(const IoRequest& request) { put_off_.push_back(request); }
  bool has_more() const { return first_ < put_off_.size(); }
  // Takes the read that was put off first into this group. False if there is none or the group is full.
  bool next(IoRequest* request);
  // Takes a read out that was put off. False if there is none with this tag.
  bool cancel(uint32_t tag, IoRequest* removed);
  void clear();

  // A group of fewer costs more system calls than the reader gains.
  static constexpr size_t kMostReads = 8;

 private:
  size_t size_ = 0;
  size_t most_ = kMostReads;
  std::vector<IoRequest> put_off_;
  size_t first_ = 0;  // those before have been taken
};

}  // namespace aionbd
