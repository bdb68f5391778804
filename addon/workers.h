// A few threads for what has no asynchronous form, or would block: allocating writes, fallocate, cold
// page-cache reads. Started when they are needed.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "io.h"

namespace aionbd {

struct WorkItem {
  IoRequest request;
  int fd = -1;
  bool block_device = false;
  int64_t result = 0;
};

class Workers {
 public:
  // `wake_fd` is an eventfd that is signalled when finished items can be taken.
  Workers(unsigned most_threads, int wake_fd) : most_threads_(most_threads), wake_fd_(wake_fd) {}
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Where not even one thread can be started the item is carried out at once, and this call waits for it.
  void add(const WorkItem& item);
  // Removes an item that no thread has taken yet. False if there is none with this tag.
  bool cancel(uint32_t tag, WorkItem* removed);
  // Moves what has finished to the end of `into`.
  void take_finished(std::vector<WorkItem>* into);
  // Items added and not taken back by take_finished() or cancel().
  uint32_t outstanding() const { return outstanding_; }
  // Drops what no thread has taken.
  void drop_queued();
  // Drops what no thread has taken, waits for the rest, ends the threads. Nothing can be added afterwards.
  void stop();

 private:
  void run();
  // The queue is not empty; the lock is held, but not during the work.
  void carry_out_next(std::unique_lock<std::mutex>* lock);

  const unsigned most_threads_;
  const int wake_fd_;
  uint32_t outstanding_ = 0;  // the reactor's thread only

  std::mutex mutex_;
  std::condition_variable available_;
  std::deque<WorkItem> queue_;
  std::vector<WorkItem> finished_;
  unsigned idle_ = 0;
  bool stopping_ = false;
  std::vector<pthread_t> threads_;
};

}  // namespace aionbd
