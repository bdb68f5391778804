#include "descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "sockets.h"

namespace aionbd {

namespace {

constexpr int kFirstAboveStandard = 3;

// A negative errno for an option that cannot be had.
int option(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -errno;
}

int stream_family(int fd) {
  const int type = option(fd, SO_TYPE);
  if (type < 0) return type;
  return type == SOCK_STREAM ? option(fd, SO_DOMAIN) : -EPROTOTYPE;
}

}  // namespace

int prepare_listener(int fd, bool* tcp) {
  const int family = stream_family(fd);
  if (family < 0) return family;
  if (family != AF_UNIX && family != AF_INET && family != AF_INET6) return -EAFNOSUPPORT;
  const int listens = option(fd, SO_ACCEPTCONN);
  if (listens < 0) return listens;
  if (listens == 0) return -EINVAL;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return -errno;
  }
  *tcp = family != AF_UNIX;
  return 0;
}

int duplicate_stream(int fd) {
  const int family = stream_family(fd);
  if (family < 0) return family;
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, kFirstAboveStandard);
  if (copy < 0) return -errno;
  set_up_stream(copy, family != AF_UNIX);
  return copy;
}

int stream_pair(UniqueFd ends[2]) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) return -errno;
  ends[0].reset(fds[0]);
  ends[1].reset(fds[1]);
  return 0;
}

std::string local_name(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  if (address.ss_family != AF_UNIX) return inet_name(address);
  const auto* local = reinterpret_cast<const sockaddr_un*>(&address);
  const size_t bytes = length - std::min<size_t>(length, offsetof(sockaddr_un, sun_path));
  if (bytes == 0) return "";
  if (local->sun_path[0] == '\0') return "@" + std::string(local->sun_path + 1, bytes - 1);
  return std::string(local->sun_path, strnlen(local->sun_path, bytes));
}

int send_datagram(const std::string& path, const std::string& message) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return -EINVAL;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const ssize_t sent = sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&address), length);
  return sent < 0 ? -errno : 0;
}

}  // namespace aionbd
