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
// Of what a look takes on average, one counts for 1/8, and 1/4 in a trial. They are worth it while that is at
// most 2/3 of the longest.
constexpr uint64_t kLookWeight = 8;
constexpr uint64_t kTrialWeight = 4;
constexpr uint64_t kWorthFactor = 2;
constexpr uint64_t kWorthDivisor = 3;
// The first looks of a trial find a client that is slow to wake up, as long as both processors sleep.
constexpr uint32_t kLooksPerTrial = 8;
constexpr uint32_t kMostWaitsPerTrial = 4096;
constexpr uint64_t kShortestPauseNs = 10'000'000;
// Whoever keeps a processor busy is noticed at once; what comes now and then is no reason for long pauses.
constexpr uint64_t kSoonNs = 20'000'000;
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
  const bool again = now < until_ + kSoonNs;
  length_ns_ = again ? std::min(length_ns_ * 2, kLongestPauseNs) : kShortestPauseNs;
  until_ = now + length_ns_;
}

BusyPoll::BusyPoll(bool automatic, uint32_t window_us)
    : automatic_(automatic),
      longest_window_ns_(automatic && has_one_processor() ? 0 : uint64_t{window_us} * 1000),
      usual_wait_ns_(kLongestWaitNs) {}

uint64_t BusyPoll::window_ns(uint64_t now) {
  if (!automatic_ || longest_window_ns_ == 0) return longest_window_ns_;
  if (!pause_.is_over(now)) return 0;
  if (trial_ == 0 && !is_worth_it()) {
    if (++waits_ < waits_per_trial_) return 0;
    waits_ = 0;
    trial_ = kLooksPerTrial;
  }
  return longest_window_ns_;
}

void BusyPoll::looked(uint64_t look_ns, bool found) {
  const uint64_t look = found ? std::min(look_ns, longest_window_ns_) : longest_window_ns_;
  const uint64_t weight = trial_ > 0 ? kTrialWeight : kLookWeight;
  usual_look_ns_ = (usual_look_ns_ * (weight - 1) + look) / weight;
  if (trial_ == 0 || --trial_ > 0) return;
  waits_per_trial_ =
      is_worth_it() ? kFewestWaitsPerTrial : std::min(waits_per_trial_ * 2, kMostWaitsPerTrial);
}

bool BusyPoll::is_worth_it() const {
  return usual_look_ns_ * kWorthDivisor <= longest_window_ns_ * kWorthFactor;
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
