#include "reactor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "threads.h"

namespace aionbd {

namespace {

constexpr int kEventsPerPoll = 256;

// What an epoll event belongs to, in the upper half of its data; the lower half is a number of that kind.
enum class Source : uint32_t { kAio, kWake, kListener, kConnection };

uint64_t key_of(Source source, int number) {
  return static_cast<uint64_t>(source) << 32 | static_cast<uint32_t>(number);
}

bool moves_data(Op op) {
  return op == Op::kRead || op == Op::kWrite;
}

// Doubles are exact up to here; it is also far below what the kernel's off_t can hold.
constexpr double kMostBytes = 9007199254740992.0;

// False for what is no number of bytes, among it NaN. Fractions are cut off.
bool is_byte_count(double value) {
  return value >= 0 && value <= kMostBytes;
}

}  // namespace

Reactor::Reactor(const ReactorOptions& options) : options_(options) {}

Reactor::~Reactor() = default;

int Reactor::open(uv_loop_t* loop, TurnCallback on_turn, const char** step) {
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

  workers_ = std::make_unique<Workers>(options_.worker_threads, wake_event_.get());
  pending_.reserve(options_.completion_capacity);
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

void Reactor::on_poll(uv_poll_t* handle, int, int) {
  static_cast<Reactor*>(handle->data)->turn();
}

void Reactor::turn() {
  poll_events();
  if (phase_ == Phase::kDestroying) {
    if (destroyed_) finish_close();
    return;
  }
  harvest();
  if (phase_ == Phase::kClosing) {
    pending_.clear();
    destroy_if_idle();
    return;
  }
  if (!pending_.empty()) on_turn_(deliver());
}

void Reactor::poll_events() {
  epoll_event events[kEventsPerPoll];
  const int count = epoll_wait(epoll_.get(), events, kEventsPerPoll, 0);
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
        if (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
          connection->readable = true;
          receive(number);
        }
        if ((what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && connection->waits_to_send) send(number);
        break;
      }
    }
  }
}

uint32_t Reactor::submit(uint32_t count) {
  push(count);
  return closing() ? 0 : deliver();
}

void Reactor::push(uint32_t count) {
  if (closing()) return;
  const auto* entries = reinterpret_cast<const Submission*>(submissions_->data());
  count = std::min(count, options_.submission_capacity);
  for (uint32_t i = 0; i < count; i++) {
    const Submission& entry = entries[i];
    switch (static_cast<Op>(entry.op)) {
      case Op::kRead:
      case Op::kWrite:
      case Op::kSync:
      case Op::kTrim:
      case Op::kZero:
      case Op::kAdvise:
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
      default:
        complete(static_cast<Op>(entry.op), entry.tag, -EINVAL);
        break;
    }
  }
  // Replies first: their readers can go on while we talk to the disk.
  flush_sends();
  harvest();
  flush_receives();
}

