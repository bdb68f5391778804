// Stream sockets without any idea of what travels over them: listeners, connections, and the queue of pieces
// that a connection has still to send. The reactor owns epoll and decides when to call what.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "counters.h"
#include "gather.h"
#include "unique_fd.h"

namespace aionbd {

struct SendPiece {
  const uint8_t* head = nullptr;  // a few bytes in front of the data
  size_t head_length = 0;
  const uint8_t* data = nullptr;
  size_t length = 0;
  uint32_t tag = 0;

  size_t total() const { return head_length + length; }
};

struct PendingReceive {
  bool armed = false;
  uint32_t tag = 0;
  uint8_t* buffer = nullptr;
  size_t length = 0;
  uint8_t* overflow = nullptr;  // takes the bytes past `length`
  size_t overflow_length = 0;
};

class Connection {
 public:
  explicit Connection(UniqueFd fd);

  int fd() const { return fd_.get(); }

  PendingReceive receive;
  bool readable = false;       // there may be bytes: set by epoll, cleared by a short read
  bool hung_up = false;        // the other side has closed: reading stays worth a try
  bool waits_to_send = false;  // EPOLLOUT is asked for
  bool in_send_batch = false;
  int send_error = 0;  // negative errno once sending has failed: nothing more will leave

  // Receives into the armed buffers. Returns bytes, 0 at the end of the stream, or a negative errno; -EAGAIN
  // leaves the receive armed.
  int64_t receive_now();

  // How many bytes are unread if the other side has closed or is gone, with the last of them copied to the
  // end of `tail`, whose rest is zeroed; -EAGAIN while more may come, or another negative errno. Takes no
  // byte.
  int64_t peek_end(uint8_t* tail, size_t tail_length) const;

  void queue_send(const SendPiece& piece) { pieces_.push_back(piece); }
  // How many replies the other side has still to read, about; exact enough where they are many. Known of Unix
  // sockets only: a TCP socket's queue is empty once the other side's kernel has the bytes.
  double unread();
  // Has the socket turn writable when the other side has read a part of what unread() has found, so that
  // epoll can tell. False where that can't be had, or where there is too little to read: then nobody should
  // wait.
  bool lower_water();
  // We have waited for that. In time: it has come, and the other side had something left to read when its
  // next replies came.
  void waited(bool in_time) { low_water_.waited(in_time); }
  // Whether it could not have come earlier.
  bool has_highest_water() const { return low_water_.is_highest(); }
  // Whether lower_water() can be had at all.
  bool tells_of_water() const { return full_buffer_bytes_ > 0; }
  // How many replies have left since this was asked last.
  size_t take_sent() { return unread_.take_lately(); }
  // Whether the other side has read everything.
  bool ran_dry() const { return queued_bytes() == 0; }
  bool has_pieces() const { return first_ < pieces_.size(); }

  // Gives the socket away without closing it.
  int release() {
    raise_water();
    return fd_.release();
  }

  // Sends as much as the socket takes. Calls `sent(piece)` for each piece that has left whole. Returns 0 when
  // the queue is empty, -EAGAIN when the socket is full, or another negative errno.
  template <typename Sent>
  int send_now(Counters* counters, Sent&& sent) {
    while (has_pieces()) {
      int64_t n = send_some();
      counters->send_calls++;
      if (n == -EAGAIN && raise_water()) continue;
      if (n < 0) {
        forget_sent();
        return static_cast<int>(n);
      }
      counters->sent_bytes += static_cast<double>(n);
      const size_t bytes = static_cast<size_t>(n);
      const size_t first_before = first_;
      while (n > 0) {
        const SendPiece& piece = pieces_[first_];
        const size_t left = piece.total() - sent_of_first_;
        if (static_cast<size_t>(n) < left) {
          sent_of_first_ += static_cast<size_t>(n);
          break;
        }
        n -= static_cast<int64_t>(left);
        sent_of_first_ = 0;
        first_++;
        sent(piece);
      }
      unread_.sent(bytes, first_ - first_before);
    }
    clear_pieces();
    return 0;
  }

  // Takes out what has not been sent.
  template <typename Dropped>
  void drop_pieces(Dropped&& dropped) {
    for (; first_ < pieces_.size(); first_++) dropped(pieces_[first_]);
    clear_pieces();
    sent_of_first_ = 0;
  }

 private:
  // What an idle connection may keep of its queue: room for as many replies as come in one batch mostly.
  static constexpr size_t kKeptPieces = 128;

  int64_t send_some();
  // Bytes that the other side has not read, as the kernel counts them.
  int queued_bytes() const;
  // Gives the socket all its buffer again. False if it has had that.
  bool raise_water();

  void clear_pieces() {
    if (pieces_.capacity() > kKeptPieces) {
      std::vector<SendPiece>().swap(pieces_);
    } else {
      pieces_.clear();
    }
    first_ = 0;
  }

  // For a queue that is never empty: what has left goes once it is the larger part, so each piece moves
  // little.
  void forget_sent() {
    if (first_ <= pieces_.size() / 2) return;
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }

  UniqueFd fd_;
  // What it was when it came to us, as the kernel counts. 0 for TCP, of which nothing is known: a socket's
  // queue is empty there once the other side's kernel has the bytes.
  const int full_buffer_bytes_;
  LowWater low_water_;
  UnreadReplies unread_;
  int queued_bytes_ = 0;  // when unread() was asked last
  std::vector<SendPiece> pieces_;
  size_t first_ = 0;  // pieces_[0 .. first_) have been sent
  size_t sent_of_first_ = 0;
};

struct Listener {
  UniqueFd fd;
  bool tcp = false;
  bool ready = false;  // set by epoll, cleared when accept has nothing
  bool armed = false;
  uint32_t tag = 0;
};

// Both return a listening, non-blocking descriptor or a negative errno. `host` is a numeric IPv4 or IPv6
// address.
int listen_tcp(const std::string& host, uint16_t port, int backlog);
int listen_unix(const std::string& path, int backlog);

// Takes one connection, set up as this server wants it. A descriptor or a negative errno.
int accept_connection(const Listener& listener);
void set_up_stream(int fd, bool tcp);

// host:port or [v6]:port; empty for other kinds of address.
std::string inet_name(const sockaddr_storage& address);

// `127.0.0.1:4711`, `[::1]:4711`, `unix`, or empty if it can't be had.
std::string peer_name(int fd);
// 0 for anything but TCP.
int local_port(int fd);

}  // namespace aionbd
