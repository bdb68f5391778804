#include "reactor.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "event_key.h"
#include "threads.h"

namespace aionbd {

namespace {

constexpr int kEventsPerPoll = 256;
// As long as one callback of libuv may last while there is traffic, and as long as it waits for more of it.
constexpr uint64_t kLongestStayNs = 2'000'000;
constexpr int kLongestWaitMs = 1;
// Events that usually come later than this are waited for by libuv.
constexpr uint64_t kSeldomNs = 500'000;
// So many receives in one turn, or so much I/O under way: nobody waits for each single turn.
constexpr unsigned kManyAtOnce = 4;

}  // namespace

Reactor::Reactor(const ReactorOptions& options)
    : options_(options),
      busy_poll_(options.busy_poll_auto, options.busy_poll_us),
      disk_poll_(options.busy_poll_auto, options.busy_poll_us) {
  count_in(nullptr);
}

Reactor::~Reactor() = default;

int Reactor::open(uv_loop_t* loop, WakeCallback on_wake, TurnCallback on_turn, const char** step) {
  *step = "mmap";
  memory_ = Memory::allocate(options_.memory_bytes);
  submissions_ = Memory::allocate(options_.submission_capacity * sizeof(Submission));
  completions_ = Memory::allocate(options_.completion_capacity * sizeof(Completion));
  if (!memory_ || !submissions_ || !completions_) return -ENOMEM;

  *step = "epoll_create1";
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return -errno;
  *step = "eventfd";
  aio_event_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!aio_event_) return -errno;
  wake_event_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_event_) return -errno;

  // Edge-triggered and never read: every signal is an edge, and the counter has room for 2^64 of them.
  *step = "epoll_ctl";
  int result = watch(aio_event_.get(), EPOLLIN | EPOLLET, key_of(Source::kAio, 0), EPOLL_CTL_ADD);
  if (result != 0) return result;
  result = watch(wake_event_.get(), EPOLLIN | EPOLLET, key_of(Source::kWake, 0), EPOLL_CTL_ADD);
  if (result != 0) return result;

  *step = "io_setup";
  result = aio_.open(options_.queue_depth, aio_event_.get(), options_.reap_in_user_space);
  if (result != 0) return result;

  *step = "timerfd_create";
  workers_ = std::make_unique<Workers>(options_.worker_threads, wake_event_.get());
  result = workers_->open();
  if (result != 0) return result;
  *step = "epoll_ctl";
  result = watch(workers_->late_fd(), EPOLLIN | EPOLLET, key_of(Source::kWake, 0), EPOLL_CTL_ADD);
  if (result != 0) return result;
  pending_.reserve(options_.completion_capacity);
  on_wake_ = std::move(on_wake);
  on_turn_ = std::move(on_turn);

  *step = "uv_poll_init";
  poll_ = new uv_poll_t;
  result = uv_poll_init(loop, poll_, epoll_.get());
  if (result != 0) {
    delete poll_;
    poll_ = nullptr;
    return result;
  }
  poll_->data = this;
  uv_poll_start(poll_, UV_READABLE, on_poll);
  self_ = shared_from_this();
  return 0;
}

void Reactor::count_in(Counters* counters) {
  counters_ = counters ? counters : &own_counters_;
  aio_.count_in(counters_);
}

void Reactor::on_poll(uv_poll_t* handle, int, int) {
  static_cast<Reactor*>(handle->data)->on_wake_();
}

// As long as there is traffic, the reactor waits for more of it here, in its own epoll_wait: the way through
// libuv costs two or three further system calls and Node's bookkeeping, and Node makes an object in each
// round of its loop, which is garbage then. Node's other work has its turn every two milliseconds.
void Reactor::turn() {
  heard_from_ = kNobody;
  times_heard_ = 0;
  awaited_ = kNobody;
  poll_events(0);
  uint64_t now = now_ns();
  const uint64_t leave = now + kLongestStayNs;
  for (;;) {
    if (!work()) {
      // I/O without a signal is looked for once more a millisecond later: it seldom takes longer.
      if (aio_.unsignalled() == 0) return;
      poll_events(kLongestWaitMs);
      if (!work()) return return_soon();
    }
    busy_poll_.waited(now - last_work_ns_);
    now = last_work_ns_ = now_ns();
    if (phase_ != Phase::kOpen || now >= leave) return return_soon();
    const bool clients_wait = gather(now);
    BusyPoll& policy = under_way() > 0 ? disk_poll_ : busy_poll_;
    // Whoever has something to do but to wait for us is served better by what gathers meanwhile.
    const uint64_t window_ns = clients_wait ? policy.window_ns(now) : 0;
    if (!pending_.empty()) {
      // What one connection left over for the next turn is no reason for others to wait.
      poll_events(0);
    } else if (!look(policy, window_ns)) {
      // Where events come seldom, libuv waits as well as we do.
      if (busy_poll_.usual_wait_ns() > kSeldomNs) return return_soon();
      if (poll_events(kLongestWaitMs) == 0) return return_soon();
    }
    now = now_ns();
  }
}