uint32_t Reactor::deliver() {
  const size_t count = std::min<size_t>(pending_.size(), options_.completion_capacity);
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

// ── files
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────

int Reactor::add_file(int fd, bool direct, bool block_device) {
  size_t number = 0;
  while (number < files_.size() && files_[number].fd >= 0) number++;
  if (number == files_.size()) files_.emplace_back();
  files_[number] = File{};
  files_[number].fd = fd;
  files_[number].direct = direct;
  files_[number].block_device = block_device;
  return static_cast<int>(number);
}

int Reactor::remove_file(int number) {
  File* known = file(number);
  if (!known) return -EBADF;
  if (known->in_flight > 0) return -EBUSY;
  known->fd = -1;
  return 0;
}

File* Reactor::file(int number) {
  if (number < 0 || number >= static_cast<int>(files_.size()) || files_[number].fd < 0) return nullptr;
  return &files_[number];
}

bool Reactor::in_memory(double buffer, double length) const {
  return buffer >= 0 && length >= 0 && buffer + length <= static_cast<double>(memory_->size());
}

void Reactor::start_file_io(const Submission& entry) {
  const Op op = static_cast<Op>(entry.op);
  if (!file(entry.target)) return complete(op, entry.tag, -EBADF);
  if (!is_byte_count(entry.offset) || !is_byte_count(entry.length)) return complete(op, entry.tag, -EINVAL);
  IoRequest request;
  request.op = op;
  request.flags = entry.flags;
  request.tag = entry.tag;
  request.file = entry.target;
  request.length = static_cast<uint64_t>(entry.length);
  request.offset = static_cast<uint64_t>(entry.offset);
  if (moves_data(op)) {
    if (!in_memory(entry.buffer, entry.length)) return complete(op, entry.tag, -EFAULT);
    request.buffer = memory_->data() + static_cast<size_t>(entry.buffer);
  }
  files_[request.file].in_flight++;
  route(request);
}

void Reactor::complete_io(const IoRequest& request, int64_t result) {
  files_[request.file].in_flight--;
  complete(request.op, request.tag, static_cast<double>(result));
}

void Reactor::route(const IoRequest& request) {
  File& target = files_[request.file];
  if (request.op == Op::kSync) return to_aio(request, target);
  if (!moves_data(request.op)) return to_workers(request);
  const bool is_write = request.op == Op::kWrite;
  if (target.direct) {
    // One write that has to wait means that its neighbours most likely have to as well (a hole being filled).
    if (is_write && !target.block_device && target.blocking_writes > 0) return to_workers(request);
    return to_aio(request, target);
  }
  bool& nowait = is_write ? target.nowait_writes : target.nowait_reads;
  if (nowait) {
    const int64_t result = try_in_place(target.fd, request);
    if (result == static_cast<int64_t>(request.length)) {
      return complete_io(request, result);
    }
    if (result == -EOPNOTSUPP) nowait = false;
  }
  to_workers(request);
}

void Reactor::to_aio(const IoRequest& request, const File& target) {
  if (!backlog_.empty() || !aio_.has_capacity()) {
    backlog_.push_back(request);
    return;
  }
  const bool nowait = request.op == Op::kRead    ? target.nowait_reads
                      : request.op == Op::kWrite ? target.nowait_writes
                                                 : false;
  aio_.prepare(request, target.fd, nowait);
}

void Reactor::to_workers(const IoRequest& request) {
  File& target = files_[request.file];
  if (request.op == Op::kWrite) target.blocking_writes++;
  WorkItem item;
  item.request = request;
  item.fd = target.fd;
  item.block_device = target.block_device;
  workers_->add(item);
}

void Reactor::take_from_workers() {
  from_workers_.clear();
  workers_->take_finished(&from_workers_);
  for (const WorkItem& item : from_workers_) {
    if (item.request.op == Op::kWrite) files_[item.request.file].blocking_writes--;
    complete_io(item.request, item.result);
  }
}

// Submits what is prepared, takes what has come back, and goes on as long as one leads to the other.
void Reactor::harvest() {
  for (;;) {
    if (aio_.has_batch()) {
      aio_.submit([this](AioBlock* block, int error) { refused(block, error); });
    }
    const unsigned reaped = aio_.reap([this](AioBlock* block, int64_t result) { finished(block, result); });
    bool moved = false;
    while (!backlog_.empty() && aio_.has_capacity()) {
      const IoRequest request = backlog_.front();
      backlog_.pop_front();
      const File& target = files_[request.file];
      aio_.prepare(request, target.fd,
                   request.op == Op::kRead    ? target.nowait_reads
                   : request.op == Op::kWrite ? target.nowait_writes
                                              : false);
      moved = true;
    }
    if (!aio_.has_batch()) return;
    // A batch is left although the kernel has I/O of ours: it is full, and the next completion brings us
    // back.
    if (reaped == 0 && !moved && aio_.in_flight() > 0) return;
  }
}

// The kernel would not take this block at all.
void Reactor::refused(AioBlock* block, int error) {
  const IoRequest& request = block->request;
  if (closing()) return aio_.release(block);
  if (error == -EOPNOTSUPP && block->nowait) return redo_without_nowait(block);
  if (error == -EAGAIN) return redo_by_worker(block);
  if (request.op == Op::kSync && (error == -EINVAL || error == -EOPNOTSUPP)) return redo_by_worker(block);
  complete_io(request, error);
  aio_.release(block);
}

void Reactor::finished(AioBlock* block, int64_t result) {
  const IoRequest& request = block->request;
  // Whoever asked is gone, and a retry would be a new I/O.
  if (closing()) return aio_.release(block);
  if (result == -EOPNOTSUPP && block->nowait) return redo_without_nowait(block);
  if (result == -EAGAIN) return redo_by_worker(block);
  if (request.op == Op::kSync && (result == -EINVAL || result == -EOPNOTSUPP)) return redo_by_worker(block);
  // Fewer bytes than asked for: the end of the file, a bad sector, or a full disk. A worker finds out, and
  // doing the whole again changes nothing that was done.
  if (moves_data(request.op) && result >= 0 && static_cast<uint64_t>(result) < request.length) {
    return redo_by_worker(block);
  }
  complete_io(request, result);
  aio_.release(block);
}

void Reactor::redo_without_nowait(AioBlock* block) {
  File& target = files_[block->request.file];
  (block->request.op == Op::kRead ? target.nowait_reads : target.nowait_writes) = false;
  aio_.prepare_again(block);
}

void Reactor::redo_by_worker(AioBlock* block) {
  const IoRequest request = block->request;
  aio_.release(block);
  to_workers(request);
}

void Reactor::cancel(uint32_t tag) {
  for (auto it = backlog_.begin(); it != backlog_.end(); ++it) {
    if (it->tag != tag) continue;
    complete_io(*it, -ECANCELED);
    backlog_.erase(it);
    return;
  }
  WorkItem removed;
  if (!workers_->cancel(tag, &removed)) return;
  if (removed.request.op == Op::kWrite) files_[removed.request.file].blocking_writes--;
  complete_io(removed.request, -ECANCELED);
}

// ── sockets
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

int Reactor::watch(int fd, uint32_t events, uint64_t key, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  return epoll_ctl(epoll_.get(), operation, fd, &event) == 0 ? 0 : -errno;
}

Connection* Reactor::open_connection(int number) {
  if (number < 0 || number >= static_cast<int>(connections_.size())) return nullptr;
  return connections_[number].get();
}

const Connection* Reactor::connection(int number) const {
  return const_cast<Reactor*>(this)->open_connection(number);
}

const Listener* Reactor::listener(int number) const {
  if (number < 0 || number >= static_cast<int>(listeners_.size())) return nullptr;
  return listeners_[number].get();
}

int Reactor::add_listener(int fd, bool tcp) {
  auto added = std::make_unique<Listener>();
  added->fd.reset(fd);
  added->tcp = tcp;
  const int number = static_cast<int>(listeners_.size());
  const int result = watch(fd, EPOLLIN | EPOLLET, key_of(Source::kListener, number), EPOLL_CTL_ADD);
  if (result != 0) return result;
  listeners_.push_back(std::move(added));
  return number;
}

int Reactor::remove_listener(int number) {
  if (!listener(number)) return -EBADF;
  if (listeners_[number]->armed) {
    complete(Op::kAccept, listeners_[number]->tag, -ECANCELED);
    wake();  // nobody may be about to submit
  }
  listeners_[number].reset();
  return 0;
}

void Reactor::arm_accept(const Submission& entry) {
  if (!listener(entry.target)) return complete(Op::kAccept, entry.tag, -EBADF);
  Listener& target = *listeners_[entry.target];
  if (target.armed) return complete(Op::kAccept, entry.tag, -EBUSY);
  target.armed = true;
  target.tag = entry.tag;
  accept_now(entry.target);
}

void Reactor::accept_now(int number) {
  Listener& target = *listeners_[number];
  if (!target.armed || !target.ready) return;
  const int fd = accept_connection(target);
  if (fd == -EAGAIN) {
    target.ready = false;
    return;
  }
  target.armed = false;
  if (fd < 0) return complete(Op::kAccept, target.tag, fd);
  int accepted;
  if (free_connections_.empty()) {
    accepted = static_cast<int>(connections_.size());
    connections_.emplace_back();
  } else {
    accepted = free_connections_.back();
    free_connections_.pop_back();
  }
  connections_[accepted] = std::make_unique<Connection>(UniqueFd(fd));
  const int result =
      watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLET, key_of(Source::kConnection, accepted), EPOLL_CTL_ADD);
  if (result != 0) {
    connections_[accepted].reset();
    free_connections_.push_back(accepted);
    return complete(Op::kAccept, target.tag, result);
  }
  complete(Op::kAccept, target.tag, accepted);
}

