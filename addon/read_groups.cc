#include "read_groups.h"

#include <algorithm>

namespace aionbd {

bool ReadGroups::next(IoRequest* request) {
  if (!has_more() || size_ >= most_) return false;
  size_++;
  *request = put_off_[first_++];
  if (!has_more()) {
    clear();
  } else if (first_ > put_off_.size() / 2) {
    // Of a queue that is never empty. Each read is moved little so.
    put_off_.erase(put_off_.begin(), put_off_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return true;
}

bool ReadGroups::cancel(uint32_t tag, IoRequest* removed) {
  const auto start = put_off_.begin() + static_cast<std::ptrdiff_t>(first_);
  const auto found = std::find_if(start, put_off_.end(), [tag](const IoRequest& r) { return r.tag == tag; });
  if (found == put_off_.end()) return false;
  *removed = *found;
  put_off_.erase(found);
  if (!has_more()) clear();
  return true;
}

void ReadGroups::clear() {
  put_off_.clear();
  first_ = 0;
}

}  // namespace aionbd
