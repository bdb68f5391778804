#include "gather.h"

#include <algorithm>
#include <cstdlib>

namespace aionbd {

int LowWater::look(int queued) {
  longest_ = std::max(longest_, queued);
  if (++looks_ < kLooks && mark_ > 0) return 0;
  const int wanted = std::max(longest_ / 4 * 3, longest_ - kMostRead);
  looks_ = 0;
  longest_ = 0;
  // Not every little change is worth a system call.
  return std::abs(wanted - mark_) > mark_ / 8 ? wanted : 0;
}

void InTime::woke(uint64_t now, bool reader_ran_dry) {
  dry_ += ((reader_ran_dry ? 1.0 : 0.0) - dry_) * kWeight;
  if (dry_ <= kOften) return;
  pause_.begin(now);
  dry_ = 0;
}

}  // namespace aionbd
