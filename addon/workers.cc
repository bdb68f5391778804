#include "workers.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "threads.h"

namespace aionbd {

namespace {

// So many items in line may be done before the reactor is told: a wake-up for each costs more than they do.
constexpr uint32_t kMostUnannounced = 16;
constexpr uint64_t kMostUnannouncedBytes = 256 * 1024;
// What is done is told no later than this, even if the next item in line blocks.
constexpr long kLateNanoseconds = 1'000'000;
// Then a line gives way to other work, if all threads are busy.
constexpr int kTurnItems = 64;
// Threads for all files are so many times those for one; where one is all that is wanted, it is.
constexpr size_t kShares = 8;
// So many taken items a line keeps at least before it moves the others to its beginning.
constexpr size_t kMostTaken = 256;

long futex(std::atomic<uint32_t>* word, int operation, uint32_t value) {
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation | FUTEX_PRIVATE_FLAG, value, nullptr,
                 nullptr, 0);
}

}  // namespace

WorkItem Workers::Line::take() {
  const WorkItem item = items[first++];
  if (empty()) {
    items.clear();
    first = 0;
  } else if (first >= kMostTaken && first * 2 >= items.size()) {
    items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(first));
    first = 0;
  }
  return item;
}

int Workers::open() {
  late_.reset(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  return late_ ? 0 : -errno;
}

void Workers::add(const WorkItem& item) {
  outstanding_++;
  added_.push_back(item);
}

void Workers::hand_over() {
  if (added_.empty()) return;
  unsigned wake = 0;
  size_t start = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const WorkItem& item : added_) enqueue(item);
    const size_t wanted = tasks_.size() > tokens_ ? tasks_.size() - tokens_ : 0;
    wake = static_cast<unsigned>(std::min<size_t>(wanted, idle_));
    idle_ -= wake;
    tokens_ += wake;
    const size_t most = most_threads_ > 1 ? kShares * most_threads_ : 1;
    start = std::min<size_t>(wanted - wake, most - threads_.size());
    if (wake > 0) wakes_.fetch_add(1, std::memory_order_relaxed);
  }
  added_.clear();
  if (wake > 0) futex(&wakes_, FUTEX_WAKE, wake);
  while (start > 0 && start_one()) start--;
  if (threads_.empty()) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!tasks_.empty()) carry_out_next(&lock);
  }
}

Workers::Line& Workers::line_of(const WorkItem& item) {
  const size_t number = static_cast<size_t>(item.request.file);
  if (number >= lines_.size()) lines_.resize(number + 1);
  return lines_[number];
}

void Workers::admit_next(Line* line) {
  if (!line->held.empty()) {
    tasks_.push_back(line->held.front());
    line->held.pop_front();
    return;
  }
  line->admitted--;
}

void Workers::enqueue(const WorkItem& item) {
  Line& line = line_of(item);
  if (!item.in_line) {
    if (line.admitted == most_threads_) return line.held.push_back(item);
    line.admitted++;
    tasks_.push_back(item);
    return;
  }
  line.items.push_back(item);
  if (line.served) return;
  line.served = true;
  WorkItem task;
  task.request.file = item.request.file;
  tasks_.push_back(task);
}

// The lock is held until it is known that there is a thread: nobody may take the token of one that is not
// started.
bool Workers::start_one() {
  std::lock_guard<std::mutex> lock(mutex_);
  pthread_t thread;
  if (start_thread(
          &thread,
          [](void* self) -> void* {
            static_cast<Workers*>(self)->run();
            return nullptr;
          },
          this)) {
    tokens_++;
    threads_.push_back(thread);
    return true;
  }
  return false;
}

bool Workers::cancel(uint32_t tag, WorkItem* removed) {
  const auto has_tag = [tag](const WorkItem& item) {
    return item.request.op != Op::kNone && item.request.tag == tag;
  };
  const auto take_from = [&](auto* items, auto begin) {
    const auto found = std::find_if(begin, items->end(), has_tag);
    if (found == items->end()) return false;
    *removed = *found;
    items->erase(found);
    outstanding_--;
    return true;
  };
  if (take_from(&added_, added_.begin())) return true;
  std::lock_guard<std::mutex> lock(mutex_);
  if (take_from(&tasks_, tasks_.begin())) {
    admit_next(&line_of(*removed));
    return true;
  }
  for (Line& line : lines_) {
    if (take_from(&line.held, line.held.begin())) return true;
    if (take_from(&line.items, line.items.begin() + static_cast<std::ptrdiff_t>(line.first))) return true;
  }
  return false;
}

