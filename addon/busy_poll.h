// How long the reactor looks for events before it sleeps. A wake-up costs as much as some tens of
// microseconds of looking, for both sides: the one that sleeps and the one that wakes it.
#pragma once

#include <cstdint>

namespace aionbd {

uint64_t now_ns();

// For what is worth its while only as long as nobody else wants the processor: how long to leave it alone.
// Longer each time when it happens again soon after.
class Pause {
 public:
  bool is_over(uint64_t now) const { return now >= until_; }
  void begin(uint64_t now);

 private:
  uint64_t length_ns_ = 0;
  uint64_t until_ = 0;
};

class BusyPoll {
 public:
  // `automatic`: look for at most `window_us`, and only where it has been worth it. Otherwise always for
  // `window_us`; 0 is never.
  BusyPoll(bool automatic, uint32_t window_us);

  // How long to look now, ns.
  uint64_t window_ns(uint64_t now);
  // A look has taken so long, and did it find something? How long sleeping took says little: most of it may have
  // been the waking up, of either side.
  void looked(uint64_t look_ns, bool found);
  // Events came after `wait_ns` without any.
  void waited(uint64_t wait_ns);
  // To be called before a look and where one was interrupted for longer than kInterruptedNs: whether another
  // thread of this machine has had the processor since the look began. Then nobody is to look for a while. A
  // virtual machine that stood still, or an interrupt, is no reason to sleep.
  void begin_look() { switches_ = switches_of_thread(); }
  bool pushed_aside(uint64_t now);
  // How long it takes on average until events come, ns.
  uint64_t usual_wait_ns() const { return usual_wait_ns_; }

  // Whoever needs the processor for as long as it gets keeps it for some milliseconds; our client, woken up
  // here, and the kernel's threads are through sooner.
  static constexpr uint64_t kInterruptedNs = 1'000'000;

 private:
  const bool automatic_;
  const uint64_t longest_window_ns_;
  uint64_t usual_wait_ns_;
  uint64_t usual_look_ns_ = 0;
  // Where looks are not worth it: waits since the last trial of some looks, of how many, and what is left of it.
  uint32_t waits_ = 0;
  uint32_t waits_per_trial_ = kFewestWaitsPerTrial;
  uint32_t trial_ = 0;
  long switches_ = 0;
  Pause pause_;

  static constexpr uint32_t kFewestWaitsPerTrial = 32;

  bool is_worth_it() const;

  // How often this thread has had to leave its processor to another one, though it could have gone on.
  static long switches_of_thread();
};

}  // namespace aionbd
