// Linux AIO: the raw system calls and a context with a fixed pool of control blocks. No policy here: what a
// result means, and what to do about it, is the reactor's business.
#pragma once

#include <linux/aio_abi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "counters.h"
#include "io.h"

namespace aionbd {

// A control block with what is needed to carry its request out again in another way.
struct AioBlock {
  iocb control{};
  IoRequest request;
  bool nowait = false;
  bool in_use = false;
  uint32_t round = 0;  // in which it was submitted

  bool signals() const { return (control.aio_flags & IOCB_FLAG_RESFD) != 0; }
};

class AioContext {
 public:
  AioContext() = default;
  ~AioContext();
  AioContext(const AioContext&) = delete;
  AioContext& operator=(const AioContext&) = delete;

  // `result_fd` is an eventfd that the kernel signals at completions. Returns 0 or a negative errno
  // (-EAGAIN: fs.aio-max-nr is used up).
  int open(unsigned depth, int result_fd, bool reap_in_user_space);
  // Where to count from now on.
  void count_in(Counters* counters) { counters_ = counters; }
  // Waits in the kernel for whatever is in flight, and tens of milliseconds in any case (RCU).
  void close();

  bool has_capacity() const { return !free_.empty(); }
  unsigned in_flight() const { return in_flight_; }
  // Of these, those whose completion nothing tells of.
  unsigned unsignalled() const { return unsignalled_; }

  // Takes a block from the pool and puts it into the next batch. `signals`: its completion signals
  // `result_fd`. Call only with has_capacity().
  void prepare(const IoRequest& request, int fd, bool nowait, bool signals);
  // Puts a block that came back into the next batch again, without RWF_NOWAIT.
  void prepare_again(AioBlock* block);
  void release(AioBlock* block);

  // Hands the batch to the kernel. `refused(block, error)` is called for each block that the kernel would not
  // take; -EAGAIN leaves the rest of the batch for the next call unless nothing is in flight.
  template <typename Refused>
  void submit(Refused&& refused) {
    size_t start = 0;
    while (start < batch_.size()) {
      const int taken = submit_some(batch_.data() + start, batch_.size() - start);
      counters_->io_submit_calls++;
      if (taken > 0) {
        counters_->io_submitted += taken;
        note_taken(batch_.data() + start, static_cast<size_t>(taken));
        start += static_cast<size_t>(taken);
        continue;
      }
      if (taken == -EINTR_VALUE) continue;
      if (taken == -EAGAIN_VALUE && in_flight_ > 0) break;
      AioBlock* block = block_of(batch_[start]);
      start++;
      refused(block, taken);
    }
    // `refused` may have appended, but only behind what is left.
    batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(start));
  }

  // What is reaped in the same round as it was submitted was complete at once.
  void begin_round() { round_++; }
  bool was_at_once(const AioBlock* block) const { return block->round == round_; }

  bool has_batch() const { return !batch_.empty(); }
  // Forgets what has not been handed to the kernel.
  void drop_batch();

  // Whether reap() would find something, if that can be told without a system call.
  bool has_completed() const;

  // Calls `done(block, result)` for each completion that is there. Does not wait.
  template <typename Done>
  unsigned reap(Done&& done) {
    unsigned count = 0;
    for (;;) {
      const unsigned got = reap_some();
      for (unsigned i = 0; i < got; i++) {
        AioBlock* block = reinterpret_cast<AioBlock*>(events_[i].data);
        in_flight_--;
        if (!block->signals()) unsignalled_--;
        done(block, static_cast<int64_t>(events_[i].res));
      }
      count += got;
      if (got < kReapBatch) return count;
    }
  }

 private:
  static constexpr unsigned kReapBatch = 256;
  static constexpr int EINTR_VALUE = 4;
  static constexpr int EAGAIN_VALUE = 11;

  int submit_some(iocb** blocks, size_t count);
  unsigned reap_some();
  // The kernel has taken these.
  void note_taken(iocb* const* taken, size_t n) {
    in_flight_ += static_cast<unsigned>(n);
    for (size_t i = 0; i < n; i++) {
      AioBlock* block = block_of(taken[i]);
      block->round = round_;
      if (!block->signals()) unsignalled_++;
    }
  }
  static AioBlock* block_of(iocb* control) { return reinterpret_cast<AioBlock*>(control->aio_data); }

  aio_context_t context_ = 0;
  void* ring_ = nullptr;  // the kernel's completion ring, if its layout is the known one
  int result_fd_ = -1;
  Counters* counters_ = nullptr;
  unsigned in_flight_ = 0;
  unsigned unsignalled_ = 0;
  uint32_t round_ = 0;
  std::vector<AioBlock> blocks_;
  std::vector<AioBlock*> free_;
  std::vector<iocb*> batch_;
  io_event events_[kReapBatch];
};

}  // namespace aionbd
