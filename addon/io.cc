#include "io.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace aionbd {

namespace {

constexpr uint64_t kSectorBytes = 512;

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

int64_t zero(int fd, const IoRequest& request) {
  if (request.flags & kFlagMayPunch) {
    const int result = allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, request);
    if (!unsupported(result)) return result;
  }
  int result = allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, request);
  if (!unsupported(result)) return result;
  // tmpfs: no ZERO_RANGE, but a hole that is filled again has zeroes and its blocks.
  result = allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, request);
  if (result == 0 && !(request.flags & kFlagMayPunch)) result = allocate(fd, FALLOC_FL_KEEP_SIZE, request);
  return result;
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
    case Op::kAdvise:
      return -posix_fadvise(fd, static_cast<off_t>(request.offset), static_cast<off_t>(request.length),
                            POSIX_FADV_WILLNEED);
    case Op::kTrim:
      result = trim(fd, block_device, request);
      break;
    case Op::kZero:
      result = zero(fd, request);
      break;
    default:
      return -EINVAL;
  }
  if (result == 0 && (request.flags & kFlagDurable)) result = sync_data(fd);
  return result;
}

int64_t try_in_place(int fd, const IoRequest& request) {
  iovec piece{request.buffer, request.length};
  const off_t offset = static_cast<off_t>(request.offset);
  ssize_t n;
  if (request.op == Op::kRead) {
    n = preadv2(fd, &piece, 1, offset, RWF_NOWAIT);
  } else {
    n = pwritev2(fd, &piece, 1, offset, RWF_NOWAIT | ((request.flags & kFlagDurable) ? RWF_DSYNC : 0));
  }
  return n < 0 ? -errno : n;
}

}  // namespace aionbd
