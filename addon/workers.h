// A few threads for what has no asynchronous form, or would block: allocating writes, fallocate, cold
// page-cache reads. Started when they are needed.
//
// One file gets no more than `most_threads` of them, and whatever it has taken up, others may have as many
// again: a file whose disk or filesystem hangs keeps its threads for good, and only those.
//
// Work is handed over once a turn, with one system call that wakes as many threads as there is work for.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "io.h"
#include "unique_fd.h"

namespace aionbd {

struct WorkItem {
  IoRequest request;
  int fd = -1;
  bool block_device = false;
  // Carried out one after the other with the others of its file: the kernel would do so anyway, with threads
  // that wait for each other.
  bool in_line = false;
  int64_t result = 0;
};

class Workers {
 public:
  // `wake_fd` is an eventfd that is signalled when finished items can be taken.
  Workers(unsigned most_threads, int wake_fd) : most_threads_(most_threads), wake_fd_(wake_fd) {}
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Makes the timer that late_fd() is. 0 or a negative errno.
  int open();
  // Readable when finished items may wait that nobody was told of: of items in line only every few are
  // signalled, and what comes after them may block.
  int late_fd() const { return late_.get(); }

  // The item waits for hand_over().
  void add(const WorkItem& item);
  // Gives what was added to the threads. Where not even one can be started it is carried out at once, and
  // this call waits for it.
  void hand_over();
  // Removes an item that no thread has taken yet. False if there is none with this tag.
  bool cancel(uint32_t tag, WorkItem* removed);
  // Replaces what is in `into` by what has finished.
  void take_finished(std::vector<WorkItem>* into);
  // Whether something has finished that nobody was told of.
  bool has_unannounced() const { return unannounced_.load(std::memory_order_relaxed) > 0; }
  // Items added and not taken back by take_finished() or cancel().
  uint32_t outstanding() const { return outstanding_; }
  // Drops what no thread has taken.
  void drop_queued();
  // Drops what no thread has taken, waits for the rest, ends the threads. Nothing can be added afterwards.
  void stop();

 private:
  // What one file has here; `items` are those in line.
  struct Line {
    // Of what is not in line: how much is in `tasks_` or at work, and what has to wait for that.
    unsigned admitted = 0;
    std::deque<WorkItem> held;
    std::vector<WorkItem> items;
    size_t first = 0;     // those before it are taken
    bool served = false;  // by a thread, or it stands in `tasks_` for one
    bool empty() const { return first == items.size(); }
    WorkItem take();
  };

  void enqueue(const WorkItem& item);
  Line& line_of(const WorkItem& item);
  // Something of the file's, not in line, is done or given up: what it has held back moves up.
  void admit_next(Line* line);
  void wait_for_token(std::unique_lock<std::mutex>* lock);
  void run();
  // There is a task; the lock is held, but not during the work.
  void carry_out_next(std::unique_lock<std::mutex>* lock);
  void serve_line(int number, std::unique_lock<std::mutex>* lock);
  // True: the reactor has to be told, by signal() without the lock.
  bool finish(const WorkItem& item, bool tell);
  void signal();
  bool start_one();

  const unsigned most_threads_;
  const int wake_fd_;
  UniqueFd late_;
  uint32_t outstanding_ = 0;     // the reactor's thread only, as is what was added
  std::vector<WorkItem> added_;  // since the last hand_over()
  std::vector<pthread_t> threads_;

  std::atomic<uint32_t> wakes_ = 0;        // threads sleep on it; changes with each wake-up
  std::atomic<uint32_t> unannounced_ = 0;  // finished since the last signal

  std::mutex mutex_;
  std::deque<WorkItem> tasks_;  // without an operation: the line of its file
  std::vector<Line> lines_;     // by file
  std::vector<WorkItem> finished_;
  uint64_t unannounced_bytes_ = 0;
  bool announced_ = false;  // signalled since they were last taken
  unsigned idle_ = 0;       // threads that sleep and were not woken
  unsigned tokens_ = 0;     // threads that were woken, or started, and did not look for work yet
  bool stopping_ = false;
};

}  // namespace aionbd
