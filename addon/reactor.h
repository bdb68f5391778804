// One thread's I/O: the two arrays, AIO, sockets and workers around one epoll set that hangs in Node's event
// loop.
//
// It knows descriptors, memory and system calls. What the bytes mean is TypeScript's business.
#pragma once

#include <pthread.h>
#include <uv.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aio.h"
#include "busy_poll.h"
#include "counters.h"
#include "io.h"
#include "memory.h"
#include "read_groups.h"
#include "ring.h"
#include "sockets.h"
#include "unique_fd.h"
#include "workers.h"

namespace aionbd {

struct ReactorOptions {
  size_t memory_bytes = 0;
  unsigned queue_depth = 0;          // direct I/Os in the kernel at once
  unsigned submission_capacity = 0;  // entries
  unsigned completion_capacity = 0;  // entries
  unsigned worker_threads = 0;
  bool reap_in_user_space = true;
  // See BusyPoll.
  bool busy_poll_auto = false;
  uint32_t busy_poll_us = 0;
};

class Reactor : public std::enable_shared_from_this<Reactor> {
 public:
  // Called from the event loop when there is something to do; is to call turn(), and what must happen around
  // it.
  using WakeCallback = std::function<void()>;
  // Called in a turn when completions lie in the array: how many.
  using TurnCallback = std::function<void(uint32_t count)>;
  using ClosedCallback = std::function<void()>;

  explicit Reactor(const ReactorOptions& options);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // 0 or a negative errno; `*step` then names the call that failed.
  int open(uv_loop_t* loop, WakeCallback on_wake, TurnCallback on_turn, const char** step);

  void turn();

  // Hands over the first `count` submissions and brings back what is already complete, as on_turn would.
  uint32_t submit(uint32_t count);
  // Hands over submissions without touching the completion array.
  void push(uint32_t count);
  // Makes on_turn come soon if completions wait to be delivered.
  void wake();

  // Ends everything: sockets are closed, what has not started is dropped, what is in flight is waited for.
  // `closed` comes from the event loop. on_turn is not called any more.
  void close(ClosedCallback closed);
  bool closing() const { return phase_ != Phase::kOpen; }

  int add_file(int fd, bool direct, bool block_device);
  // -EBUSY while I/O on it is in flight: its number could become another file's.
  int remove_file(int file);
  // Takes over the descriptor.
  int add_listener(int fd, bool tcp);
  int remove_listener(int listener);
  const Listener* listener(int number) const;
  const Connection* connection(int number) const;
  // Gives a connection's descriptor away, for another reactor of this process: from now on it is the
  // caller's. -EBUSY while something is queued on it.
  int detach_connection(int number);
  // Takes over a connected, non-blocking socket; the connection's number. It is closed if that fails.
  int adopt_connection(int fd);

  const std::shared_ptr<Memory>& memory() const { return memory_; }
  const std::shared_ptr<Memory>& submissions() const { return submissions_; }
  const std::shared_ptr<Memory>& completions() const { return completions_; }
  // Where to count from now on, until the reactor is closed; null for memory of its own.
  void count_in(Counters* counters);
  unsigned io_in_flight() const { return aio_.in_flight(); }

 private:
  // kClosing: what is in flight is waited for. kDestroying: a thread gives the AIO context back, since the
  // kernel takes tens of milliseconds for that. kClosed: only libuv's close callback is still to come.
  enum class Phase { kOpen, kClosing, kDestroying, kClosed };

  static void on_poll(uv_poll_t* handle, int status, int events);
  bool work();
  bool look(BusyPoll& policy, uint64_t window_ns);
  bool gather(uint64_t now);
  void await_reader(int number, Connection& connection, uint64_t now);
  int poll_events(int timeout_ms);
  void return_soon();
  void harvest();
  void harvest_aio();
  uint32_t deliver();
  void accept(const Submission& entry);
  void start_file_io(const Submission& entry);
  bool goes_in_groups(const IoRequest& request);
  void fill_group();
  void start_put_off();
  void route(const IoRequest& request);
  void to_aio(const IoRequest& request);
  void prepare(const IoRequest& request);
  void to_workers(const IoRequest& request);
  void instead_of_blocking(const IoRequest& request);
  void refused(AioBlock* block, int error);
  void finished(AioBlock* block, int64_t result);
  void redo_without_nowait(AioBlock* block);
  void redo_by_worker(AioBlock* block);
  void redo_instead_of_blocking(AioBlock* block);
  void take_from_workers();
  void cancel(uint32_t tag);
  void arm_receive(const Submission& entry);
  void disarm_receive(const Submission& entry);
  void receive(int number);
  void queue_send(const Submission& entry);
  void flush_sends();
  void flush_receives();
  void send(int number);
  void arm_accept(const Submission& entry);
  void accept_now(int number);
  void close_connection(const Submission& entry);
  void want_writable(int number, bool wanted);
  int watch(int fd, uint32_t events, uint64_t key, int operation);
  File* file(int number);
  Connection* open_connection(int number);
  int add_connection(UniqueFd fd);
  bool in_memory(double buffer, double length) const;
  // File operations that have not come back.
  size_t under_way() const { return aio_.in_flight() + workers_->outstanding(); }
  void complete(Op op, uint32_t tag, double result) {
    pending_.push_back({static_cast<uint32_t>(op), tag, result});
  }
  void complete_io(const IoRequest& request, int64_t result);
  void destroy_if_idle();
  void destroy();
  void finish_close();

  const ReactorOptions options_;
  std::shared_ptr<Memory> memory_, submissions_, completions_;
  UniqueFd epoll_, aio_event_, wake_event_;
  uv_poll_t* poll_ = nullptr;
  AioContext aio_;
  Counters own_counters_;
  Counters* counters_ = &own_counters_;
  std::unique_ptr<Workers> workers_;
  std::vector<File> files_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<int> free_connections_;
  std::vector<int> send_batch_;     // connections with something new to send
  std::vector<int> receive_batch_;  // connections to receive from without asking epoll
  ReadGroups groups_;
  std::deque<IoRequest> backlog_;       // direct I/O that found no free control block
  std::vector<Completion> pending_;     // complete, not yet handed to TypeScript
  std::vector<WorkItem> from_workers_;  // scratch
  BusyPoll busy_poll_;                  // of clients
  BusyPoll disk_poll_;                  // of disks: where one is slow, its clients may yet be quick
  InTime in_time_;
  uint64_t last_work_ns_ = 0;
  // The connection that bytes have come from since the last turn, and how often.
  static constexpr int kNobody = -1, kSeveral = -2;
  int heard_from_ = kNobody;
  unsigned times_heard_ = 0;
  // The reader that we have waited for and that came to its mark, until the turn that this leads to is over.
  int awaited_ = kNobody;
  bool reached_mark_ = false;
  bool in_turn_ = false;  // within on_turn_
  WakeCallback on_wake_;
  TurnCallback on_turn_;
  ClosedCallback on_closed_;
  std::shared_ptr<Reactor> self_;  // while the event loop has our handle
  Phase phase_ = Phase::kOpen;
  pthread_t destroyer_{};
  bool has_destroyer_ = false;
  std::atomic<bool> destroyed_ = false;
};

}  // namespace aionbd
