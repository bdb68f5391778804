// The reactor's files: which way an I/O takes (AIO, in place, a worker), and what a result means.
#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>

#include "reactor.h"

namespace aionbd {

namespace {

bool moves_data(Op op) {
  return op == Op::kRead || op == Op::kWrite;
}

// Doubles are exact up to here; it is also far below what the kernel's off_t can hold.
constexpr double kMostBytes = 9007199254740992.0;

constexpr uint64_t kPageBytes = 4096;

// False for what is no number of bytes, among it NaN. Fractions are cut off.
bool is_byte_count(double value) {
  return value >= 0 && value <= kMostBytes;
}

// Whether all there is of a file lies in memory.
bool lies_in_memory(int fd) {
  struct statfs filesystem {};
  if (fstatfs(fd, &filesystem) != 0) return false;
  const auto type = static_cast<unsigned long>(filesystem.f_type);
  return type == TMPFS_MAGIC || type == RAMFS_MAGIC;
}

// A write into the page cache holds its file's lock, for microseconds mostly: one thread does them fastest.
// Devices have no such lock, so there a write that has to read the rest of its page first may wait alone, and
// so may any that waits for the disk to have it.
bool goes_in_line(const IoRequest& request, const File& file) {
  if (request.op != Op::kWrite || file.direct || (request.flags & kFlagDurable)) return false;
  return !file.block_device || (request.offset % kPageBytes == 0 && request.length % kPageBytes == 0);
}

}  // namespace

int Reactor::add_file(int fd, bool direct, bool block_device) {
  size_t number = 0;
  while (number < files_.size() && files_[number].fd >= 0) number++;
  if (number == files_.size()) files_.emplace_back();
  files_[number] = File{};
  files_[number].fd = fd;
  files_[number].direct = direct;
  files_[number].block_device = block_device;
  files_[number].in_memory = !block_device && lies_in_memory(fd);
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
  } else if (op == Op::kExtents) {
    if (!in_memory(entry.buffer, entry.aux_length)) return complete(op, entry.tag, -EFAULT);
    if (entry.aux_length < sizeof(Extent) || entry.length < 1) return complete(op, entry.tag, -EINVAL);
    request.buffer = memory_->data() + static_cast<size_t>(entry.buffer);
    request.capacity = static_cast<uint64_t>(entry.aux_length);
  }
  files_[request.file].in_flight++;
  if (goes_in_groups(request) && !groups_.admit()) return groups_.put_off(request);
  route(request);
}

// A read that is probably done at once, in a turn of a single client that may have been waited for.
bool Reactor::goes_in_groups(const IoRequest& request) {
  if (request.op != Op::kRead || !in_turn_) return false;
  const Connection* client = open_connection(heard_from_);
  if (!client || !client->tells_of_water()) return false;
  const File& target = files_[request.file];
  return target.direct ? !target.promptness.wants_signals() : target.nowait_reads;
}

void Reactor::fill_group() {
  IoRequest request;
  while (groups_.next(&request)) route(request);
}

// Reads that are left are started now, unless something has come back that will have TypeScript ask for more:
// it does so within a turn only.
void Reactor::start_put_off() {
  if (!groups_.has_more() || (in_turn_ && !pending_.empty())) return;
  groups_.open();
  fill_group();
  harvest();
}

void Reactor::complete_io(const IoRequest& request, int64_t result) {
  files_[request.file].in_flight--;
  const int64_t before = result < 0 ? 0 : static_cast<int64_t>(request.done);
  complete(request.op, request.tag, static_cast<double>(result + before));
}

void Reactor::route(const IoRequest& request) {
  File& target = files_[request.file];
  if (request.op == Op::kSync) return to_aio(request);
  if (!moves_data(request.op)) return to_workers(request);
  const bool is_write = request.op == Op::kWrite;
  if (target.direct) {
    // Nobody can tell how long io_submit would take (FUSE, network filesystems), and this thread serves
    // others, too.
    if (!(is_write ? target.nowait_writes : target.nowait_reads) && !target.in_memory)
      return to_workers(request);
    if (is_write && !target.block_device && target.blocking_writes > 0 && !target.blocking.asks())
      return instead_of_blocking(request);
    return to_aio(request);
  }
  // Not writes: no filesystem takes RWF_NOWAIT for them without O_DIRECT, and one that is frozen lets even
  // the question wait.
  if (!is_write && target.nowait_reads) {
    const int64_t result = read_in_place(target.fd, request);
    if (result == static_cast<int64_t>(request.length)) {
      return complete_io(request, result);
    }
    if (result == -EOPNOTSUPP) target.nowait_reads = false;
    if (result > 0) {
      IoRequest rest = request;
      rest.done = static_cast<uint64_t>(result);
      rest.buffer += rest.done;
      rest.offset += rest.done;
      rest.length -= rest.done;
      return instead_of_blocking(rest);
    }
    if (result == -EAGAIN) return instead_of_blocking(request);
  }
  to_workers(request);
}

