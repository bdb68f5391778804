// The least that any server can do: takes requests and sends replies, and looks at nothing that a real one has
// to. No checks, no locks, no counting, no errors, one client at a time that keeps to the protocol. What fio
// reaches with it is what it could reach with a server whose own work were free.
//
//   floor FILE none|aio unix:PATH|ADDRESS:PORT THREADS sleep|spin
//
// `none`: replies without having touched the file, READs with the same zeroes each. `aio`: does what was asked
// for, with O_DIRECT, one io_submit for all that lies in the sockets. `spin`: looks at its sockets for ever.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
  kDepth = 64,           // requests of a connection in one go
  kMaxBlock = 1 << 20,   // bytes
  kRequestBytes = 28,
  kIntakeBytes = 64 << 10,
  kSendBuffer = 4 << 20,
  kMany = 8,             // unread replies, as in addon/gather.h
  kPlenty = 16,
  kMostNaps = 4,
  kCommandRead = 0,
  kCommandWrite = 1,
  kCommandDisconnect = 2,
};

struct Request {
  uint64_t offset;
  uint64_t cookie;
  uint32_t length;
  uint16_t command;
};

struct Connection {
  int fd;
  bool ended;
  bool structured;
  // Bytes that lie here and are no whole request, or the beginning of one with a payload.
  uint8_t* intake;
  size_t taken;
  // A write whose payload has not come whole.
  size_t payload_missing;
  int count;  // requests that wait for their replies
  struct Request requests[kDepth];
  uint8_t heads[kDepth][32];
  uint8_t* blocks;  // one of kMaxBlock bytes for each
};

struct Thread {
  int epoll;
  pthread_t id;
  aio_context_t aio;
};

static int file;
static uint64_t file_bytes;
static bool with_file;
static bool spins;
static uint8_t* zeroes;

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static uint8_t* memory(size_t bytes) {
  uint8_t* start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) fail("mmap");
  return start;
}

static uint16_t get16(const uint8_t* at) { uint16_t v; memcpy(&v, at, 2); return be16toh(v); }
static uint32_t get32(const uint8_t* at) { uint32_t v; memcpy(&v, at, 4); return be32toh(v); }
static uint64_t get64(const uint8_t* at) { uint64_t v; memcpy(&v, at, 8); return be64toh(v); }
static void put16(uint8_t* at, uint16_t v) { v = htobe16(v); memcpy(at, &v, 2); }
static void put32(uint8_t* at, uint32_t v) { v = htobe32(v); memcpy(at, &v, 4); }
static void put64(uint8_t* at, uint64_t v) { v = htobe64(v); memcpy(at, &v, 8); }

