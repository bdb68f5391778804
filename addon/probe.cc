#include "probe.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace aionbd {

namespace {

constexpr uint32_t kLargestAlignment = 65536;

// statx's result has 256 bytes in every kernel; older headers lack the two fields, so they are read by
// position.
constexpr unsigned kStatxDioAlign = 0x2000;
constexpr size_t kStatxMaskAt = 0;
constexpr size_t kStatxMemoryAlignAt = 152;
constexpr size_t kStatxOffsetAlignAt = 156;

uint32_t u32_at(const uint8_t* bytes, size_t at) {
  uint32_t value;
  std::memcpy(&value, bytes + at, sizeof value);
  return value;
}

// True when the kernel answered; alignments of 0 then mean that direct I/O is not supported.
bool reported_alignment(int fd, FileFacts* facts) {
  alignas(8) uint8_t result[256] = {};
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, kStatxDioAlign, result) != 0) return false;
  if (!(u32_at(result, kStatxMaskAt) & kStatxDioAlign)) return false;
  facts->memory_alignment = u32_at(result, kStatxMemoryAlignAt);
  facts->offset_alignment = u32_at(result, kStatxOffsetAlignAt);
  return true;
}

// The smallest power of two, 512 to 64 KiB, with which a direct read works.
void tried_alignment(int fd, FileFacts* facts) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kLargestAlignment, kLargestAlignment) != 0) return;
  for (uint32_t bytes = 512; bytes <= kLargestAlignment; bytes *= 2) {
    if (pread(fd, memory, bytes, 0) >= 0) {
      facts->memory_alignment = bytes;
      facts->offset_alignment = bytes;
      break;
    }
    if (errno != EINVAL) break;
  }
  std::free(memory);
}

}  // namespace

FileFacts probe_file(int fd) {
  FileFacts facts;
  struct stat status {};
  // glibc 2.33 has made a function of fstat, which older ones lack; the system call fills the same structure.
  if (syscall(SYS_fstat, fd, &status) != 0) {
    facts.error = -errno;
    return facts;
  }
  facts.regular = S_ISREG(status.st_mode);
  facts.block_device = S_ISBLK(status.st_mode);
  if (facts.block_device) {
    if (ioctl(fd, BLKGETSIZE64, &facts.size) != 0) facts.error = -errno;
  } else {
    facts.size = static_cast<uint64_t>(status.st_size);
  }
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || !(flags & O_DIRECT)) return facts;
  if (reported_alignment(fd, &facts)) return facts;
  int logical_block = 0;
  if (facts.block_device && ioctl(fd, BLKSSZGET, &logical_block) == 0 && logical_block > 0) {
    facts.memory_alignment = static_cast<uint32_t>(logical_block);
    facts.offset_alignment = static_cast<uint32_t>(logical_block);
  } else {
    tried_alignment(fd, &facts);
  }
  return facts;
}

int lock_file(int fd, bool exclusive) {
  while (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

}  // namespace aionbd
