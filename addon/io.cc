#include "io.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace aionbd {

namespace {

constexpr uint64_t kSectorBytes = 512;
// The kernel reads ahead at most the device's largest read at a time, and forgets the rest of the advice.
constexpr uint64_t kReadAheadBytes = 128 * 1024;

int64_t sync_data(int fd) {
  while (fdatasync(fd) != 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

int allocate(int fd, int mode, const IoRequest& request) {
  while (fallocate(fd, mode, static_cast<off_t>(request.offset), static_cast<off_t>(request.length)) != 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

bool unsupported(int result) {
  return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV;
}

int64_t read_all(int fd, const IoRequest& request) {
  uint64_t done = 0;
  while (done < request.length) {
    const ssize_t n =
        pread(fd, request.buffer + done, request.length - done, static_cast<off_t>(request.offset + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      // The bytes before a bad sector are no use to the caller, whose request failed as a whole.
      return -errno;
    }
    done += static_cast<uint64_t>(n);
    // A piece that is no whole number of sectors can only be the end of the file (and going on from there
    // would not be aligned for direct I/O).
    if (n == 0 || static_cast<uint64_t>(n) % kSectorBytes != 0) break;
  }
  return static_cast<int64_t>(done);
}

int64_t write_all(int fd, const IoRequest& request) {
  const int rw_flags = (request.flags & kFlagDurable) ? RWF_DSYNC : 0;
  uint64_t done = 0;
  while (done < request.length) {
    iovec piece{request.buffer + done, request.length - done};
    const ssize_t n = pwritev2(fd, &piece, 1, static_cast<off_t>(request.offset + done), rw_flags);
    if (n < 0) {
      if (errno == EINTR) continue;
      return -errno;
    }
    if (n == 0) return -EIO;
    done += static_cast<uint64_t>(n);
  }
  return static_cast<int64_t>(done);
}

int64_t trim(int fd, bool block_device, const IoRequest& request) {
  int result;
  if (block_device) {
    uint64_t range[2] = {request.offset, request.length};
    do {
      result = ioctl(fd, BLKDISCARD, range) == 0 ? 0 : -errno;
    } while (result == -EINTR);
  } else {
    result = allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, request);
  }
  return result;
}

int64_t zero(int fd, bool block_device, const IoRequest& request) {
  const bool fast = (request.flags & kFlagFast) != 0;
  if (request.flags & kFlagMayPunch) {
    const int result = allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, request);
    if (!unsupported(result)) return result;
  }
  // The kernel writes zeroes itself to a device that can't do it for us.
  if (fast && block_device) return -EOPNOTSUPP;
  int result = allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, request);
  if (!unsupported(result)) return result;
  if (fast) return -EOPNOTSUPP;
  // tmpfs: no ZERO_RANGE, but a hole that is filled again has zeroes and its blocks.
  result = allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, request);
  if (result == 0 && !(request.flags & kFlagMayPunch)) result = allocate(fd, FALLOC_FL_KEEP_SIZE, request);
  return result;
}

int64_t write_back(int fd, const IoRequest& request) {
  const unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  while (sync_file_range(fd, static_cast<off_t>(request.offset), static_cast<off_t>(request.length), flags) !=
         0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

int64_t advise(int fd, const IoRequest& request) {
  for (uint64_t done = 0; done < request.length; done += kReadAheadBytes) {
    const int error = posix_fadvise(fd, static_cast<off_t>(request.offset + done),
                                    static_cast<off_t>(std::min(kReadAheadBytes, request.length - done)),
                                    POSIX_FADV_WILLNEED);
    if (error != 0) return -error;
  }
  return 0;
}

// Collects extents into memory that TypeScript reads, neighbours of one kind as one.
class ExtentList {
 public:
  ExtentList(uint8_t* into, uint64_t capacity) : into_(into), most_(capacity / sizeof(Extent)) {}

  // False when there is no room for it.
  bool add(uint64_t length, double kind) {
    if (count_ > 0 && last_.kind == kind) {
      last_.length += static_cast<double>(length);
    } else {
      if (count_ == most_) return false;
      count_++;
      last_ = Extent{static_cast<double>(length), kind};
    }
    std::memcpy(into_ + (count_ - 1) * sizeof(Extent), &last_, sizeof last_);
    return true;
  }
  int64_t count() const { return static_cast<int64_t>(count_); }

 private:
  uint8_t* into_;
  uint64_t most_;
  uint64_t count_ = 0;
  Extent last_{};
};

// Where nothing can be found out, everything counts as data. Moves the descriptor's position, which nobody
// uses.
int64_t find_extents(int fd, bool block_device, const IoRequest& request) {
  ExtentList list(request.buffer, request.capacity);
  const uint64_t end = request.offset + request.length;
  uint64_t position = request.offset;
  while (position < end) {
    const off_t data =
        block_device ? static_cast<off_t>(position) : lseek(fd, static_cast<off_t>(position), SEEK_DATA);
    // ENXIO: nothing but a hole up to the end of the file.
    uint64_t hole_end = position;
    if (data >= 0) hole_end = std::min(static_cast<uint64_t>(data), end);
    if (data < 0 && errno == ENXIO) hole_end = end;
    if (hole_end > position && !list.add(hole_end - position, kExtentHole)) break;
    position = hole_end;
    if (position == end) break;
    const off_t hole = data < 0 || block_device ? static_cast<off_t>(end)
                                                : lseek(fd, static_cast<off_t>(position), SEEK_HOLE);
    uint64_t data_end = end;
    if (hole >= 0) data_end = std::min(static_cast<uint64_t>(hole), end);
    // What held data a moment ago does no more; looking again could go on forever, and "data" is never wrong.
    if (data_end <= position) data_end = std::min((position / kSectorBytes + 1) * kSectorBytes, end);
    if (!list.add(data_end - position, kExtentData)) break;
    position = data_end;
  }
  return list.count();
}

}  // namespace

int64_t run_blocking(int fd, bool block_device, const IoRequest& request) {
  int64_t result = -EINVAL;
  switch (request.op) {
    case Op::kRead:
      return read_all(fd, request);
    case Op::kWrite:
      return write_all(fd, request);
    case Op::kSync:
      return sync_data(fd);
    case Op::kWriteBack:
      return write_back(fd, request);
    case Op::kAdvise:
      return advise(fd, request);
    case Op::kExtents:
      return find_extents(fd, block_device, request);
    case Op::kTrim:
      result = trim(fd, block_device, request);
      break;
    case Op::kZero:
      result = zero(fd, block_device, request);
      break;
    default:
      return -EINVAL;
  }
  if (unsupported(static_cast<int>(result))) return -EOPNOTSUPP;
  if (result == 0 && (request.flags & kFlagDurable)) result = sync_data(fd);
  return result;
}

int64_t read_in_place(int fd, const IoRequest& request) {
  iovec piece{request.buffer, request.length};
  const ssize_t n = preadv2(fd, &piece, 1, static_cast<off_t>(request.offset), RWF_NOWAIT);
  return n < 0 ? -errno : n;
}

}  // namespace aionbd