static bool receive_all(int fd, void* to, size_t bytes) {
  return recv(fd, to, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static bool send_all(int fd, const void* from, size_t bytes) {
  return send(fd, from, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool answer(int fd, uint32_t option, uint32_t type, const void* data, uint32_t length) {
  uint8_t reply[20];
  put64(reply, 0x3e889045565a9);
  put32(reply + 8, option);
  put32(reply + 12, type);
  put32(reply + 16, length);
  return send_all(fd, reply, sizeof reply) && (length == 0 || send_all(fd, data, length));
}

// Fixed newstyle: structured replies, GO, and no to everything else. False if the client went away.
static bool shake_hands(struct Connection* to) {
  uint8_t greeting[18];
  memcpy(greeting, "NBDMAGICIHAVEOPT", 16);
  put16(greeting + 16, 3);
  uint8_t flags[4];
  if (!send_all(to->fd, greeting, sizeof greeting) || !receive_all(to->fd, flags, sizeof flags)) return false;
  for (;;) {
    uint8_t head[16];
    uint8_t data[4096];
    if (!receive_all(to->fd, head, sizeof head)) return false;
    const uint32_t option = get32(head + 8);
    const uint32_t length = get32(head + 12);
    if (length > sizeof data || (length > 0 && !receive_all(to->fd, data, length))) return false;
    switch (option) {
      case 2:  // ABORT
        answer(to->fd, option, 1, NULL, 0);
        return false;
      case 8:  // STRUCTURED_REPLY
        to->structured = true;
        if (!answer(to->fd, option, 1, NULL, 0)) return false;
        break;
      case 6:    // INFO
      case 7: {  // GO
        uint8_t export[12];
        put16(export, 0);
        put64(export + 2, file_bytes);
        put16(export + 10, 1);
        if (!answer(to->fd, option, 3, export, sizeof export)) return false;
        if (!answer(to->fd, option, 1, NULL, 0)) return false;
        if (option == 7) return true;
        break;
      }
      default:
        if (!answer(to->fd, option, 0x80000001, NULL, 0)) return false;
    }
  }
}

static uint8_t* block_of(struct Connection* of, int number) {
  return of->blocks + (size_t)number * kMaxBlock;
}

// Takes what the socket has, as many requests as there is room for; a payload goes straight to its block. False
// if there was nothing.
static bool take(struct Connection* from) {
  bool took = false;
  while (from->count < kDepth) {
    struct iovec vectors[2];
    struct msghdr message = {.msg_iov = vectors};
    const size_t missing = from->payload_missing;
    if (missing > 0) {
      const struct Request* last = &from->requests[from->count];
      uint8_t* block = block_of(from, from->count);
      vectors[message.msg_iovlen++] = (struct iovec){block + last->length - missing, missing};
    }
    const size_t room = kIntakeBytes - from->taken;
    vectors[message.msg_iovlen++] = (struct iovec){from->intake + from->taken, room};
    ssize_t n = recvmsg(from->fd, &message, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return took;
    if (n <= 0) {
      from->ended = true;
      return took;
    }
    took = true;
    const bool drained = (size_t)n < missing + room;
    if ((size_t)n < missing) {
      from->payload_missing -= (size_t)n;
      return took;
    }
    if (missing > 0) {
      from->payload_missing = 0;
      from->count++;
    }
    from->taken += (size_t)n - missing;
    size_t at = 0;
    while (from->count < kDepth && from->taken - at >= kRequestBytes) {
      const uint8_t* head = from->intake + at;
      struct Request* request = &from->requests[from->count];
      request->command = get16(head + 6);
      request->cookie = get64(head + 8);
      request->offset = get64(head + 16);
      request->length = get32(head + 24);
      at += kRequestBytes;
      if (request->command == kCommandDisconnect || request->length > kMaxBlock) {
        from->ended = true;
        return took;
      }
      if (request->command == kCommandWrite) {
        const size_t here = from->taken - at < request->length ? from->taken - at : request->length;
        memcpy(block_of(from, from->count), head + kRequestBytes, here);
        at += here;
        from->payload_missing = request->length - here;
        if (from->payload_missing > 0) break;
      }
      from->count++;
    }
    from->taken -= at;
    memmove(from->intake, from->intake + at, from->taken);
    if (drained) return took;
  }
  return took;
}

static void carry_out(struct Thread* thread, struct Connection** connections, int count) {
  static __thread struct iocb blocks[64 * kDepth];
  static __thread struct iocb* batch[64 * kDepth];
  static __thread struct io_event events[64 * kDepth];
  long n = 0;
  for (int i = 0; i < count; i++) {
    struct Connection* from = connections[i];
    for (int r = 0; r < from->count; r++) {
      const struct Request* request = &from->requests[r];
      struct iocb* block = &blocks[n];
      memset(block, 0, sizeof *block);
      block->aio_fildes = (uint32_t)file;
      block->aio_lio_opcode = request->command == kCommandRead ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
      block->aio_buf = (uint64_t)(uintptr_t)block_of(from, r);
      block->aio_nbytes = request->length;
      block->aio_offset = (int64_t)request->offset;
      batch[n++] = block;
    }
  }
  for (long done = 0; done < n;) {
    const long taken = syscall(SYS_io_submit, thread->aio, n - done, batch + done);
    if (taken <= 0) fail("io_submit");
    done += taken;
  }
  for (long done = 0; done < n;) {
    const long got = syscall(SYS_io_getevents, thread->aio, n - done, n - done, events, NULL);
    if (got <= 0) fail("io_getevents");
    for (long i = 0; i < got; i++) {
      if (events[i].res < 0) fail("I/O");
    }
    done += got;
  }
}

static void reply(struct Connection* to) {
  struct iovec vectors[2 * kDepth];
  struct msghdr message = {.msg_iov = vectors};
  size_t bytes = 0;
  for (int r = 0; r < to->count; r++) {
    const struct Request* request = &to->requests[r];
    const bool reads = request->command == kCommandRead;
    uint8_t* head = to->heads[r];
    size_t length = 16;
    if (reads && to->structured) {
      put32(head, 0x668e33ef);
      put16(head + 4, 1);  // the last chunk
      put16(head + 6, 1);  // data
      put64(head + 8, request->cookie);
      put32(head + 16, 8 + request->length);
      put64(head + 20, request->offset);
      length = 28;
    } else {
      put32(head, 0x67446698);
      put32(head + 4, 0);
      put64(head + 8, request->cookie);
    }
    vectors[message.msg_iovlen++] = (struct iovec){head, length};
    bytes += length;
    if (!reads) continue;
    uint8_t* data = with_file ? block_of(to, r) : zeroes;
    vectors[message.msg_iovlen++] = (struct iovec){data, request->length};
    bytes += request->length;
  }
  while (bytes > 0) {
    ssize_t n = sendmsg(to->fd, &message, MSG_NOSIGNAL);
    if (n < 0) {
      to->ended = true;
      return;
    }
    bytes -= (size_t)n;
    while (n > 0 && (size_t)n >= message.msg_iov->iov_len) {
      n -= (ssize_t)message.msg_iov->iov_len;
      message.msg_iov++;
      message.msg_iovlen--;
    }
    if (n > 0) {
      message.msg_iov->iov_base = (uint8_t*)message.msg_iov->iov_base + n;
      message.msg_iov->iov_len -= (size_t)n;
    }
  }
}

// Lets requests gather while the client has replies to read, as aionbd does.
static void gather(const struct Connection* from, int block_bytes) {
  for (int naps = 0; naps < kMostNaps; naps++) {
    int queued = 0;
    if (ioctl(from->fd, SIOCOUTQ, &queued) != 0) return;
    if (queued < (naps == 0 ? kMany : kPlenty) * block_bytes) return;
    const struct timespec shortest = {0, 1};
    nanosleep(&shortest, NULL);
  }
}

static void drop(struct Thread* thread, struct Connection* gone) {
  epoll_ctl(thread->epoll, EPOLL_CTL_DEL, gone->fd, NULL);
  close(gone->fd);
  munmap(gone->intake, kIntakeBytes);
  munmap(gone->blocks, (size_t)kDepth * kMaxBlock);
  free(gone);
}

static void* serve(void* argument) {
  struct Thread* thread = argument;
  prctl(PR_SET_TIMERSLACK, 1);
  if (with_file && syscall(SYS_io_setup, 64 * kDepth, &thread->aio) != 0) fail("io_setup");
  for (;;) {
    struct epoll_event events[64];
    struct Connection* ready[64];
    const int n = epoll_wait(thread->epoll, events, 64, spins ? 0 : -1);
    int count = 0;
    for (int i = 0; i < n; i++) {
      struct Connection* from = events[i].data.ptr;
      take(from);
      if (from->count > 0) {
        ready[count++] = from;
      } else if (from->ended) {
        drop(thread, from);
      }
    }
    if (count == 0) continue;
    if (with_file) carry_out(thread, ready, count);
    for (int i = 0; i < count; i++) {
      struct Connection* to = ready[i];
      const bool reads = to->requests[0].command == kCommandRead;
      const int block_bytes = (int)to->requests[0].length + 512;
      reply(to);
      const bool unfinished = to->payload_missing > 0;
      if (unfinished) {
        // The payload's beginning moves to the block that its request has now.
        const struct Request last = to->requests[to->count];
        memcpy(to->blocks, block_of(to, to->count), last.length - to->payload_missing);
        to->requests[0] = last;
      }
      to->count = 0;
      if (to->ended) {
        drop(thread, to);
      } else if (count == 1 && reads) {
        gather(to, block_bytes);
      }
    }
  }
  return NULL;
}

static int listen_at(const char* address) {
  int fd;
  if (strncmp(address, "unix:", 5) == 0) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strncpy(at.sun_path, address + 5, sizeof at.sun_path - 1);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr*)&at, sizeof at) != 0) fail(address);
  } else {
    char host[64];
    const char* colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host) fail(address);
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = 0;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1) fail(address);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr*)&at, sizeof at) != 0) fail(address);
  }
  if (listen(fd, 128) != 0) fail("listen");
  return fd;
}