void Reactor::arm_receive(const Submission& entry) {
  Connection* connection = open_connection(entry.target);
  if (!connection) return complete(Op::kRecv, entry.tag, -EBADF);
  if (connection->receive.armed) return complete(Op::kRecv, entry.tag, -EBUSY);
  if (!in_memory(entry.buffer, entry.length) || !in_memory(entry.aux_buffer, entry.aux_length) ||
      entry.length < 1) {
    return complete(Op::kRecv, entry.tag, -EFAULT);
  }
  PendingReceive& pending = connection->receive;
  pending.armed = true;
  pending.tag = entry.tag;
  pending.buffer = memory_->data() + static_cast<size_t>(entry.buffer);
  pending.length = static_cast<size_t>(entry.length);
  pending.overflow = memory_->data() + static_cast<size_t>(entry.aux_buffer);
  pending.overflow_length = static_cast<size_t>(entry.aux_length);
  if (connection->readable) receive_batch_.push_back(entry.target);
}

void Reactor::flush_receives() {
  for (const int number : receive_batch_) receive(number);
  receive_batch_.clear();
}

void Reactor::receive(int number) {
  Connection* connection = open_connection(number);
  if (!connection || !connection->receive.armed || !connection->readable) return;
  const int64_t result = connection->receive_now();
  if (result == -EAGAIN) return;
  connection->receive.armed = false;
  complete(Op::kRecv, connection->receive.tag, static_cast<double>(result));
}

