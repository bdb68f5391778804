#include "busy_poll.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>

namespace aionbd {

namespace {

// Of what is averaged, a wait counts for 1/8; long ones count as this, so that one pause is soon forgotten.
constexpr uint64_t kWaitWeight = 8;
constexpr uint64_t kLongestWaitNs = 2'000'000;
constexpr uint64_t kShortestPauseNs = 10'000'000;
constexpr uint64_t kLongestPauseNs = 1'000'000'000;

// Where there is one processor for us, looking would keep our clients from it.
bool has_one_processor() {
  cpu_set_t usable;
  return sched_getaffinity(0, sizeof usable, &usable) == 0 && CPU_COUNT(&usable) == 1;
}

}  // namespace

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void Pause::begin(uint64_t now) {
  const bool again = now < until_ + 2 * length_ns_;
  length_ns_ = again ? std::min(length_ns_ * 2, kLongestPauseNs) : kShortestPauseNs;
  until_ = now + length_ns_;
}

BusyPoll::BusyPoll(bool automatic, uint32_t window_us)
    : automatic_(automatic),
      longest_window_ns_(automatic && has_one_processor() ? 0 : uint64_t{window_us} * 1000),
      usual_wait_ns_(kLongestWaitNs) {}

uint64_t BusyPoll::window_ns(uint64_t now) {
  if (!automatic_ || longest_window_ns_ == 0) return longest_window_ns_;
  if (usual_wait_ns_ > longest_window_ns_ || !pause_.is_over(now)) return 0;
  return longest_window_ns_;
}

bool BusyPoll::pushed_aside(uint64_t now) {
  const long before = switches_;
  switches_ = switches_of_thread();
  if (switches_ == before && switches_ >= 0) return false;
  pause_.begin(now);
  return true;
}

long BusyPoll::switches_of_thread() {
  rusage usage{};
  return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : -1;
}

void BusyPoll::waited(uint64_t wait_ns) {
  const uint64_t wait = std::min(wait_ns, kLongestWaitNs);
  usual_wait_ns_ = (usual_wait_ns_ * (kWaitWeight - 1) + wait) / kWaitWeight;
}

}  // namespace aionbd