int main(int argc, char** argv) {
  if (argc != 6) {
    fprintf(stderr, "floor FILE none|aio unix:PATH|ADDRESS:PORT THREADS sleep|spin\n");
    return 2;
  }
  with_file = strcmp(argv[2], "aio") == 0;
  spins = strcmp(argv[5], "spin") == 0;
  file = open(argv[1], O_RDWR | O_DIRECT | O_NOATIME | O_CLOEXEC);
  struct stat facts;
  if (file < 0 || fstat(file, &facts) != 0) fail(argv[1]);
  file_bytes = (uint64_t)facts.st_size;
  zeroes = memory(kMaxBlock);
  const int listener = listen_at(argv[3]);
  const int threads = atoi(argv[4]);
  struct Thread* thread = calloc((size_t)threads, sizeof *thread);
  for (int i = 0; i < threads; i++) {
    thread[i].epoll = epoll_create1(EPOLL_CLOEXEC);
    if (pthread_create(&thread[i].id, NULL, serve, &thread[i]) != 0) fail("pthread_create");
  }
  for (int next = 0;;) {
    struct Connection* accepted = calloc(1, sizeof *accepted);
    accepted->fd = accept(listener, NULL, NULL);
    if (accepted->fd < 0) fail("accept");
    const int one = 1;
    const int bytes = kSendBuffer;
    setsockopt(accepted->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (strncmp(argv[3], "unix:", 5) == 0) {
      setsockopt(accepted->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
      setsockopt(accepted->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    }
    if (!shake_hands(accepted)) {
      close(accepted->fd);
      free(accepted);
      continue;
    }
    accepted->intake = memory(kIntakeBytes);
    accepted->blocks = memory((size_t)kDepth * kMaxBlock);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = accepted};
    if (epoll_ctl(thread[next++ % threads].epoll, EPOLL_CTL_ADD, accepted->fd, &event) != 0) fail("epoll_ctl");
  }
}