void Reactor::queue_send(const Submission& entry) {
  Connection* connection = open_connection(entry.target);
  if (!connection) return complete(Op::kSend, entry.tag, -EBADF);
  if (connection->send_error != 0) return complete(Op::kSend, entry.tag, connection->send_error);
  if (!in_memory(entry.buffer, entry.length) || !in_memory(entry.aux_buffer, entry.aux_length) ||
      (entry.length < 1 && entry.aux_length < 1)) {
    return complete(Op::kSend, entry.tag, -EFAULT);
  }
  SendPiece piece;
  piece.head = memory_->data() + static_cast<size_t>(entry.aux_buffer);
  piece.head_length = static_cast<size_t>(entry.aux_length);
  piece.data = memory_->data() + static_cast<size_t>(entry.buffer);
  piece.length = static_cast<size_t>(entry.length);
  piece.tag = entry.tag;
  connection->queue_send(piece);
  if (!connection->in_send_batch) {
    connection->in_send_batch = true;
    send_batch_.push_back(entry.target);
  }
}

void Reactor::flush_sends() {
  for (const int number : send_batch_) {
    Connection* connection = open_connection(number);
    // A number may have been closed, and even taken again, since it was put here.
    if (!connection || !connection->in_send_batch) continue;
    connection->in_send_batch = false;
    if (!connection->waits_to_send) send(number);
  }
  send_batch_.clear();
}

void Reactor::send(int number) {
  Connection* connection = open_connection(number);
  const int result = connection->send_now(
      [this](const SendPiece& piece) { complete(Op::kSend, piece.tag, static_cast<double>(piece.total())); });
  if (result == -EAGAIN) return want_writable(number, true);
  if (connection->waits_to_send) want_writable(number, false);
  if (result == 0) return;
  connection->send_error = result;
  connection->drop_pieces([this, result](const SendPiece& piece) { complete(Op::kSend, piece.tag, result); });
}

// EPOLLOUT is asked for only while a socket is full: it would wake us each time that the other side has read.
void Reactor::want_writable(int number, bool wanted) {
  Connection* connection = open_connection(number);
  if (connection->waits_to_send == wanted) return;
  connection->waits_to_send = wanted;
  watch(connection->fd(), EPOLLIN | EPOLLRDHUP | EPOLLET | (wanted ? static_cast<uint32_t>(EPOLLOUT) : 0u),
        key_of(Source::kConnection, number), EPOLL_CTL_MOD);
}

void Reactor::close_connection(const Submission& entry) {
  Connection* connection = open_connection(entry.target);
  if (!connection) return complete(Op::kClose, entry.tag, -EBADF);
  if (connection->receive.armed) complete(Op::kRecv, connection->receive.tag, -ECANCELED);
  // What this very batch queued still gets its chance; a full socket keeps the rest, which is dropped.
  if (connection->in_send_batch && !connection->waits_to_send && connection->send_error == 0)
    send(entry.target);
  connection->drop_pieces([this](const SendPiece& piece) { complete(Op::kSend, piece.tag, -ECANCELED); });
  connections_[entry.target].reset();
  free_connections_.push_back(entry.target);
  complete(Op::kClose, entry.tag, 0);
}

// ── the end
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

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
  aio_.drop_batch();
  pending_.clear();
  workers_->drop_queued();
  destroy_if_idle();
}

void Reactor::destroy_if_idle() {
  if (aio_.in_flight() > 0 || workers_->outstanding() > 0) return;
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
    reactor->epoll_.reset();
    reactor->aio_event_.reset();
    reactor->wake_event_.reset();
    const std::shared_ptr<Reactor> last = std::move(reactor->self_);
    if (last->on_closed_) last->on_closed_();
  });
}

}  // namespace aionbd
