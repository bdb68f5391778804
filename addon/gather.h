// When to let requests gather. A client that has many replies still to read waits for none of ours: served at
// once, its requests come in ones and twos, each few with a turn of their own; served some microseconds later
// they come by the dozen and share a turn's system calls, and the core that client and server share is the
// client's meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "busy_poll.h"

namespace aionbd {

// Sleeps as short as the system can: some microseconds, ended by a timer, which costs less than being woken.
class Naps {
 public:
  // Where sleeps take long on average, because others want the processor or because timers are coarse, there
  // is none for a while. `now` and what is returned are the time, ns.
  uint64_t nap(uint64_t now);

 private:
  static constexpr uint64_t kLongNs = 20'000;
  // A single long one is nothing: an interrupt, or a neighbour on the same machine.
  static constexpr uint64_t kLongestCountedNs = 200'000;
  static constexpr uint64_t kWeight = 16;

  Pause pause_;
  uint64_t usual_ns_ = 0;
};

// Learns what a reply takes in a socket's queue, and tells from the length of the queue how many lie unread.
class UnreadReplies {
 public:
  // `bytes` have left in one call, and with them the last bytes of `replies`.
  void sent(size_t bytes, size_t replies) {
    if (replies == 0) return;
    const double each = (static_cast<double>(bytes) + kPerCall) / static_cast<double>(replies);
    bytes_each_ += (each - bytes_each_) * kWeight;
    at_most_ += static_cast<double>(replies);
  }
  // False if there can't be that many, and nobody needs to look at the queue.
  bool may_be(double replies) const { return at_most_ >= replies; }
  // The queue was looked at and is that long. True if so many replies are unread, or more.
  bool are(double replies, int queued_bytes) {
    at_most_ = queued_bytes / bytes_each_;
    return at_most_ >= replies;
  }

  // They keep a client busy for longer than a nap takes; one that has fewer in flight is never waited for.
  static constexpr double kMany = 8;
  // That much is left after a nap only where dozens are in flight; one with 16 would wait for a second nap.
  static constexpr double kPlenty = 16;

 private:
  // What the kernel adds to each call's bytes, about; it counts the memory that they take.
  static constexpr double kPerCall = 768;
  static constexpr double kWeight = 1.0 / 8;

  double bytes_each_ = 4096;
  double at_most_ = 0;  // at the last look, and all that have left since
};

}  // namespace aionbd
