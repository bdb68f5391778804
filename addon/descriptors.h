// Descriptors that come from outside: sockets that another process has opened for us, and the datagram that a
// service manager waits for.
#pragma once

#include <string>

#include "unique_fd.h"

namespace aionbd {

// Whether `fd` is a stream socket that listens: 0, or a negative errno (-ENOTSOCK, -EPROTOTYPE for datagrams,
// -EINVAL for one that does not listen, -EAFNOSUPPORT). Makes it ready for a reactor: non-blocking, and
// closed by exec. `tcp` tells which kind it is.
int prepare_listener(int fd, bool* tcp);

// The same socket under a number above those of stdin, stdout and stderr, for a reactor; -EPROTOTYPE or
// -ENOTSOCK if it is no connected stream socket.
int duplicate_stream(int fd);

// Two connected stream sockets, closed by exec. 0 or a negative errno.
int stream_pair(UniqueFd ends[2]);

// What a Unix socket is bound to ("@…" for an abstract name), or host:port, [v6]:port; empty if it has no
// name.
std::string local_name(int fd);

// Sends one datagram to the Unix socket at `path`, where "@" begins an abstract name. 0 or a negative errno.
int send_datagram(const std::string& path, const std::string& message);

}  // namespace aionbd
