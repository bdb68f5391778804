#include "workers.h"

#include <pthread.h>
#include <unistd.h>

#include "threads.h"

namespace aionbd {

void Workers::add(const WorkItem& item) {
  outstanding_++;
  bool start = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(item);
    start = queue_.size() > idle_ && threads_.size() < most_threads_;
  }
  if (start) {
    pthread_t thread;
    if (start_thread(
            &thread,
            [](void* self) -> void* {
              static_cast<Workers*>(self)->run();
              return nullptr;
            },
            this)) {
      threads_.push_back(thread);
    } else if (threads_.empty()) {
      std::unique_lock<std::mutex> lock(mutex_);
      carry_out_next(&lock);
    }
  }
  available_.notify_one();
}

bool Workers::cancel(uint32_t tag, WorkItem* removed) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = queue_.begin(); it != queue_.end(); ++it) {
    if (it->request.tag == tag) {
      *removed = *it;
      queue_.erase(it);
      outstanding_--;
      return true;
    }
  }
  return false;
}

void Workers::take_finished(std::vector<WorkItem>* into) {
  std::lock_guard<std::mutex> lock(mutex_);
  outstanding_ -= static_cast<uint32_t>(finished_.size());
  into->insert(into->end(), finished_.begin(), finished_.end());
  finished_.clear();
}

void Workers::drop_queued() {
  std::lock_guard<std::mutex> lock(mutex_);
  outstanding_ -= static_cast<uint32_t>(queue_.size());
  queue_.clear();
}

void Workers::stop() {
  drop_queued();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  available_.notify_all();
  for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  threads_.clear();
}

void Workers::run() {
  pthread_setname_np(pthread_self(), "aionbd-worker");
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    idle_++;
    available_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    idle_--;
    if (stopping_) return;
    carry_out_next(&lock);
  }
}

void Workers::carry_out_next(std::unique_lock<std::mutex>* lock) {
  WorkItem item = queue_.front();
  queue_.pop_front();
  lock->unlock();
  item.result = run_blocking(item.fd, item.block_device, item.request);
  lock->lock();
  finished_.push_back(item);
  if (finished_.size() == 1) {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then the reactor is awake anyway.
    [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
  }
}

}  // namespace aionbd
