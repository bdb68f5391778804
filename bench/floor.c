// The least that a server can do: takes requests and sends replies, and looks at nothing that a real one has
// to. No checks of what a client asks for, no locks, no counting, no errors, no flush. What fio reaches with
// it is what it could reach with a server whose own work were free.
//
//   floor FILE none|aio unix:PATH|ADDRESS:PORT THREADS sleep|spin
//
// `none`: replies without having touched the file, READs with the same zeroes each. `aio`: does what was
// asked for, with O_DIRECT, one io_submit for all that lies in the sockets, and waits for all of it: on
// memory that is the least, on a disk it is not. `spin`: looks at its sockets for ever. Whatever goes wrong
// ends it, with a message.
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
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

// On the wire, big-endian.
struct __attribute__((packed)) OptionHead {
  uint64_t magic;
  uint32_t option, length;
};
struct __attribute__((packed)) OptionReply {
  uint64_t magic;
  uint32_t option, type, length;
};
struct __attribute__((packed)) ExportInfo {
  uint16_t type;
  uint64_t bytes;
  uint16_t flags;
};
struct __attribute__((packed)) RequestHead {
  uint32_t magic;
  uint16_t flags, command;
  uint64_t cookie, offset;
  uint32_t length;
};
struct __attribute__((packed)) SimpleReply {
  uint32_t magic, error;
  uint64_t cookie;
};
struct __attribute__((packed)) DataChunk {
  uint32_t magic;
  uint16_t flags, type;
  uint64_t cookie;
  uint32_t length;
  uint64_t offset;
};

enum {
  kDepth = 64,          // requests of a connection in one go
  kMaxBlock = 1 << 20,  // bytes
  kPage = 4096,
  kHugePage = 2 << 20,
  kHalf = kDepth * kMaxBlock,  // bytes of memory for the data of one go
  kBatch = 64 * kDepth,        // requests of all connections of a thread in one go
  kRequestBytes = sizeof(struct RequestHead),
  kIntakeBytes = 64 << 10,
  kSendBuffer = 4 << 20,
  kShortestQueue = 96 << 10,  // of unread replies, bytes; these as in addon/gather.h and read_groups.h
  kMostRead = 512 << 10,
  kLooks = 32,
  kFew = 2,
  kGroup = 8,
  kMostMark = kSendBuffer / 2,      // a quarter of what the kernel makes of it
  kMostLooks = 1000,                // of one that spins, a millisecond about
  kTransmissionFlags = 1 | 1 << 8,  // there are flags; several connections see the same
  kCommandRead = 0,
  kCommandWrite = 1,
  kCommandDisconnect = 2,
};

struct Request {
  uint64_t cookie;  // as it came
  uint64_t offset;
  uint32_t length;
  uint16_t command;
  uint8_t* data;
  union {
    struct SimpleReply simple;
    struct DataChunk chunk;
  } reply;
};

struct Connection {
  int fd;
  bool ended;
  bool structured;
  // Bytes that have come and belong to no request yet.
  uint8_t intake[kIntakeBytes];
  size_t taken;
  int count;  // requests that wait for their replies
  struct Request requests[kDepth];
  // Of requests[count], a write whose payload has not come whole; 0 if there is none.
  size_t payload_missing;
  // The data of requests, one behind the other. There are two halves: that write stays where it is in one
  // while the next requests begin at the front of the other.
  uint8_t* memory;
  size_t used;
  bool second_half;
  struct Thread* thread;
  bool local;  // over a Unix socket
  int mark;    // a reader with no more than that to read makes the socket writable
  int looks, longest;
  double part;   // of the longest queue, which the mark is
  int sent;      // replies since the last look at the queue
  bool awaited;  // until the next reply
};

struct Thread {
  int epoll;
  _Atomic int connections;
  aio_context_t aio;
};