void Reactor::instead_of_blocking(const IoRequest& request) {
  // The disk had better know of all reads that it may have to do.
  groups_.open();
  counters_->nowait_fallbacks++;
  to_workers(request);
}

void Reactor::to_aio(const IoRequest& request) {
  if (!backlog_.empty() || !aio_.has_capacity()) {
    backlog_.push_back(request);
    return;
  }
  prepare(request);
}

// Call only with room in the kernel's queue.
void Reactor::prepare(const IoRequest& request) {
  const File& target = files_[request.file];
  // The kernel leaves syncs to threads of its own.
  if (request.op == Op::kSync) return aio_.prepare(request, target.fd, false, true);
  const bool nowait = request.op == Op::kRead ? target.nowait_reads : target.nowait_writes;
  aio_.prepare(request, target.fd, nowait, target.promptness.wants_signals());
}

void Reactor::to_workers(const IoRequest& request) {
  File& target = files_[request.file];
  if (request.op == Op::kWrite) target.blocking_writes++;
  WorkItem item;
  item.request = request;
  item.fd = target.fd;
  item.block_device = target.block_device;
  item.in_line = goes_in_line(request, target);
  workers_->add(item);
}

void Reactor::take_from_workers() {
  workers_->take_finished(&from_workers_);
  for (const WorkItem& item : from_workers_) {
    if (item.request.op == Op::kWrite) files_[item.request.file].blocking_writes--;
    complete_io(item.request, item.result);
  }
}

// Everything that this turn has gathered leaves, and what has come back is taken.
void Reactor::harvest() {
  harvest_aio();
  workers_->hand_over();
  if (workers_->has_unannounced()) take_from_workers();
}

// Submits what is prepared, takes what has come back, and goes on as long as one leads to the other.
void Reactor::harvest_aio() {
  aio_.begin_round();
  for (;;) {
    if (aio_.has_batch()) {
      aio_.submit([this](AioBlock* block, int error) { refused(block, error); });
    }
    const unsigned reaped = aio_.reap([this](AioBlock* block, int64_t result) { finished(block, result); });
    bool moved = false;
    while (!backlog_.empty() && aio_.has_capacity()) {
      const IoRequest request = backlog_.front();
      backlog_.pop_front();
      prepare(request);
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
  if (error == -EAGAIN) return redo_instead_of_blocking(block);
  if (request.op == Op::kSync && (error == -EINVAL || error == -EOPNOTSUPP)) return redo_by_worker(block);
  complete_io(request, error);
  aio_.release(block);
}

void Reactor::finished(AioBlock* block, int64_t result) {
  const IoRequest& request = block->request;
  // Whoever asked is gone, and a retry would be a new I/O.
  if (closing()) return aio_.release(block);
  if (result == -EOPNOTSUPP && block->nowait) return redo_without_nowait(block);
  if (result == -EAGAIN) return redo_instead_of_blocking(block);
  if (request.op == Op::kSync && (result == -EINVAL || result == -EOPNOTSUPP)) return redo_by_worker(block);
  // Fewer bytes than asked for: the end of the file, a bad sector, or a full disk. A worker finds out, and
  // doing the whole again changes nothing that was done.
  if (moves_data(request.op) && result >= 0 && static_cast<uint64_t>(result) < request.length) {
    return redo_by_worker(block);
  }
  File& target = files_[request.file];
  if (request.op == Op::kWrite && block->nowait) target.blocking.answered(false);
  if (moves_data(request.op)) target.promptness.ended(aio_.was_at_once(block), block->signals());
  complete_io(request, result);
  aio_.release(block);
}

void Reactor::redo_without_nowait(AioBlock* block) {
  File& target = files_[block->request.file];
  (block->request.op == Op::kRead ? target.nowait_reads : target.nowait_writes) = false;
  if (!target.in_memory) return redo_by_worker(block);
  aio_.prepare_again(block);
}

void Reactor::redo_instead_of_blocking(AioBlock* block) {
  counters_->nowait_fallbacks++;
  if (block->request.op == Op::kWrite) files_[block->request.file].blocking.answered(true);
  redo_by_worker(block);
}

void Reactor::redo_by_worker(AioBlock* block) {
  const IoRequest request = block->request;
  aio_.release(block);
  to_workers(request);
}

void Reactor::cancel(uint32_t tag) {
  IoRequest put_off;
  if (groups_.cancel(tag, &put_off)) return complete_io(put_off, -ECANCELED);
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

}  // namespace aionbd
