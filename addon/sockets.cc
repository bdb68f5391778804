#include "sockets.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace aionbd {

namespace {

constexpr size_t kPiecesPerCall = 256;       // two vectors each; the kernel's limit is 1024 vectors
constexpr size_t kSkipBytes = 256 << 10;     // what is looked past in one vector
constexpr size_t kMostSkips = 1000;          // of them in one call
constexpr int kSocketBufferBytes = 8 << 20;  // wanted; the kernel grants what net.core.wmem_max allows

// A Unix socket is writable while at most one part in so many of its send buffer is unread (unix_writable()).
constexpr int kWaterParts = 4;

void set_option(int fd, int level, int name, int value) {
  // Each of these makes things better, and nothing stops working without it.
  setsockopt(fd, level, name, &value, sizeof value);
}

// The kernel doubles what it is asked for.
void set_send_buffer(int fd, int bytes) {
  const int half = bytes / 2;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &half, sizeof half) != 0) {
    set_option(fd, SOL_SOCKET, SO_SNDBUF, half);
  }
}

int send_buffer_bytes(int fd) {
  int bytes = 0;
  socklen_t length = sizeof bytes;
  return getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &length) == 0 ? bytes : 0;
}

bool is_unix(int fd) {
  int domain = 0;
  socklen_t length = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
}

UniqueFd open_listener(int family, const sockaddr* address, socklen_t length, int backlog, int* error) {
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    *error = -errno;
    return UniqueFd();
  }
  if (family != AF_UNIX) set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (bind(fd.get(), address, length) != 0 || listen(fd.get(), backlog) != 0) {
    *error = -errno;
    return UniqueFd();
  }
  *error = 0;
  return fd;
}

// `error` by reference: it is the same call's argument that sets it.
int give_away(UniqueFd fd, const int& error) {
  return fd ? fd.release() : error;
}

}  // namespace

int64_t Connection::receive_now() {
  ssize_t n;
  do {
    if (receive.overflow_length == 0) {
      n = recv(fd_.get(), receive.buffer, receive.length, MSG_DONTWAIT);
    } else {
      iovec vectors[2] = {{receive.buffer, receive.length}, {receive.overflow, receive.overflow_length}};
      msghdr message{};
      message.msg_iov = vectors;
      message.msg_iovlen = 2;
      n = recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    }
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    const int error = errno;
    if (error == EAGAIN) readable = false;
    return -error;
  }
  // Fewer bytes than there was room for: the socket is empty, and epoll will tell of the next ones.
  if (static_cast<size_t>(n) < receive.length + receive.overflow_length && !hung_up) readable = false;
  return n;
}

// The kernel is asked, not what epoll has told: that may lie unread behind other events.
int64_t Connection::peek_end(uint8_t* tail, size_t tail_length) const {
  pollfd state{fd_.get(), POLLRDHUP, 0};
  if (poll(&state, 1, 0) < 0) return -errno;
  if ((state.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) return -EAGAIN;
  std::memset(tail, 0, tail_length);
  int unread = 0;
  if (ioctl(fd_.get(), FIONREAD, &unread) != 0) return -errno;
  if (unread <= 0) return 0;
  const size_t total = static_cast<size_t>(unread);
  const size_t wanted = std::min(total, tail_length);
  // One piece of memory takes all that is in front of the end, again and again: nobody looks at it.
  const size_t before = total - wanted;
  std::vector<uint8_t> skipped(std::min(before, kSkipBytes));
  std::vector<iovec> vectors;
  for (size_t left = before; left > 0 && vectors.size() < kMostSkips;) {
    const size_t length = std::min(left, skipped.size());
    vectors.push_back({skipped.data(), length});
    left -= length;
  }
  vectors.push_back({tail + tail_length - wanted, wanted});
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  const ssize_t n = recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_PEEK);
  // Not in one piece (it holds urgent data, or descriptors): then its end is unknown.
  if (n != static_cast<ssize_t>(total)) std::memset(tail, 0, tail_length);
  return unread;
}

Connection::Connection(UniqueFd fd)
    : fd_(std::move(fd)),
      full_buffer_bytes_(is_unix(fd_.get()) ? send_buffer_bytes(fd_.get()) : 0),
      low_water_(full_buffer_bytes_ / kWaterParts) {}

int Connection::queued_bytes() const {
  int bytes = 0;
  return ioctl(fd_.get(), SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

double Connection::unread() {
  queued_bytes_ = 0;
  if (unread_.at_most() >= UnreadReplies::kSome) {
    queued_bytes_ = queued_bytes();
    unread_.look(queued_bytes_);
  }
  return unread_.at_most();
}

bool Connection::lower_water() {
  if (full_buffer_bytes_ == 0 || queued_bytes_ < LowWater::kShortestQueueBytes) return false;
  const int mark = low_water_.look(queued_bytes_);
  if (mark > 0) {
    set_send_buffer(fd_.get(), mark * kWaterParts);
    low_water_.set(mark);
  }
  return low_water_.is_near(queued_bytes_);
}

bool Connection::raise_water() {
  const int mark = low_water_.mark_bytes();
  if (mark == 0) return false;
  low_water_.set(0);
  set_send_buffer(fd_.get(), full_buffer_bytes_);
  return mark < full_buffer_bytes_ / kWaterParts;
}

int64_t Connection::send_some() {
  iovec vectors[kPiecesPerCall * 2];
  size_t count = 0;
  size_t skip = sent_of_first_;
  const size_t last = std::min(pieces_.size(), first_ + kPiecesPerCall);
  for (size_t i = first_; i < last; i++) {
    const SendPiece& piece = pieces_[i];
    const size_t head_skip = std::min(skip, piece.head_length);
    if (piece.head_length > head_skip) {
      vectors[count++] = {const_cast<uint8_t*>(piece.head) + head_skip, piece.head_length - head_skip};
    }
    skip -= head_skip;
    if (piece.length > skip) {
      vectors[count++] = {const_cast<uint8_t*>(piece.data) + skip, piece.length - skip};
    }
    skip = 0;
  }
  msghdr message{};
  message.msg_iov = vectors;
  message.msg_iovlen = count;
  ssize_t n;
  do {
    n = sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

int listen_tcp(const std::string& host, uint16_t port, int backlog) {
  int error = 0;
  sockaddr_in v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return give_away(open_listener(AF_INET, reinterpret_cast<sockaddr*>(&v4), sizeof v4, backlog, &error),
                     error);
  }
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return give_away(open_listener(AF_INET6, reinterpret_cast<sockaddr*>(&v6), sizeof v6, backlog, &error),
                     error);
  }
  return -EINVAL;
}

int listen_unix(const std::string& path, int backlog) {
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path) return -ENAMETOOLONG;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  int error = 0;
  return give_away(
      open_listener(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof address, backlog, &error), error);
}

int accept_connection(const Listener& listener) {
  int fd;
  do {
    fd = accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd < 0) return -errno;
  set_up_stream(fd, listener.tcp);
  return fd;
}

void set_up_stream(int fd, bool tcp) {
  if (tcp) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  } else {
    // TCP sizes its buffers by itself; a Unix socket's would hold fifty 4 KiB replies and no more.
    set_send_buffer(fd, kSocketBufferBytes);
  }
}

std::string inet_name(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6->sin6_port));
  }
  return "";
}

std::string peer_name(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  return address.ss_family == AF_UNIX ? "unix" : inet_name(address);
}

int local_port(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  return 0;
}

}  // namespace aionbd
