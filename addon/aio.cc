#include "aio.h"

#include <linux/fs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>

namespace aionbd {

namespace {

// glibc has no wrappers for these, and libaio's would be a dependency for five lines.
int io_setup(unsigned events, aio_context_t* context) {
  return syscall(SYS_io_setup, events, context) == 0 ? 0 : -errno;
}
int io_destroy(aio_context_t context) {
  return syscall(SYS_io_destroy, context) == 0 ? 0 : -errno;
}
int io_submit(aio_context_t context, long count, iocb** blocks) {
  const long taken = syscall(SYS_io_submit, context, count, blocks);
  return taken >= 0 ? static_cast<int>(taken) : -errno;
}
int io_getevents(aio_context_t context, long least, long most, io_event* events, timespec* timeout) {
  const long got = syscall(SYS_io_getevents, context, least, most, events, timeout);
  return got >= 0 ? static_cast<int>(got) : -errno;
}

// The kernel maps its completion ring into the process at the address that serves as the context's name, with
// this layout since Linux 2.6 (fs/aio.c, struct aio_ring). Nobody promises it, hence the magic number.
struct AioRing {
  unsigned id;
  unsigned nr;
  unsigned head;  // ours to advance
  unsigned tail;  // the kernel's
  unsigned magic;
  unsigned compat_features;
  unsigned incompat_features;
  unsigned header_length;
  io_event events[];
};
constexpr unsigned kAioRingMagic = 0xa10a10a1;

}  // namespace

AioContext::~AioContext() {
  close();
}

int AioContext::open(unsigned depth, int result_fd, bool reap_in_user_space) {
  const int result = io_setup(depth, &context_);
  if (result != 0) {
    context_ = 0;
    return result;
  }
  AioRing* ring = reinterpret_cast<AioRing*>(context_);
  if (reap_in_user_space && ring->magic == kAioRingMagic && ring->incompat_features == 0 &&
      ring->header_length == sizeof(AioRing)) {
    ring_ = ring;
  }
  result_fd_ = result_fd;
  blocks_.resize(depth);
  free_.reserve(depth);
  batch_.reserve(depth);
  for (unsigned i = depth; i > 0; i--) free_.push_back(&blocks_[i - 1]);
  return 0;
}

void AioContext::close() {
  if (context_ == 0) return;
  io_destroy(context_);
  context_ = 0;
  ring_ = nullptr;
}

void AioContext::prepare(const IoRequest& request, int fd, bool nowait, bool signals) {
  assert(has_capacity());
  AioBlock* block = free_.back();
  free_.pop_back();
  assert(!block->in_use);
  block->in_use = true;
  block->request = request;
  block->nowait = nowait;

  iocb& control = block->control;
  std::memset(&control, 0, sizeof control);
  control.aio_data = reinterpret_cast<uint64_t>(block);
  control.aio_fildes = static_cast<uint32_t>(fd);
  if (signals) {
    control.aio_flags = IOCB_FLAG_RESFD;
    control.aio_resfd = static_cast<uint32_t>(result_fd_);
  }
  if (request.op == Op::kSync) {
    control.aio_lio_opcode = IOCB_CMD_FDSYNC;
  } else {
    control.aio_lio_opcode = request.op == Op::kRead ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
    control.aio_buf = reinterpret_cast<uint64_t>(request.buffer);
    control.aio_nbytes = request.length;
    control.aio_offset = static_cast<int64_t>(request.offset);
    control.aio_rw_flags = (nowait ? RWF_NOWAIT : 0) |
                           (request.op == Op::kWrite && (request.flags & kFlagDurable) ? RWF_DSYNC : 0);
  }
  batch_.push_back(&control);
}

void AioContext::prepare_again(AioBlock* block) {
  assert(block->in_use);
  block->nowait = false;
  block->control.aio_rw_flags &= ~RWF_NOWAIT;
  batch_.push_back(&block->control);
}

void AioContext::release(AioBlock* block) {
  assert(block->in_use);
  block->in_use = false;
  free_.push_back(block);
}

void AioContext::drop_batch() {
  for (iocb* control : batch_) release(block_of(control));
  batch_.clear();
}

int AioContext::submit_some(iocb** blocks, size_t count) {
  const int taken = io_submit(context_, static_cast<long>(count), blocks);
  return taken == 0 ? -EAGAIN : taken;
}

bool AioContext::has_completed() const {
  if (in_flight_ == 0 || ring_ == nullptr) return false;
  const AioRing* ring = static_cast<const AioRing*>(ring_);
  return ring->head != __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
}

unsigned AioContext::reap_some() {
  if (in_flight_ == 0) return 0;
  if (ring_ == nullptr) {
    timespec no_wait{0, 0};
    const int got = io_getevents(context_, 0, kReapBatch, events_, &no_wait);
    return got > 0 ? static_cast<unsigned>(got) : 0;
  }
  AioRing* ring = static_cast<AioRing*>(ring_);
  unsigned head = ring->head;
  const unsigned tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
  unsigned count = 0;
  while (head != tail && count < kReapBatch) {
    events_[count++] = ring->events[head];
    head = head + 1 == ring->nr ? 0 : head + 1;
  }
  __atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
  return count;
}

}  // namespace aionbd
