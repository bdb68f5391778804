// When to let requests gather. A client that has many replies still to read waits for none of ours: served at
// once, its requests come in ones and twos, each few with a turn of their own; served a little later they
// come by the dozen and share a turn's system calls. So where a turn has had few, we sleep until the client
// has read a good part of its replies: what has gathered by then lasts for several turns. The kernel tells
// when: a Unix socket turns writable when no more than a quarter of its send buffer is unread. Being woken so
// costs both sides less than a timer does, above all in a virtual machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "busy_poll.h"

namespace aionbd {

// Learns what a reply takes in a socket's queue, and tells from the length of the queue how many lie unread.
class UnreadReplies {
 public:
  // `bytes` have left in one call, and with them the last bytes of `replies`.
  void sent(size_t bytes, size_t replies) {
    if (replies == 0) return;
    const double each = (static_cast<double>(bytes) + kPerCall) / static_cast<double>(replies);
    bytes_each_ += (each - bytes_each_) * kWeight;
    at_most_ += static_cast<double>(replies);
    lately_ += replies;
  }
  // How many have left since this was asked last.
  size_t take_lately() { return std::exchange(lately_, 0); }
  // The queue is that long.
  void look(int queued_bytes) { at_most_ = queued_bytes / bytes_each_; }
  // There are no more than those that were unread at the last look, and all that have left since.
  double at_most() const { return at_most_; }

  // A client with fewer waits for us, or soon will.
  static constexpr double kSome = 4;
  // One with fewer may have asked for a single thing, whose reply leaves in pieces.
  static constexpr double kMany = 8;
  // A turn with no more is dear: the next one had better have more.
  static constexpr size_t kFew = 2;

 private:
  // What the kernel adds to each call's bytes, about; it counts the memory that they take.
  static constexpr double kPerCall = 768;
  static constexpr double kWeight = 1.0 / 8;

  double bytes_each_ = 4096;
  double at_most_ = 0;
  size_t lately_ = 0;
};

// The mark in a socket's queue down to which its reader should have read when we are woken: the lower it is,
// the more has gathered by then, but the reader should not run dry before its next replies come. How long
// that takes depends on the machine and on others that want the processor, so it is learned. All in bytes as
// the kernel counts them, which are those of the memory that they take.
class LowWater {
 public:
  // No mark may be higher than `most_bytes`, or the socket would hold more than it is to.
  explicit LowWater(int most_bytes) : most_bytes_(most_bytes) {}

  // A queue that long was seen. Returns a mark to set from now on, or 0 for that which is set.
  int look(int queued_bytes);
  // The reader was waited for. In time: it came to the mark, and had something left to read when its next
  // replies came.
  void waited(bool in_time);
  // Whether a reader that is late could not have been told of much earlier.
  bool is_highest() const { return part_ >= kHighest; }
  void set(int mark_bytes) { mark_bytes_ = mark_bytes; }
  // 0: none is set.
  int mark_bytes() const { return mark_bytes_; }
  // Whether a reader of a queue that long is soon at the mark.
  bool is_near(int queued_bytes) const {
    return queued_bytes > mark_bytes_ && queued_bytes - mark_bytes_ <= kMostReadBytes;
  }

  // The kernel puts up to 36 KiB into one piece and counts it until its last byte is read. With less than
  // three pieces a reader may have nothing left when the kernel tells of the first.
  static constexpr int kShortestQueueBytes = 96 << 10;

 private:
  // What a reader takes a tenth of a millisecond or two for.
  static constexpr int kMostReadBytes = 512 << 10;
  static constexpr int kLooks = 32;
  // Parts of the longest queue; a socket's buffer is four times the mark. Being late in one of five times
  // costs less than what gathers meanwhile is worth, and the step up is four of those down. Much larger steps
  // overshoot, since a mark stays for a while.
  static constexpr double kHighest = 0.75, kLowest = 1.0 / 3;
  static constexpr double kStepUp = 1.0 / 256, kStepDown = kStepUp / 4;

  const int most_bytes_;
  int mark_bytes_ = 0;
  // Of so many looks, the longest queue: about what the client has asked for at once.
  int looks_ = 0;
  int longest_bytes_ = 0;
  double part_ = kHighest;
};

// Whether waiting for a reader is worth it. Where even the highest mark is told of so late that the reader
// has run dry, since others want the processor or since wake-ups are slow here, or where it is not reached,
// there is none for a while.
class InTime {
 public:
  bool may_wait(uint64_t now) const { return pause_.is_over(now); }
  // We waited. In time: something came, and the reader had something left to read when we were awake again.
  void woke(uint64_t now, bool in_time);

 private:
  static constexpr double kWeight = 1.0 / 16;
  static constexpr double kOften = 1.0 / 4;

  Pause pause_;
  double late_share_ = 0;  // of such waits
};

}  // namespace aionbd