// What io_setup maps: completions are read here without a system call.
struct Ring {
  unsigned id, size, head, tail, magic, compatible, incompatible, header_bytes;
  struct io_event events[];
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

// As much as is touched of it: huge pages, which the kernel pins faster.
static uint8_t* memory(size_t bytes) {
  uint8_t* start = aligned_alloc(kHugePage, bytes);
  if (!start) fail("memory");
  madvise(start, bytes, MADV_HUGEPAGE);
  return start;
}

static bool receive_all(int fd, void* to, size_t bytes) {
  return recv(fd, to, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static bool send_all(int fd, const void* from, size_t bytes) {
  return send(fd, from, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool answer(int fd, uint32_t option, uint32_t type, const void* data, uint32_t length) {
  const struct OptionReply head = {htobe64(0x3e889045565a9), option, htobe32(type), htobe32(length)};
  return send_all(fd, &head, sizeof head) && (length == 0 || send_all(fd, data, length));
}

// Fixed newstyle: structured replies, GO, and no to everything else. False if the client went away.
static bool shake_hands(struct Connection* to) {
  uint32_t flags;
  if (!send_all(to->fd, "NBDMAGICIHAVEOPT\0\3", 18) || !receive_all(to->fd, &flags, sizeof flags))
    return false;
  for (;;) {
    struct OptionHead head;
    char data[4096];
    if (!receive_all(to->fd, &head, sizeof head)) return false;
    const uint32_t length = be32toh(head.length);
    if (length > sizeof data || (length > 0 && !receive_all(to->fd, data, length))) return false;
    switch (be32toh(head.option)) {
      case 2:  // ABORT
        answer(to->fd, head.option, 1, NULL, 0);
        return false;
      case 8:  // STRUCTURED_REPLY
        to->structured = true;
        if (!answer(to->fd, head.option, 1, NULL, 0)) return false;
        break;
      case 6:    // INFO
      case 7: {  // GO
        const struct ExportInfo info = {0, htobe64(file_bytes), htobe16(kTransmissionFlags)};
        if (!answer(to->fd, head.option, 3, &info, sizeof info)) return false;
        if (!answer(to->fd, head.option, 1, NULL, 0)) return false;
        if (be32toh(head.option) == 7) return true;
        break;
      }
      default:
        if (!answer(to->fd, head.option, 0x80000001, NULL, 0)) return false;
    }
  }
}

// Requests that lie in the intake, as many as there is room for.
static void parse(struct Connection* from) {
  size_t at = 0;
  while (from->count < kDepth && from->taken - at >= kRequestBytes) {
    const struct RequestHead* head = (const struct RequestHead*)(from->intake + at);
    struct Request* request = &from->requests[from->count];
    request->command = be16toh(head->command);
    request->cookie = head->cookie;
    request->offset = be64toh(head->offset);
    request->length = be32toh(head->length);
    if (request->command == kCommandDisconnect || request->length > kMaxBlock) {
      from->ended = true;
      return;
    }
    at += kRequestBytes;
    request->data = from->memory + (from->second_half ? kHalf : 0) + from->used;
    from->used += (request->length + kPage - 1) & ~(size_t)(kPage - 1);
    if (request->command == kCommandWrite) {
      const size_t here = from->taken - at < request->length ? from->taken - at : request->length;
      memcpy(request->data, head + 1, here);
      at += here;
      from->payload_missing = request->length - here;
      if (from->payload_missing > 0) break;
    }
    from->count++;
  }
  from->taken -= at;
  memmove(from->intake, from->intake + at, from->taken);
}

// Takes what the socket has, as many requests as there is room for; the rest of a payload goes straight to
// its place.
static void take(struct Connection* from) {
  while (from->count < kDepth && !from->ended) {
    struct iovec vectors[2];
    struct msghdr message = {.msg_iov = vectors};
    const size_t missing = from->payload_missing;
    if (missing > 0) {
      const struct Request* last = &from->requests[from->count];
      vectors[message.msg_iovlen++] = (struct iovec){last->data + last->length - missing, missing};
    }
    // After a large payload only the next head, so that the payload behind that need not be copied either.
    const size_t room = missing > kIntakeBytes ? kRequestBytes : kIntakeBytes - from->taken;
    vectors[message.msg_iovlen++] = (struct iovec){from->intake + from->taken, room};
    const ssize_t n = recvmsg(from->fd, &message, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      from->ended = true;
      return;
    }
    if ((size_t)n < missing) {
      from->payload_missing -= (size_t)n;
      return;
    }
    if (missing > 0) {
      from->payload_missing = 0;
      from->count++;
    }
    from->taken += (size_t)n - missing;
    parse(from);
    if ((size_t)n < missing + room) return;
  }
}

static void check(const struct io_event* event) {
  const struct iocb* block = (const struct iocb*)(uintptr_t)event->obj;
  if (event->res == (int64_t)block->aio_nbytes) return;
  errno = event->res < 0 ? (int)-event->res : EIO;
  fail("I/O");
}

static void await(const struct Thread* thread, long n) {
  struct Ring* ring = (struct Ring*)(uintptr_t)thread->aio;
  while (n > 0) {
    unsigned head = ring->head;
    const unsigned tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    if (head == tail) {
      struct io_event event;
      if (syscall(SYS_io_getevents, thread->aio, 1, 1, &event, NULL) != 1) fail("io_getevents");
      check(&event);
      n--;
      continue;
    }
    for (; head != tail; n--) {
      check(&ring->events[head]);
      head = head + 1 < ring->size ? head + 1 : 0;
    }
    __atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
  }
}

static int least(int a, int b) {
  return a < b ? a : b;
}

// Requests `start` to `end` of each.
static void carry_out(const struct Thread* thread, struct Connection** connections, int count, int start,
                      int end) {
  static __thread struct iocb blocks[kBatch];
  static __thread struct iocb* batch[kBatch];
  long n = 0;
  for (int i = 0; i < count; i++) {
    const struct Connection* from = connections[i];
    for (int r = start; r < least(end, from->count); r++) {
      const struct Request* request = &from->requests[r];
      struct iocb* block = &blocks[n];
      memset(block, 0, sizeof *block);
      block->aio_fildes = (uint32_t)file;
      block->aio_lio_opcode = request->command == kCommandRead ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
      block->aio_buf = (uint64_t)(uintptr_t)request->data;
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
  await(thread, n);
}

static void set_send_buffer(int fd, int bytes) {
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
}

// How much is unread. Of TCP sockets the queue is empty.
static int queued(const struct Connection* to) {
  int bytes = 0;
  return to->local && ioctl(to->fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

// A reader that has run dry before this should have been let to read less.
static void learn(struct Connection* of, bool in_time) {
  of->awaited = false;
  of->part += in_time ? -1.0 / 1024 : 1.0 / 256;
  of->part = of->part < 1.0 / 3 ? 1.0 / 3 : of->part > 0.75 ? 0.75 : of->part;
}

static void reply(struct Connection* to, int start, int end) {
  if (to->awaited) learn(to, queued(to) > 0);
  struct iovec vectors[2 * kDepth];
  struct msghdr message = {.msg_iov = vectors};
  size_t bytes = 0;
  for (int r = start; r < least(end, to->count); r++) {
    struct Request* request = &to->requests[r];
    const bool reads = request->command == kCommandRead;
    size_t length = sizeof request->reply.simple;
    if (reads && to->structured) {
      length = sizeof request->reply.chunk;
      // The last chunk, and data.
      request->reply.chunk = (struct DataChunk){
          htobe32(0x668e33ef),     htobe16(1), htobe16(1), request->cookie, htobe32(8 + request->length),
          htobe64(request->offset)};
    } else {
      request->reply.simple = (struct SimpleReply){htobe32(0x67446698), 0, request->cookie};
    }
    vectors[message.msg_iovlen++] = (struct iovec){&request->reply, length};
    bytes += length;
    if (!reads) continue;
    vectors[message.msg_iovlen++] = (struct iovec){with_file ? request->data : zeroes, request->length};
    bytes += request->length;
  }
  while (bytes > 0) {
    ssize_t n = sendmsg(to->fd, &message, MSG_NOSIGNAL | (to->mark > 0 ? MSG_DONTWAIT : 0));
    if (n < 0 && errno == EAGAIN && to->mark > 0) {
      to->mark = 0;
      set_send_buffer(to->fd, kSendBuffer);
      continue;
    }
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

static void listen_for(struct Connection* from, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = from};
  if (epoll_ctl(from->thread->epoll, EPOLL_CTL_MOD, from->fd, &event) != 0) fail("epoll_ctl");
}

// Lets requests gather while the client has replies to read, much as aionbd does (addon/gather.h).
static void gather(struct Connection* from) {
  const int sent = from->sent;
  from->sent = 0;
  if (sent > kFew) return;
  const int unread = queued(from);
  if (unread < kShortestQueue) return;
  if (unread > from->longest) from->longest = unread;
  if (++from->looks >= kLooks || from->mark == 0) {
    const int part = (int)(from->longest * from->part), rest = from->longest - kMostRead;
    from->mark = part > rest ? part : rest;
    if (from->mark > kMostMark) from->mark = kMostMark;
    from->looks = from->longest = 0;
    set_send_buffer(from->fd, from->mark * 2);  // doubled by the kernel, of which a quarter is the mark
  }
  if (unread <= from->mark || unread - from->mark > kMostRead) return;
  struct epoll_event ignored;
  listen_for(from, EPOLLOUT);
  int came = 0;
  if (spins) {
    for (int looks = 0; looks < kMostLooks && came == 0; looks++) {
      came = epoll_wait(from->thread->epoll, &ignored, 1, 0);
      if (came == 0) sched_yield();
    }
  } else {
    came = epoll_wait(from->thread->epoll, &ignored, 1, 1);
  }
  listen_for(from, EPOLLIN);
  from->awaited = came > 0 && ignored.data.ptr == from;
  if (came == 0) learn(from, false);
}

static void drop(struct Connection* gone) {
  gone->thread->connections--;
  close(gone->fd);
  free(gone->memory);
  free(gone);
}

static bool only_reads(const struct Connection* of) {
  for (int r = 0; r < of->count; r++) {
    if (of->requests[r].command != kCommandRead) return false;
  }
  return of->local;
}

// Does all requests of these connections, and then those for which there was no room.
static void work(const struct Thread* thread, struct Connection** ready, int count) {
  while (count > 0) {
    // What a single client reads in groups, all else in one go.
    const bool grouped = with_file && count == 1 && only_reads(ready[0]);
    const int all = grouped ? ready[0]->count : kDepth, group = grouped ? kGroup : kDepth;
    for (int start = 0; start < all; start += group) {
      if (with_file) carry_out(thread, ready, count, start, start + group);
      for (int i = 0; i < count; i++) reply(ready[i], start, start + group);
    }
    int more = 0;
    for (int i = 0; i < count; i++) {
      struct Connection* to = ready[i];
      to->sent += to->count;
      if (to->payload_missing > 0) {
        to->requests[0] = to->requests[to->count];
        to->second_half = !to->second_half;
      }
      to->count = 0;
      to->used = 0;
      if (!to->ended) parse(to);
      if (to->count > 0) {
        ready[more++] = to;
      } else if (to->ended) {
        drop(to);
      } else if (count == 1) {
        gather(to);
      }
    }
    count = more;
  }
}

static void* serve(void* argument) {
  struct Thread* thread = argument;
  if (with_file) {
    if (syscall(SYS_io_setup, kBatch, &thread->aio) != 0) fail("io_setup");
    if (((struct Ring*)(uintptr_t)thread->aio)->magic != 0xa10a10a1) fail("ring of completions");
  }
  for (;;) {
    struct epoll_event events[kBatch / kDepth];
    struct Connection* ready[kBatch / kDepth];
    const int n = epoll_wait(thread->epoll, events, kBatch / kDepth, spins ? 0 : -1);
    int count = 0;
    for (int i = 0; i < n; i++) {
      struct Connection* from = events[i].data.ptr;
      take(from);
      if (from->count > 0) {
        ready[count++] = from;
      } else if (from->ended) {
        drop(from);
      }
    }
    work(thread, ready, count);
    // Whoever waits for this processor gets it.
    if (n == 0) sched_yield();
  }
  return NULL;
}

static int listen_at(const char* address) {
  int fd;
  if (strncmp(address, "unix:", 5) == 0) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(address + 5) >= sizeof at.sun_path) fail(address);
    strcpy(at.sun_path, address + 5);
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
  const int threads = argc == 6 ? atoi(argv[4]) : 0;
  if (threads < 1) {
    fprintf(stderr, "floor FILE none|aio unix:PATH|ADDRESS:PORT THREADS sleep|spin\n");
    return 2;
  }
  with_file = strcmp(argv[2], "aio") == 0;
  spins = strcmp(argv[5], "spin") == 0;
  file = open(argv[1], O_RDWR | O_DIRECT | O_NOATIME | O_CLOEXEC);
  // Block devices have a size, too.
  file_bytes = file < 0 ? 0 : (uint64_t)lseek(file, 0, SEEK_END);
  if (file < 0) fail(argv[1]);
  zeroes = memory(kHugePage);
  memset(zeroes, 0, kMaxBlock);
  const int listener = listen_at(argv[3]);
  struct Thread* all = calloc((size_t)threads, sizeof *all);
  for (int i = 0; i < threads; i++) {
    pthread_t id;
    all[i].epoll = epoll_create1(EPOLL_CLOEXEC);
    if (pthread_create(&id, NULL, serve, &all[i]) != 0) fail("pthread_create");
  }
  for (;;) {
    struct Connection* accepted = calloc(1, sizeof *accepted);
    accepted->fd = accept(listener, NULL, NULL);
    if (accepted->fd < 0) fail("accept");
    const int one = 1;
    setsockopt(accepted->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    accepted->part = 0.75;
    accepted->local = strncmp(argv[3], "unix:", 5) == 0;
    if (accepted->local) set_send_buffer(accepted->fd, kSendBuffer);
    if (!shake_hands(accepted)) {
      close(accepted->fd);
      free(accepted);
      continue;
    }
    accepted->memory = memory((size_t)2 * kHalf);
    accepted->thread = all;
    for (int i = 1; i < threads; i++) {
      if (all[i].connections < accepted->thread->connections) accepted->thread = &all[i];
    }
    accepted->thread->connections++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = accepted};
    if (epoll_ctl(accepted->thread->epoll, EPOLL_CTL_ADD, accepted->fd, &event) != 0) fail("epoll_ctl");
  }
}