// Handles what the events have led to. False if nothing was there for TypeScript.
bool Reactor::work() {
  if (phase_ == Phase::kDestroying) {
    if (destroyed_) finish_close();
    return false;
  }
  harvest();
  if (phase_ == Phase::kClosing) {
    pending_.clear();
    destroy_if_idle();
    return false;
  }
  const bool found = !pending_.empty();
  in_turn_ = true;
  if (found) {
    counters_->turns++;
    on_turn_(deliver());
  }
  in_turn_ = false;
  start_put_off();
  return found;
}

// Lets the only client that has something to ask read on, if it does not wait for us and asks for little at a
// time. Several clients gather by themselves while the others are served. True if clients wait for us, who
// are to be served as soon as they ask.
bool Reactor::gather(uint64_t now) {
  const bool many = times_heard_ >= kManyAtOnce || under_way() >= kManyAtOnce;
  const int number = heard_from_;
  Connection* connection = open_connection(number);
  heard_from_ = kNobody;
  times_heard_ = 0;
  awaited_ = kNobody;
  const double unread = connection ? connection->unread() : 0;
  const size_t sent = connection ? connection->take_sent() : 0;
  if (unread < UnreadReplies::kSome) return !many;
  if (unread >= UnreadReplies::kMany && sent <= UnreadReplies::kFew) await_reader(number, *connection, now);
  return false;
}

// Sleeps until the client has read a part of the replies that it has, unless something else comes. Its next
// requests are not listened to meanwhile.
void Reactor::await_reader(int number, Connection& connection, uint64_t now) {
  if (!pending_.empty() || connection.waits_to_send || !in_time_.may_wait(now)) return;
  if (!connection.lower_water()) return;
  const uint64_t key = key_of(Source::kConnection, number);
  watch(connection.fd(), EPOLLOUT | EPOLLRDHUP | EPOLLET, key, EPOLL_CTL_MOD);
  awaited_ = number;
  reached_mark_ = false;
  const bool came = poll_events(kLongestWaitMs) > 0;
  counters_->reader_waits++;
  // Whoever sleeps next would not be told again of I/O that has ended meanwhile.
  harvest();
  // What has come from the client meanwhile is an edge once more.
  watch(connection.fd(), EPOLLIN | EPOLLRDHUP | EPOLLET, key, EPOLL_CTL_MOD);
  if (!came) {
    connection.waited(false);
    in_time_.woke(now_ns(), false);
  } else if (reached_mark_ && connection.has_highest_water()) {
    in_time_.woke(now_ns(), !connection.ran_dry());
  }
  // Anything else that has come says nothing of the mark.
  if (!reached_mark_) awaited_ = kNobody;
}

// Looks for events without sleeping. True if there are any.
bool Reactor::look(BusyPoll& policy, uint64_t window_ns) {
  if (window_ns == 0) return false;
  policy.begin_look();
  const uint64_t began = now_ns();
  uint64_t now = began;
  bool found = false;
  while (now - began < window_ns) {
    found = aio_.has_completed() || poll_events(0) > 0;
    if (found) break;
    // Whoever waits for this processor gets it.
    sched_yield();
    const uint64_t before = now;
    now = now_ns();
    if (now - before > BusyPoll::kInterruptedNs && policy.pushed_aside(now)) return false;
  }
  // Whoever had the processor instead may have been the client.
  if (!found) found = aio_.has_completed() || poll_events(0) > 0;
  policy.looked(now - began, found);
  return found;
}

// No event will tell of I/O without signals, nor of what has come back already.
void Reactor::return_soon() {
  if (aio_.unsignalled() > 0 || !pending_.empty()) wake();
}

