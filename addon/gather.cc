#include "gather.h"

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>

namespace aionbd {

uint64_t Naps::nap(uint64_t now) {
  // Else the kernel adds 50 µs to each sleep, so that it can end several by one interrupt.
  static thread_local const bool is_exact = prctl(PR_SET_TIMERSLACK, 1) == 0;
  if (!is_exact || !pause_.is_over(now)) return now;
  const timespec shortest{0, 1};
  nanosleep(&shortest, nullptr);
  const uint64_t after = now_ns();
  usual_ns_ = (usual_ns_ * (kWeight - 1) + std::min(after - now, kLongestCountedNs)) / kWeight;
  if (usual_ns_ > kLongNs) {
    pause_.begin(after);
    usual_ns_ = 0;
  }
  return after;
}

}  // namespace aionbd
