#include "gather.h"

#include <algorithm>
#include <cstdlib>

namespace aionbd {

int LowWater::look(int queued_bytes) {
  longest_bytes_ = std::max(longest_bytes_, queued_bytes);
  if (++looks_ < kLooks && mark_bytes_ > 0) return 0;
  const int part = static_cast<int>(longest_bytes_ * part_);
  const int wanted = std::max(part, longest_bytes_ - kMostReadBytes);
  const int mark = std::min(wanted, most_bytes_);
  looks_ = 0;
  longest_bytes_ = 0;
  // Not every little change is worth a system call.
  return std::abs(mark - mark_bytes_) > mark_bytes_ / 8 ? mark : 0;
}

void LowWater::waited(bool in_time) {
  part_ = std::clamp(part_ + (in_time ? -kStepDown : kStepUp), kLowest, kHighest);
}

void InTime::woke(uint64_t now, bool in_time) {
  late_share_ += ((in_time ? 0.0 : 1.0) - late_share_) * kWeight;
  if (late_share_ <= kOften) return;
  pause_.begin(now);
  late_share_ = 0;
}

}  // namespace aionbd