// Takes what epoll has, after waiting for it. Returns how many events there were.
int Reactor::poll_events(int timeout_ms) {
  epoll_event events[kEventsPerPoll];
  const int count = epoll_wait(epoll_.get(), events, kEventsPerPoll, timeout_ms);
  for (int i = 0; i < count; i++) {
    const Source source = static_cast<Source>(events[i].data.u64 >> 32);
    const int number = static_cast<int>(events[i].data.u64 & 0xffffffffu);
    const uint32_t what = events[i].events;
    switch (source) {
      case Source::kAio:
        break;  // harvest() looks at the ring in any case
      case Source::kWake:
        take_from_workers();
        break;
      case Source::kListener: {
        if (number >= static_cast<int>(listeners_.size()) || !listeners_[number]) break;
        listeners_[number]->ready = true;
        accept_now(number);
        break;
      }
      case Source::kConnection: {
        Connection* connection = open_connection(number);
        if (!connection) break;
        if (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) connection->hung_up = true;
        if ((what & EPOLLOUT) && number == awaited_) reached_mark_ = true;
        if (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
          connection->readable = true;
          receive(number);
        }
        if ((what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && connection->waits_to_send) send(number);
        break;
      }
    }
  }
  return count;
}

uint32_t Reactor::submit(uint32_t count) {
  push(count);
  return closing() ? 0 : deliver();
}

void Reactor::push(uint32_t count) {
  if (closing()) return;
  const auto* entries = reinterpret_cast<const Submission*>(submissions_->data());
  count = std::min(count, options_.submission_capacity);
  groups_.begin();
  for (uint32_t i = 0; i < count; i++) {
    const Submission& entry = entries[i];
    switch (static_cast<Op>(entry.op)) {
      case Op::kRead:
      case Op::kWrite:
      case Op::kSync:
      case Op::kTrim:
      case Op::kZero:
      case Op::kAdvise:
      case Op::kExtents:
      case Op::kWriteBack:
        start_file_io(entry);
        break;
      case Op::kRecv:
        arm_receive(entry);
        break;
      case Op::kSend:
        queue_send(entry);
        break;
      case Op::kAccept:
        arm_accept(entry);
        break;
      case Op::kClose:
        close_connection(entry);
        break;
      case Op::kCancel:
        cancel(entry.tag);
        break;
      case Op::kDisarm:
        disarm_receive(entry);
        break;
      default:
        complete(static_cast<Op>(entry.op), entry.tag, -EINVAL);
        break;
    }
  }
  // Replies first: their readers can go on while we talk to the disk.
  flush_sends();
  fill_group();
  harvest();
  start_put_off();
  flush_receives();
  if (!in_turn_ && aio_.unsignalled() > 0) wake();
}

uint32_t Reactor::deliver() {
  const size_t count = std::min<size_t>(pending_.size(), options_.completion_capacity);
  if (count == 0) return 0;
  // One look at the clock for all of them: requests that they begin or end take their times from it.
  counters_->clock_us = static_cast<double>(now_ns()) / 1e3;
  std::memcpy(completions_->data(), pending_.data(), count * sizeof(Completion));
  if (count == pending_.size()) {
    pending_.clear();
  } else {
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return static_cast<uint32_t>(count);
}

void Reactor::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_event_.get(), &one, sizeof one);
}

void Reactor::close(ClosedCallback closed) {
  on_closed_ = std::move(closed);
  if (closing()) return;
  phase_ = Phase::kClosing;
  connections_.clear();
  free_connections_.clear();
  send_batch_.clear();
  receive_batch_.clear();
  listeners_.clear();
  backlog_.clear();
  groups_.clear();
  aio_.drop_batch();
  pending_.clear();
  workers_->drop_queued();
  return_soon();
  destroy_if_idle();
}

void Reactor::destroy_if_idle() {
  if (under_way() > 0) return;
  phase_ = Phase::kDestroying;
  has_destroyer_ = start_thread(
      &destroyer_,
      [](void* self) -> void* {
        static_cast<Reactor*>(self)->destroy();
        return nullptr;
      },
      this);
  if (!has_destroyer_) destroy();
}

void Reactor::destroy() {
  workers_->stop();
  aio_.close();
  destroyed_ = true;
  wake();
}

void Reactor::finish_close() {
  if (has_destroyer_) pthread_join(destroyer_, nullptr);
  phase_ = Phase::kClosed;
  uv_poll_stop(poll_);
  // libuv lets go of the handle in its close callback and not before.
  uv_close(reinterpret_cast<uv_handle_t*>(poll_), [](uv_handle_t* handle) {
    auto* poll = reinterpret_cast<uv_poll_t*>(handle);
    auto* reactor = static_cast<Reactor*>(poll->data);
    delete poll;
    reactor->poll_ = nullptr;
    reactor->workers_.reset();
    reactor->epoll_.reset();
    reactor->aio_event_.reset();
    reactor->wake_event_.reset();
    const std::shared_ptr<Reactor> last = std::move(reactor->self_);
    if (last->on_closed_) last->on_closed_();
  });
}

}  // namespace aionbd
