// The reactor's sockets: when to accept, receive and send, and what epoll is asked for.
#include <sys/epoll.h>

#include <cerrno>

#include "event_key.h"
#include "reactor.h"

namespace aionbd {

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
  complete(Op::kAccept, target.tag, add_connection(UniqueFd(fd)));
}

int Reactor::add_connection(UniqueFd fd) {
  const int socket = fd.get();
  int number;
  if (free_connections_.empty()) {
    number = static_cast<int>(connections_.size());
    connections_.emplace_back();
  } else {
    number = free_connections_.back();
    free_connections_.pop_back();
  }
  connections_[number] = std::make_unique<Connection>(std::move(fd));
  // What has already arrived is an edge, too: adding a descriptor reports it.
  const int result =
      watch(socket, EPOLLIN | EPOLLRDHUP | EPOLLET, key_of(Source::kConnection, number), EPOLL_CTL_ADD);
  if (result == 0) return number;
  connections_[number].reset();
  free_connections_.push_back(number);
  return result;
}

int Reactor::adopt_connection(int fd) {
  return fd < 0 ? -EBADF : add_connection(UniqueFd(fd));
}

int Reactor::detach_connection(int number) {
  Connection* connection = open_connection(number);
  if (!connection) return -EBADF;
  if (connection->receive.armed || connection->has_pieces()) return -EBUSY;
  // The descriptor stays open, so epoll would go on telling of it.
  const int result = watch(connection->fd(), 0, 0, EPOLL_CTL_DEL);
  if (result != 0) return result;
  const int fd = connection->release();
  if (number == awaited_) awaited_ = kNobody;
  connections_[number].reset();
  free_connections_.push_back(number);
  return fd;
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

// Bytes are taken from the socket only while a receive is armed, so none can be lost here.
void Reactor::disarm_receive(const Submission& entry) {
  Connection* connection = open_connection(entry.target);
  if (!connection || !connection->receive.armed) return;
  connection->receive.armed = false;
  complete(Op::kRecv, connection->receive.tag, -ECANCELED);
}

void Reactor::flush_receives() {
  for (const int number : receive_batch_) receive(number);
  receive_batch_.clear();
}

void Reactor::receive(int number) {
  Connection* connection = open_connection(number);
  if (!connection || !connection->receive.armed || !connection->readable) return;
  const int64_t result = connection->receive_now();
  counters_->receive_calls++;
  if (result > 0) counters_->received_bytes += static_cast<double>(result);
  if (result == -EAGAIN) return;
  heard_from_ = heard_from_ == kNobody || heard_from_ == number ? number : kSeveral;
  times_heard_++;
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
  if (number == awaited_) {
    awaited_ = kNobody;
    connection->waited(!connection->ran_dry());
  }
  const int result = connection->send_now(counters_, [this](const SendPiece& piece) {
    complete(Op::kSend, piece.tag, static_cast<double>(piece.total()));
  });
  if (result == -EAGAIN) return want_writable(number, true);
  if (connection->waits_to_send) want_writable(number, false);
  if (result == 0) return;
  connection->send_error = result;
  connection->drop_pieces([this, result](const SendPiece& piece) { complete(Op::kSend, piece.tag, result); });
}

// While a socket is full, EPOLLOUT is asked for; always, it would wake us each time that the other side has
// read.
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
  if (entry.target == awaited_) awaited_ = kNobody;
  free_connections_.push_back(entry.target);
  complete(Op::kClose, entry.tag, 0);
}

}  // namespace aionbd