void Workers::take_finished(std::vector<WorkItem>* into) {
  into->clear();
  std::lock_guard<std::mutex> lock(mutex_);
  into->swap(finished_);
  outstanding_ -= static_cast<uint32_t>(into->size());
  announced_ = false;
  unannounced_bytes_ = 0;
  unannounced_.store(0, std::memory_order_relaxed);
}

void Workers::drop_queued() {
  size_t dropped = added_.size();
  added_.clear();
  std::lock_guard<std::mutex> lock(mutex_);
  for (Line& line : lines_) {
    dropped += line.held.size();
    line.held.clear();
  }
  for (const WorkItem& task : tasks_) {
    Line& line = line_of(task);
    if (task.request.op != Op::kNone) {
      dropped++;
      line.admitted--;
    } else {
      // Who serves a line finds it empty; this one has nobody any more.
      line.served = false;
    }
  }
  tasks_.clear();
  for (Line& line : lines_) {
    dropped += line.items.size() - line.first;
    line.items.clear();
    line.first = 0;
  }
  outstanding_ -= static_cast<uint32_t>(dropped);
}

void Workers::stop() {
  drop_queued();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    wakes_.fetch_add(1, std::memory_order_relaxed);
  }
  futex(&wakes_, FUTEX_WAKE, INT_MAX);
  for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  threads_.clear();
}

void Workers::run() {
  pthread_setname_np(pthread_self(), "aionbd-worker");
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wait_for_token(&lock);
    if (stopping_) return;
    tokens_--;
    while (!tasks_.empty()) carry_out_next(&lock);
    idle_++;
  }
}

// The number was read with the lock held, and whoever gives a token changes it with the lock held: no wake-up
// is lost between unlocking and sleeping.
void Workers::wait_for_token(std::unique_lock<std::mutex>* lock) {
  while (tokens_ == 0 && !stopping_) {
    const uint32_t seen = wakes_.load(std::memory_order_relaxed);
    lock->unlock();
    futex(&wakes_, FUTEX_WAIT, seen);
    lock->lock();
  }
}

void Workers::carry_out_next(std::unique_lock<std::mutex>* lock) {
  WorkItem item = tasks_.front();
  tasks_.pop_front();
  if (item.request.op == Op::kNone) return serve_line(item.request.file, lock);
  lock->unlock();
  item.result = run_blocking(item.fd, item.block_device, item.request);
  lock->lock();
  admit_next(&line_of(item));
  if (!finish(item, true)) return;
  lock->unlock();
  signal();
  lock->lock();
}

void Workers::serve_line(int number, std::unique_lock<std::mutex>* lock) {
  // The vector may grow while the lock is not held.
  const auto line = [&]() -> Line& { return lines_[static_cast<size_t>(number)]; };
  for (int i = 0; i < kTurnItems && !line().empty(); i++) {
    WorkItem item = line().take();
    lock->unlock();
    item.result = run_blocking(item.fd, item.block_device, item.request);
    lock->lock();
    if (!finish(item, line().empty())) {
      // The first that nobody is told of: the next one may block.
      if (unannounced_.load(std::memory_order_relaxed) == 1) {
        const itimerspec late{{0, 0}, {0, kLateNanoseconds}};
        timerfd_settime(late_.get(), 0, &late, nullptr);
      }
      continue;
    }
    lock->unlock();
    signal();
    lock->lock();
  }
  if (line().empty()) {
    line().served = false;
    return;
  }
  WorkItem task;
  task.request.file = number;
  tasks_.push_back(task);
}

bool Workers::finish(const WorkItem& item, bool tell) {
  finished_.push_back(item);
  if (announced_) return false;
  const uint32_t count = unannounced_.load(std::memory_order_relaxed) + 1;
  unannounced_bytes_ += item.request.length;
  announced_ = tell || count >= kMostUnannounced || unannounced_bytes_ >= kMostUnannouncedBytes;
  unannounced_.store(announced_ ? 0 : count, std::memory_order_relaxed);
  return announced_;
}

void Workers::signal() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the reactor is awake anyway.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

}  // namespace aionbd
